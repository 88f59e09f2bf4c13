/** Stop requests in PostgreSQL: one table, into which the store and the cancellation manager write the same way. */
import type { Json } from "../json.ts";
import type { Database, Transaction } from "./postgres-database.ts";
import { noteOf } from "./postgres-listener.ts";

/** How long a request waits for a run that nobody has created or registered: 24 h. */
export const intentLifetimeMs = 24 * 60 * 60 * 1000;

const isOlderThan = (ms: number) => `requested_at < clock_timestamp() - ${ms} * interval '1 millisecond'`;

/** A request that is void, as its time has passed and nobody has this id. */
export const isExpired = (lifetimeMs = intentLifetimeMs) => `(stop.${isOlderThan(lifetimeMs)}
  and not exists (select from @run run where run.run_id = stop.run_id)
  and not exists (select from @registration registration where registration.run_id = stop.run_id))`;

/** A manager's entry that is refreshed no more, as its process has died. */
export const isDeserted = `registration.seen_at < clock_timestamp() - interval '60 seconds'`;

export interface NewStop {
  readonly runId: string;
  readonly reason: Json | undefined;
  readonly by: string | undefined;
  readonly lifetimeMs?: number;
}

/** The run and all that descend from it, ended ones too; the run itself need not be stored. */
const family = `with recursive family (run_id) as (
    select $1::text union select run.run_id from @run run join family on run.parent_run_id = family.run_id
  )`;

/** For whom a request was kept: a stored run that has not ended, or one that a manager has and no store. */
export interface StopReach {
  readonly isStored: boolean;
  readonly isRegistered: boolean;
}

/**
 * Keeps the request for the run and its descendants, those that have not ended; for a run that nobody has stored, it
 * waits.
 */
export async function storeStop(database: Database, stop: NewStop): Promise<StopReach> {
  const { runId, reason, by, lifetimeMs = intentLifetimeMs } = stop;
  return database.transaction({ alone: [runId] }, async ({ query }) => {
    const [root] = await query<{ has_ended: boolean; is_registered: boolean }>(
      `select exists (select from @run where run_id = $1 and ended_at is not null) as has_ended, exists (
         select from @registration registration where run_id = $1 and not ${isDeserted}) as is_registered`,
      [runId],
    );
    const nobody = { isStored: false, isRegistered: false };
    if (root?.has_ended === true) return nobody;
    // The rows are locked in one order, and so that no run ends between the look at it and the request.
    const living = await query<{ run_id: string }>(
      `${family} select run_id from @run run where run_id in (select run_id from family)
         and ended_at is null order by run_id for no key update`,
      [runId],
    );
    const asked = new Set(living.map((row) => row.run_id));
    const isStored = asked.has(runId);
    // It is none of the living where nobody has stored it, or where it has ended just now.
    if (!isStored && (await query("select from @run where run_id = $1", [runId])).length > 0) return nobody;
    asked.add(runId);
    const stored = await query<{ run_id: string }>(
      `insert into @stop_request as stop (run_id, reason, requested_by, requested_at)
         select run_id, $2::json, $3, statement_timestamp() from unnest($1::text[]) as asked (run_id) order by run_id
       on conflict (run_id) do update set reason = excluded.reason, requested_by = excluded.requested_by,
         requested_at = excluded.requested_at where ${isExpired(lifetimeMs)}
       returning run_id`,
      [[...asked], reason === undefined ? null : JSON.stringify(reason), by ?? null],
    );
    if (stored.length > 0) {
      const notes = new Set(stored.map((row) => noteOf("stop", row.run_id)));
      await query("select pg_notify($1, note) from unnest($2::text[]) as notes (note)", [
        database.channel,
        [...notes],
      ]);
    }
    return { isStored, isRegistered: root?.is_registered === true };
  });
}

/** Gives a new run the request that waits for it, or else that of the nearest ancestor that has not ended. */
export async function inheritStop(
  { query }: Transaction,
  runId: string,
  ancestors: readonly string[],
): Promise<void> {
  await query(
    `delete from @stop_request where run_id = $1 and ${isOlderThan(intentLifetimeMs)}
       and not exists (select from @registration where run_id = $1)`,
    [runId],
  );
  if (ancestors.length === 0) return;
  await query(
    `insert into @stop_request (run_id, reason, requested_by, requested_at)
       select $1, reason, requested_by, requested_at from @stop_request stop
       join unnest($2::text[]) with ordinality as ancestor (run_id, distance) using (run_id)
       where not ${isExpired()}
         and not exists (select from @run run where run.run_id = stop.run_id and ended_at is not null)
       order by distance limit 1
     on conflict (run_id) do nothing`,
    [runId, ancestors],
  );
}

/** The ids of the parent, its parent and so on, as far as they are stored. */
export async function ancestorsOf(database: Database, parentRunId: string | undefined): Promise<string[]> {
  if (parentRunId === undefined) return [];
  const rows = await database.query<{ run_id: string }>(
    `with recursive ancestor (run_id, distance) as (
       select $1::text, 1 union all
       select run.parent_run_id, distance + 1 from @run run join ancestor on run.run_id = ancestor.run_id
       where run.parent_run_id is not null and distance < 1000
     ) select run_id from ancestor order by distance`,
    [parentRunId],
  );
  return rows.map((row) => row.run_id);
}
