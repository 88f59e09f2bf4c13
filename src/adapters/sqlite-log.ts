/** What a run's workers have written: its events, numbered without a gap, and its journal. */
import type { Json } from "../json.ts";
import type { Claim, NewEvent, StoredEvent } from "../store.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";
import { type EventRow, eventOf } from "./sqlite-rows.ts";

export class RunLog {
  readonly #database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  /** Within a transaction, fenced by the attempt. Gives the newest `seq`, or nothing where the claim is void. */
  append({ runId, attempt }: Claim, events: readonly NewEvent[]): number | undefined {
    const run = this.#database.get<{ last_seq: number }>(
      `update run set last_seq = last_seq + ? where run_id = ? and attempt = ? and status = 'running'
        returning last_seq`,
      events.length,
      runId,
      attempt,
    );
    if (run === undefined) return undefined;
    const first = run.last_seq - events.length + 1;
    for (const [index, event] of events.entries()) this.put(runId, first + index, event);
    return run.last_seq;
  }

  put(runId: string, seq: number, event: NewEvent): void {
    this.#database.run(
      "insert or replace into run_event (run_id, seq, event) values (?, ?, ?)",
      runId,
      seq,
      JSON.stringify(event),
    );
  }

  events(runId: string, after: number, limit: number): StoredEvent[] {
    const rows = this.#database.all<EventRow>(
      "select seq, event from run_event where run_id = ? and seq > ? order by seq limit ?",
      runId,
      after,
      limit,
    );
    return rows.map(eventOf);
  }

  /** Within a transaction. */
  write(runId: string, journal: readonly Json[]): void {
    for (const entry of journal) {
      this.#database.run(
        `insert into run_journal (run_id, place, entry)
          select ?, coalesce(max(place), 0) + 1, ? from run_journal where run_id = ?`,
        runId,
        JSON.stringify(entry),
        runId,
      );
    }
  }

  journal(runId: string): Json[] {
    const rows = this.#database.all<{ entry: string }>(
      "select entry from run_journal where run_id = ? order by place",
      runId,
    );
    return rows.map(({ entry }) => JSON.parse(entry) as Json);
  }
}
