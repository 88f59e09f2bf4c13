/** How a stored run is read: the columns, and a row of them as a record. */
import type { RunStatus } from "../events.ts";
import type { Json } from "../json.ts";
import type { NewRun, RunInput, RunRecord, StoredOutcome, StoredStop } from "../store.ts";

/** A stop request as it is selected: JSON as text, the time in ms since 1970. */
export interface StopRow {
  readonly run_id: string;
  readonly reason: string | null;
  readonly requested_by: string | null;
  readonly requested_at: number | null;
}

export interface RunRow extends StopRow {
  readonly function_name: string;
  readonly input: string;
  readonly key: string | null;
  readonly priority: number;
  readonly delay_ms: number | null;
  readonly parent_run_id: string | null;
  readonly parent_call_id: string | null;
  readonly status: RunStatus;
  readonly attempt: number;
  readonly owner: string | null;
  readonly outcome: string | null;
  readonly last_seq: number;
  readonly first_seq: number;
  readonly write_id: string;
  readonly created_at: number;
  readonly started_at: number | null;
  readonly ended_at: number | null;
}

const ms = (column: string) => `floor(extract(epoch from ${column}) * 1000)::float8`;

export const stopColumns = `reason::text as reason, requested_by, ${ms("requested_at")} as requested_at`;

/** `select` up to and with `from`; a `where` follows. */
export const selectRuns = `
  select run.run_id, function_name, input::text as input, key, priority, delay_ms, parent_run_id, parent_call_id, status,
    attempt, owner, outcome::text as outcome, last_seq, first_seq, write_id::text as write_id, ${ms("created_at")} as created_at,
    ${ms("started_at")} as started_at, ${ms("ended_at")} as ended_at, ${stopColumns}
  from @run run left join @stop_request stop on stop.run_id = run.run_id`;

export function recordOf(row: RunRow): RunRecord {
  const stopRequest = stopOf(row);
  return {
    runId: row.run_id,
    functionName: row.function_name,
    input: parsed<RunInput>(row.input),
    priority: Number(row.priority),
    ...(row.key === null ? {} : { key: row.key }),
    ...(row.parent_run_id === null ? {} : { parentRunId: row.parent_run_id }),
    ...(row.parent_call_id === null ? {} : { parentCallId: row.parent_call_id }),
    ...(isDelayed(row) ? { delayMs: Number(row.delay_ms) } : {}),
    status: row.status,
    attempt: Number(row.attempt),
    ...(row.owner === null ? {} : { owner: row.owner }),
    ...(stopRequest === undefined ? {} : { stopRequest }),
    ...(row.outcome === null ? {} : { outcome: parsed<StoredOutcome>(row.outcome) }),
    lastSeq: Number(row.last_seq),
    firstSeq: Number(row.first_seq),
    createdAt: Number(row.created_at),
    ...(row.started_at === null ? {} : { startedAt: Number(row.started_at) }),
    ...(row.ended_at === null ? {} : { endedAt: Number(row.ended_at) }),
  };
}

function isDelayed({ started_at, delay_ms }: RunRow): boolean {
  return started_at === null && Number(delay_ms) > 0;
}

export function stopOf(row: StopRow): StoredStop | undefined {
  if (row.requested_at === null) return undefined;
  return {
    ...(row.reason === null ? {} : { reason: parsed<Json>(row.reason) }),
    ...(row.requested_by === null ? {} : { by: row.requested_by }),
    at: Number(row.requested_at),
  };
}

/** What the store itself has written. */
export function parsed<T>(text: string): T {
  return JSON.parse(text);
}

/** The values of a new run's columns, in the order of `insertRun`. */
export function valuesOf(run: NewRun): readonly (string | number | null)[] {
  return [
    run.runId,
    run.functionName,
    JSON.stringify(run.input),
    run.key ?? null,
    run.priority,
    run.delayMs ?? null,
    run.parentRunId ?? null,
    run.parentCallId ?? null,
  ];
}
