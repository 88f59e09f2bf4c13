/** What `runs` is given, checked at once: a misspelt filter would list everything, a cursor that is none skip events. */
import { UsageError } from "./errors.ts";
import { isPlainObject, shown } from "./json.ts";
import type { CancelOptions, WaitOptions } from "./run-handle.ts";
import type { PruneOptions, RunFilter } from "./store.ts";

const textKeys = ["functionName", "key", "parentRunId", "before"];
const filterKeys = ["status", "limit", ...textKeys];
const statuses = ["pending", "running", "completed", "stopped", "cancelled", "error"];

/** @throws UsageError `invalid_option` */
export function checkFilter(filter: RunFilter): RunFilter {
  const fail = (what: string): never => {
    throw new UsageError("invalid_option", `runs.list({ … }): ${what}`);
  };
  if (!isPlainObject(filter)) throw fail(`takes an object, not ${shown(filter)}.`);
  const unknown = Object.keys(filter).filter((key) => !filterKeys.includes(key));
  if (unknown.length > 0) fail(`does not know ${unknown.join(", ")}. It knows ${filterKeys.join(", ")}.`);
  for (const key of textKeys) {
    const value = filter[key];
    if (value !== undefined && typeof value !== "string")
      fail(`"${key}" must be a string, not ${shown(value)}.`);
  }
  const { status, limit } = filter as RunFilter;
  const asked: readonly unknown[] = status === undefined ? [] : Array.isArray(status) ? status : [status];
  const odd = asked.find((name) => !statuses.some((known) => known === name));
  if (odd !== undefined) fail(`"status" must be among ${statuses.join(", ")}, not ${shown(odd)}.`);
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) {
    fail(`"limit" must be a whole number above 0, not ${shown(limit)}.`);
  }
  return filter;
}

/** @throws UsageError `invalid_option` */
export function checkId(runId: unknown): string {
  if (typeof runId === "string" && runId !== "") return runId;
  throw new UsageError("invalid_option", `A run's id is a string that is not empty, not ${shown(runId)}.`);
}

/** @throws UsageError `invalid_option` */
export function checkWait({ timeoutMs, abortSignal }: WaitOptions): void {
  if (timeoutMs !== undefined && !(timeoutMs >= 0 && timeoutMs <= 2_147_483_647)) {
    throw new UsageError(
      "invalid_option",
      `"timeoutMs" must be a number of milliseconds from 0 to 2147483647, not ${shown(timeoutMs)}.`,
    );
  }
  if (abortSignal !== undefined && !(abortSignal instanceof AbortSignal)) {
    throw new UsageError(
      "invalid_option",
      `"abortSignal" must be an AbortSignal, not ${shown(abortSignal)}.`,
    );
  }
}

/** @throws UsageError `invalid_option` */
export function checkCancel(options: CancelOptions): void {
  const unknown = Object.keys(options).filter((key) => key !== "by");
  if (unknown.length > 0) {
    throw new UsageError(
      "invalid_option",
      `runs.cancel does not know ${unknown.join(", ")}: it takes { by }. To wait for the end use runs.wait(runId).`,
    );
  }
  if (options.by !== undefined && typeof options.by !== "string") {
    throw new UsageError("invalid_option", `"by" must be a string, not ${shown(options.by)}.`);
  }
}

/** @throws UsageError `invalid_option` */
export function checkCursor(after: number): void {
  if (!Number.isInteger(after) || after < 0) {
    throw new UsageError(
      "invalid_option",
      `"after" must be the "seq" of an event, a whole number from 0, not ${shown(after)}.`,
    );
  }
}

/** @throws UsageError `invalid_option` */
export function checkPrune(options: PruneOptions): void {
  if (!Number.isFinite(options?.olderThanMs) || options.olderThanMs < 0) {
    throw new UsageError(
      "invalid_option",
      `runs.prune takes { olderThanMs }, the age of what goes in ms, not ${shown(options?.olderThanMs)}.`,
    );
  }
  if (options.what !== undefined && options.what !== "runs" && options.what !== "events") {
    throw new UsageError("invalid_option", `"what" must be "runs" or "events", not ${shown(options.what)}.`);
  }
}
