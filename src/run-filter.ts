/** The filter of `runs.list`, checked: a misspelt one would list everything. */
import { UsageError } from "./errors.ts";
import { isPlainObject, shown } from "./json.ts";
import type { RunFilter } from "./store.ts";

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
