/** The stop requests of a database file: one table, whether a run store or a cancellation manager asks. */
import type { Json } from "../json.ts";
import type { StoredStop } from "../store.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";
import { type StopRow, stopOf } from "./sqlite-rows.ts";

/** How long a request is kept for an id that nobody has created or registered, in ms. */
export const intentLifetimeMs = 24 * 60 * 60 * 1000;

const isUnknown = `
  not exists (select 1 from run where run.run_id = stop_request.run_id)
  and not exists (select 1 from registration where registration.run_id = stop_request.run_id)`;

const keepForAll = `
  with recursive family (run_id) as (
    select ? union select run.run_id from run join family on run.parent_run_id = family.run_id
  )
  insert into stop_request (run_id, reason, requested_by, requested_at)
  select family.run_id, ?, ?, ? from family left join run using (run_id) where run.ended_at is null or family.run_id = ?
  on conflict do nothing
  returning run_id`;

export class StopRequests {
  readonly #database: SqliteDatabase;
  readonly #lifetimeMs: number;

  constructor(database: SqliteDatabase, lifetimeMs = intentLifetimeMs) {
    this.#database = database;
    this.#lifetimeMs = lifetimeMs;
  }

  of(runIds: readonly string[]): Map<string, StoredStop> {
    const rows = this.#database.all<StopRow>(
      `select * from stop_request where run_id in (select value from json_each(?))
        and not (requested_at < ? and ${isUnknown})`,
      JSON.stringify(runIds),
      this.#oldest(),
    );
    return new Map(rows.map((row) => [row.run_id, stopOf(row)]));
  }

  /** Within a transaction: for the run, and for its descendants that have not ended. Gives those that had none before. */
  keep(runId: string, reason: Json | undefined, by: string | undefined): string[] {
    this.expire(runId);
    const text = reason === undefined ? null : JSON.stringify(reason);
    const rows = this.#database.all<StopRow>(keepForAll, runId, text, by ?? null, Date.now(), runId);
    return rows.map(({ run_id }) => run_id);
  }

  /** Within a transaction: a new run takes over the request of its parent, if that has not ended. */
  inherit(runId: string, parentRunId: string): void {
    this.expire(parentRunId);
    this.#database.run(
      `insert into stop_request (run_id, reason, requested_by, requested_at)
        select ?, reason, requested_by, requested_at from stop_request left join run using (run_id)
        where run_id = ? and run.ended_at is null
        on conflict do nothing`,
      runId,
      parentRunId,
    );
  }

  remove(runId: string): void {
    this.#database.run("delete from stop_request where run_id = ?", runId);
  }

  /** Removes what is too old and belongs to nobody; of one id, or of all. */
  expire(runId?: string): void {
    const old = `delete from stop_request where requested_at < ? and ${isUnknown}`;
    if (runId === undefined) this.#database.run(old, this.#oldest());
    else this.#database.run(`${old} and run_id = ?`, this.#oldest(), runId);
  }

  /** Removes the request of an id that no stored run and no registration has. */
  removeUnknown(runId: string): void {
    this.#database.run(`delete from stop_request where run_id = ? and ${isUnknown}`, runId);
  }

  #oldest(): number {
    return Date.now() - this.#lifetimeMs;
  }
}
