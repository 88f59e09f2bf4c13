/** Removes what is too old: runs, their events, and what dead processes and forgotten requests left behind. */
import type { PruneOptions } from "../store.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";
import type { LifeSign } from "./sqlite-lock.ts";
import type { StopRequests } from "./sqlite-stops.ts";

/** How many runs go in one transaction: others wait no longer than for these. */
const runsAtOnce = 50;

export class Upkeep {
  readonly #database: SqliteDatabase;
  readonly #life: LifeSign;
  readonly #stops: StopRequests;

  constructor(database: SqliteDatabase, life: LifeSign, stops: StopRequests) {
    this.#database = database;
    this.#life = life;
    this.#stops = stops;
  }

  /** Removes some runs; gives how many, 0 at the end. */
  prune({ olderThanMs, what = "runs" }: PruneOptions): number {
    const newest = Date.now() - olderThanMs;
    return this.#database.write(() => {
      const runIds = what === "runs" ? this.#ended(newest) : this.#endedWithEvents(newest);
      const ids = JSON.stringify(runIds);
      const these = "where run_id in (select value from json_each(?))";
      this.#database.run(`delete from run_event ${these}`, ids);
      this.#database.run(`delete from run_journal ${these}`, ids);
      if (what === "runs") {
        this.#database.run(`delete from run ${these}`, ids);
        this.#database.run(`delete from stop_request ${these}`, ids);
      } else this.#database.run(`update run set first_seq = last_seq + 1 ${these}`, ids);
      if (runIds.length === 0) this.#removeLeftovers();
      return runIds.length;
    });
  }

  /** Within a transaction: registrations of processes that have died. */
  removeLostRegistrations(runId?: string): void {
    const rows = this.#database.all<{ holder: string }>(
      `select distinct holder from registration ${runId === undefined ? "" : "where run_id = ?"}`,
      ...(runId === undefined ? [] : [runId]),
    );
    const lost = this.#life.lost(rows.map(({ holder }) => holder));
    for (const holder of lost) this.#database.run("delete from registration where holder = ?", holder);
  }

  #ended(newest: number): string[] {
    const rows = this.#database.all<{ run_id: string }>(
      "select run_id from run where ended_at is not null and ended_at <= ? order by ended_at limit ?",
      newest,
      runsAtOnce,
    );
    return rows.map(({ run_id }) => run_id);
  }

  #endedWithEvents(newest: number): string[] {
    const rows = this.#database.all<{ run_id: string }>(
      `select run_id from run where ended_at is not null and ended_at <= ? and (first_seq <= last_seq
        or exists (select 1 from run_journal where run_journal.run_id = run.run_id)) limit ?`,
      newest,
      runsAtOnce,
    );
    return rows.map(({ run_id }) => run_id);
  }

  #removeLeftovers(): void {
    this.removeLostRegistrations();
    this.#stops.expire();
  }
}
