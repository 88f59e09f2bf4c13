/** Which run a worker may take up: limits, priorities, runs whose owner is lost. */
import { type Claim, LostClaimError, type RunLimits } from "../store.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";
import type { LifeSign } from "./sqlite-lock.ts";
import type { RunRow } from "./sqlite-rows.ts";

type Candidate = Pick<RunRow, "run_id" | "function_name" | "run_key" | "status" | "priority"> & {
  readonly position: number;
};

const ofCandidate = "run_id, function_name, run_key, status, priority, position";

/** One look for a run to take up. Which owners are lost is found out once: the lost do not come back. */
export class Claims {
  readonly #database: SqliteDatabase;
  readonly #life: LifeSign;
  #lostHolders: string | undefined;

  constructor(database: SqliteDatabase, life: LifeSign) {
    this.#database = database;
    this.#life = life;
  }

  /** The best run that may be taken up: highest priority first, then oldest. */
  next(functions: readonly string[], limits: RunLimits): string | undefined {
    const names = JSON.stringify(functions.filter((name) => !this.#isFull(name, limits)));
    const fullKeys = JSON.stringify(this.#fullKeys(limits));
    const waiting = this.#database.get<Candidate>(
      `select ${ofCandidate} from run where status = 'pending' and begin_at <= ?
        and function_name in (select value from json_each(?))
        and (run_key is null or run_key not in (select value from json_each(?)))
        order by priority desc, position limit 1`,
      Date.now(),
      names,
      fullKeys,
    );
    const abandoned = this.#database.get<Candidate>(
      `select ${ofCandidate} from run where status = 'running' and holder in (select value from json_each(?))
        and function_name in (select value from json_each(?))
        and (run_key is null or run_key not in (select value from json_each(?)))
        order by priority desc, position limit 1`,
      this.#lost,
      names,
      fullKeys,
    );
    return better(waiting, abandoned)?.run_id;
  }

  /** Whether a limit keeps this run from being taken up; it does not count itself. */
  isBusy(run: RunRow, limits: RunLimits): boolean {
    const most = limits.perFunction?.[run.function_name];
    if (typeof most === "number" && this.#count("function_name", run.function_name, run.run_id) >= most) {
      return true;
    }
    if (run.run_key === null || limits.perKey === undefined) return false;
    return this.#count("run_key", run.run_key, run.run_id) >= limits.perKey;
  }

  /** Whether it is at work by its record, and its worker is dead. */
  isAbandoned({ status, holder }: Pick<RunRow, "status" | "holder">): boolean {
    return status === "running" && holder !== null && this.#life.lost([holder]).length > 0;
  }

  take(runId: string, owner: string, holder: string): Claim {
    const taken = this.#database.get<{ attempt: number }>(
      `update run set status = 'running', attempt = attempt + 1, owner = ?, holder = ?,
        started_at = coalesce(started_at, ?) where run_id = ? returning attempt`,
      owner,
      holder,
      Date.now(),
      runId,
    );
    if (taken === undefined) throw new LostClaimError({ runId, attempt: 0 });
    return { runId, attempt: taken.attempt };
  }

  get #lost(): string {
    this.#lostHolders ??= JSON.stringify(
      this.#life.lost(
        this.#database
          .all<{ holder: string }>(
            "select distinct holder from run where status = 'running' and holder is not null",
          )
          .map(({ holder }) => holder),
      ),
    );
    return this.#lostHolders;
  }

  #isFull(functionName: string, limits: RunLimits): boolean {
    const most = limits.perFunction?.[functionName];
    return typeof most === "number" && this.#count("function_name", functionName) >= most;
  }

  #fullKeys({ perKey }: RunLimits): string[] {
    if (perKey === undefined) return [];
    const rows = this.#database.all<{ run_key: string }>(
      `select run_key from run where status = 'running' and run_key is not null
        and holder not in (select value from json_each(?)) group by run_key having count(*) >= ?`,
      this.#lost,
      perKey,
    );
    return rows.map(({ run_key }) => run_key);
  }

  /** Runs of lost owners are not at work. */
  #count(column: "function_name" | "run_key", value: string, except = ""): number {
    const row = this.#database.get<{ count: number }>(
      `select count(*) as count from run where status = 'running' and ${column} = ? and run_id <> ?
        and holder not in (select value from json_each(?))`,
      value,
      except,
      this.#lost,
    );
    return row?.count ?? 0;
  }
}

function better(one: Candidate | undefined, other: Candidate | undefined): Candidate | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  if (one.priority !== other.priority) return one.priority > other.priority ? one : other;
  return one.position < other.position ? one : other;
}
