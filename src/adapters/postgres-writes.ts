/** The writes of a worker: each is one statement that carries its attempt, so that it is done whole or not at all. */

import { randomUUID } from "node:crypto";
import type { Json } from "../json.ts";
import type { Claim, NewEvent } from "../store.ts";
import type { Database, Value } from "./postgres-database.ts";
import { persisting } from "./postgres-faults.ts";
import { noteOf } from "./postgres-listener.ts";

export interface Write {
  readonly events?: readonly NewEvent[];
  readonly journal?: readonly Json[];
  /** What else changes in the run's row; its values begin at `$10`. */
  readonly set?: string;
  readonly values?: readonly Value[];
}

/** The run's newest `seq` after the write; `undefined` where the claim is void: nothing was written. */
export async function write(database: Database, claim: Claim, change: Write): Promise<number | undefined> {
  const { events = [], journal = [], set, values = [] } = change;
  const isVisible = events.length > 0 || set !== undefined;
  const writeId = randomUUID();
  const statement = `
    with claimed as (
      update @run set last_seq = last_seq + $3, journal_size = journal_size + $4, write_id = $5::uuid
        ${set === undefined ? "" : `, ${set}`}
      where run_id = $1 and attempt = $2 and status = 'running' returning last_seq, journal_size
    ), stored_events as (
      insert into @run_event (run_id, seq, event) select $1, last_seq - $3 + place, event::json
      from claimed, unnest($6::text[]) with ordinality as added (event, place)
    ), stored_journal as (
      insert into @run_journal (run_id, place, entry) select $1, journal_size - $4 + place, entry::json
      from claimed, unnest($7::text[]) with ordinality as added (entry, place)
    )
    select last_seq, case when $9::text is not null then pg_notify($8, $9) end from claimed`;
  return persisting(async (again) => {
    if (again) {
      const done = await lastSeqOf(database, claim.runId, writeId);
      if (done !== undefined) return done;
    }
    const rows = await database.once<{ last_seq: number }>(statement, [
      claim.runId,
      claim.attempt,
      events.length,
      journal.length,
      writeId,
      events.map((event) => JSON.stringify(event)),
      journal.map((entry) => JSON.stringify(entry)),
      database.channel,
      isVisible ? noteOf("change", claim.runId) : null,
      ...values,
    ]);
    return rows[0] === undefined ? undefined : Number(rows[0].last_seq);
  });
}

/** Where a run's newest write was this one: its newest `seq`. A write whose answer was lost is known by it. */
export async function lastSeqOf(
  database: Database,
  runId: string,
  writeId: string,
): Promise<number | undefined> {
  const [row] = await database.query<{ last_seq: number }>(
    "select last_seq from @run where run_id = $1 and write_id = $2::uuid",
    [runId, writeId],
  );
  return row === undefined ? undefined : Number(row.last_seq);
}
