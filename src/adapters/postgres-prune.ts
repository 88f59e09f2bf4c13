/** What is removed from the database when it is old, a batch at a time, so that no lock is held long. */
import type { PruneOptions } from "../store.ts";
import type { Database } from "./postgres-database.ts";
import { isDeserted, isExpired } from "./postgres-stops.ts";

const batch = 200;

const old = "ended_at <= clock_timestamp() - $1 * interval '1 millisecond'";

const removeRuns = `
  with gone as (
    delete from @run where run_id in (
      select run_id from @run where ${old} order by ended_at limit ${batch} for update skip locked
    ) returning run_id
  ), no_events as (delete from @run_event event using gone where event.run_id = gone.run_id),
  no_journal as (delete from @run_journal entry using gone where entry.run_id = gone.run_id),
  no_requests as (delete from @stop_request stop using gone where stop.run_id = gone.run_id)
  select count(*)::int as runs from gone`;

const removeEvents = `
  with bare as (
    update @run set first_seq = last_seq + 1, journal_size = 0 where run_id in (
      select run_id from @run where ${old} and (first_seq <= last_seq or journal_size > 0)
      order by ended_at limit ${batch} for update skip locked
    ) returning run_id
  ), no_events as (delete from @run_event event using bare where event.run_id = bare.run_id),
  no_journal as (delete from @run_journal entry using bare where entry.run_id = bare.run_id)
  select count(*)::int as runs from bare`;

export async function pruneRuns(
  database: Database,
  { olderThanMs, what = "runs" }: PruneOptions,
): Promise<number> {
  let sum = 0;
  for (;;) {
    const rows = await database.query<{ runs: number }>(what === "events" ? removeEvents : removeRuns, [
      olderThanMs,
    ]);
    const runs = Number(rows[0]?.runs);
    sum += runs;
    if (runs < batch) break;
  }
  await removeIntents(database);
  return sum;
}

/** Stop requests that no run came for in time, and what dead processes have left. */
export async function removeIntents(database: Database, lifetimeMs?: number): Promise<void> {
  await database.query(`delete from @registration registration where ${isDeserted}`);
  await database.query(`delete from @stop_request stop where ${isExpired(lifetimeMs)}`);
}
