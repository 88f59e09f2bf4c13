/** How a worker works: limits, patience, and who hears of its runs. */
import { UsageError } from "./errors.ts";
import { isPlainObject, shown } from "./json.ts";
import type { RunLimits, RunRecord } from "./store.ts";

export interface WorkerSettings {
  /** The most runs at once in this worker. Default 10. */
  readonly concurrency?: number;
  /** The most runs at once over all workers of the store, by function and for each key. Default: none. */
  readonly limits?: RunLimits;
  /** How long turns at work may take to end when the worker stops, in ms. Default 10,000. */
  readonly drainMs?: number;
  /** After so many attempts in a row that ended no turn a run is ended as an error (`gave_up`). Default 10. */
  readonly maxAttempts?: number;
  /** How often runs are looked for that no job of the queue stands for, in ms. Default 30,000. */
  readonly reconcileMs?: number;
  /**
   * Hears of every run that this worker has ended, once, after its end is stored. Nothing waits for it but, for a second
   * at most, a worker that leaves. A worker that dies just then has not told: who must know asks `runs.wait`.
   */
  readonly onRunEnd?: (record: RunRecord) => void | Promise<void>;
}

const settingKeys = ["concurrency", "limits", "drainMs", "maxAttempts", "reconcileMs", "onRunEnd"];

/** @throws UsageError `invalid_option` */
export function checkWorkerSettings(
  settings: unknown,
  what: string,
  otherKeys: readonly string[] = [],
): void {
  const fail = (message: string): never => {
    throw new UsageError("invalid_option", `${what}: ${message}`);
  };
  if (!isPlainObject(settings)) throw fail(`takes an object, not ${shown(settings)}.`);
  const known = [...otherKeys, ...settingKeys];
  const unknown = Object.keys(settings).filter((key) => !known.includes(key));
  if (unknown.length > 0) fail(`does not know ${unknown.join(", ")}. It knows ${known.join(", ")}.`);
  const { limits, onRunEnd } = settings;
  for (const key of ["concurrency", "maxAttempts"]) {
    const value = settings[key];
    if (value !== undefined && !isCount(value))
      fail(`"${key}" must be a whole number above 0, not ${shown(value)}.`);
  }
  for (const key of ["drainMs", "reconcileMs"]) {
    const value = settings[key];
    const isMs = typeof value === "number" && value >= 0 && value <= 2_147_483_647;
    if (value !== undefined && !isMs) fail(`"${key}" must be a number of milliseconds, not ${shown(value)}.`);
  }
  if (onRunEnd !== undefined && typeof onRunEnd !== "function") fail('"onRunEnd" must be a function.');
  if (limits !== undefined) checkLimits(limits, fail);
}

function checkLimits(limits: unknown, fail: (message: string) => never): void {
  const shape = '"limits" must be { perFunction: { "Class.method": 2 }, perKey: 1 }, whole numbers above 0';
  if (!isPlainObject(limits)) throw fail(`${shape}, not ${shown(limits)}.`);
  const { perFunction = {}, perKey = 1, ...rest } = limits;
  const unknown = Object.keys(rest);
  if (unknown.length > 0) fail(`"limits" does not know ${unknown.join(", ")}: ${shape}.`);
  const counts = isPlainObject(perFunction) ? [...Object.values(perFunction), perKey] : [undefined];
  if (!counts.every(isCount)) fail(`${shape}.`);
}

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) > 0;
}
