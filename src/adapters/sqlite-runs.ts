/** The table of runs: to add one, to find one, to list them. */
import type { NewRun, RunFilter, RunRecord } from "../store.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";
import { type RunRow, type RunRowWithStop, recordOf } from "./sqlite-rows.ts";

const withStop = `
  select run.*, reason, requested_by, requested_at from run left join stop_request using (run_id)`;

export class Runs {
  readonly #database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  /** `false` where the id is known already. */
  insert(run: NewRun): boolean {
    const now = Date.now();
    const { delayMs = 0 } = run;
    const added = this.#database.run(
      `insert into run (run_id, function_name, input, run_key, priority, begin_at, parent_run_id, parent_call_id,
        status, created_at) values (?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?) on conflict do nothing`,
      run.runId,
      run.functionName,
      JSON.stringify(run.input),
      run.key ?? null,
      run.priority,
      // One without a delay waits for no clock, whichever way that jumps.
      delayMs > 0 ? Math.ceil(now + delayMs) : 0,
      run.parentRunId ?? null,
      run.parentCallId ?? null,
      now,
    );
    return added === 1;
  }

  row(runId: string): RunRow | undefined {
    return this.#database.get<RunRow>("select * from run where run_id = ?", runId);
  }

  find(runId: string): RunRecord | undefined {
    const row = this.#database.get<RunRowWithStop>(`${withStop} where run_id = ?`, runId);
    return row === undefined ? undefined : recordOf(row);
  }

  /** The record of a run that is known to be there. */
  record(runId: string): RunRecord {
    const record = this.find(runId);
    if (record === undefined) throw new Error(`The run ${runId} is not in the store ${this.#database.path}.`);
    return record;
  }

  list({ status, functionName, key, parentRunId, before, limit = 100 }: RunFilter = {}): RunRecord[] {
    const conditions: string[] = [];
    const values: string[] = [];
    const only = (condition: string, value: string | undefined) => {
      if (value === undefined) return;
      conditions.push(condition);
      values.push(value);
    };
    const statuses = status === undefined ? undefined : JSON.stringify([status].flat());
    only("status in (select value from json_each(?))", statuses);
    only("function_name = ?", functionName);
    only("run_key = ?", key);
    only("parent_run_id = ?", parentRunId);
    only("position < (select position from run where run_id = ?)", before);
    const which = conditions.length === 0 ? "" : `where ${conditions.join(" and ")}`;
    const rows = this.#database.all<RunRowWithStop>(
      `${withStop} ${which} order by position desc limit ?`,
      ...values,
      limit,
    );
    return rows.map(recordOf);
  }
}
