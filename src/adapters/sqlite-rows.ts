/** What a row of the tables is as a value of the store's contract. */
import type { RunStatus } from "../events.ts";
import type { Json } from "../json.ts";
import type { RunInput, RunRecord, StoredEvent, StoredOutcome, StoredStop } from "../store.ts";

export interface StopRow {
  readonly run_id: string;
  readonly reason: string | null;
  readonly requested_by: string | null;
  readonly requested_at: number;
}

export interface RunRow {
  readonly run_id: string;
  readonly function_name: string;
  readonly input: string;
  readonly run_key: string | null;
  readonly priority: number;
  readonly begin_at: number;
  readonly parent_run_id: string | null;
  readonly parent_call_id: string | null;
  readonly status: RunStatus;
  readonly attempt: number;
  readonly owner: string | null;
  readonly holder: string | null;
  readonly outcome: string | null;
  readonly first_seq: number;
  readonly last_seq: number;
  readonly created_at: number;
  readonly started_at: number | null;
  readonly ended_at: number | null;
}

/** A run beside its stop request. */
export type RunRowWithStop = RunRow & { [Key in Exclude<keyof StopRow, "run_id">]: StopRow[Key] | null };

export interface EventRow {
  readonly seq: number;
  readonly event: string;
}

export function recordOf(row: RunRowWithStop): RunRecord {
  return {
    runId: row.run_id,
    functionName: row.function_name,
    input: JSON.parse(row.input) as RunInput,
    ...where("key", row.run_key),
    priority: row.priority,
    ...where("parentRunId", row.parent_run_id),
    ...where("parentCallId", row.parent_call_id),
    ...(isDelayed(row) ? { delayMs: row.begin_at - row.created_at } : {}),
    status: row.status,
    attempt: row.attempt,
    ...where("owner", row.owner),
    ...(row.requested_at === null ? {} : { stopRequest: stopOf({ ...row, requested_at: row.requested_at }) }),
    ...(row.outcome === null ? {} : { outcome: JSON.parse(row.outcome) as StoredOutcome }),
    lastSeq: row.last_seq,
    firstSeq: row.first_seq,
    createdAt: row.created_at,
    ...where("startedAt", row.started_at),
    ...where("endedAt", row.ended_at),
  };
}

function isDelayed({ started_at, begin_at, created_at }: RunRow): boolean {
  return started_at === null && begin_at > created_at;
}

export function stopOf(row: StopRow): StoredStop {
  return {
    ...(row.reason === null ? {} : { reason: JSON.parse(row.reason) as Json }),
    ...where("by", row.requested_by),
    at: row.requested_at,
  };
}

export function eventOf({ seq, event }: EventRow): StoredEvent {
  return { ...JSON.parse(event), seq };
}

/** The property, or none where the column is null. */
function where<Key extends string, Value>(key: Key, value: Value | null): { [K in Key]?: Value } {
  return value === null ? {} : ({ [key]: value } as { [K in Key]: Value });
}
