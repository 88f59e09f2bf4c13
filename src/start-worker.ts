/** `startWorker`: a process that runs stored runs, for the functions that it is given. */

import type { StoredFunction } from "./attempt.ts";
import { boundOf, storedFunction } from "./callable.ts";
import { UsageError } from "./errors.ts";
import { kindOf } from "./json.ts";
import type { RunQueue } from "./queue.ts";
import { runtime } from "./runtime.ts";
import { queueFor, theStore } from "./storage.ts";
import type { RunStore } from "./store.ts";
import { methodAccessor } from "./tool.ts";
import { Worker } from "./worker.ts";
import { checkWorkerSettings, type WorkerSettings } from "./worker-settings.ts";

export interface WorkerOptions extends WorkerSettings {
  /** Objects with decorated methods, and LLM functions or chats: runs find them by name (`Class.method`). */
  readonly functions: readonly object[];
  /** Default: the configured store, else SQLite in `.llmethod/runs.db`. */
  readonly store?: RunStore;
  /** Default: the configured queue. */
  readonly queue?: RunQueue;
  /**
   * Whether SIGTERM and SIGINT make the worker leave as `stop()` does; a second signal ends the process at once. After
   * that the process ends as the signal says, unless it listens to it itself. Default `true`.
   */
  readonly signals?: boolean;
}

/**
 * Takes stored runs of these functions up until it is stopped. Start it where the work is to be done: in the process
 * that submits, or in others with the same store.
 *
 * @throws UsageError `invalid_option`, `unknown_function` where an object has no LLM function
 * @example
 * const worker = await startWorker({ functions: [analyst, summarise], concurrency: 4 });
 * await worker.stop();
 */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  checkWorkerSettings(options, "startWorker({ … })", ["functions", "store", "queue", "signals"]);
  const { functions, store, queue, signals = true, ...settings } = options;
  const fns = functionsOf(functions);
  const usedStore = store ?? (await theStore());
  const usedQueue = queue ?? queueFor(usedStore);
  return runtime.outside(async () => {
    const worker = new Worker(usedStore, usedQueue, settings, true);
    try {
      await worker.serve(fns);
    } catch (error) {
      await worker.stop({ drainMs: 0 });
      throw error;
    }
    if (signals) leaveAtSignals(worker);
    return worker;
  });
}

/**
 * The LLM functions and chats among the given ones, and in the methods and properties of the given objects.
 *
 * @throws UsageError `unknown_function`, `invalid_option`
 */
export function functionsOf(given: readonly object[]): StoredFunction[] {
  if (!Array.isArray(given) || given.length === 0) {
    throw new UsageError(
      "invalid_option",
      '"functions" must be a list: startWorker({ functions: [analyst] }).',
    );
  }
  const found = new Map<string, StoredFunction>();
  for (const value of given) {
    for (const fn of functionsIn(value)) {
      const { functionName } = fn;
      if (functionName === "" || found.has(functionName)) throw ambiguous(functionName);
      found.set(functionName, fn);
    }
  }
  return [...found.values()];
}

function functionsIn(value: unknown): StoredFunction[] {
  const bound = boundOf(value);
  if (bound !== undefined) return [storedFunction(bound)];
  const isHolder = (typeof value === "object" && value !== null) || typeof value === "function";
  const members = isHolder ? membersOf(value) : [];
  const found = [...new Set(members.flatMap((member) => boundOf(member) ?? []))];
  if (found.length > 0) return found.map((member) => storedFunction(member));
  throw new UsageError(
    "unknown_function",
    `${kindOf(value)} among "functions" has no LLM function: give objects with @llmFunction or @llmChat methods, or such functions.`,
  );
}

/** Own properties, and what decorated methods give; other getters are never called. */
function membersOf(holder: object): unknown[] {
  const members = new Map<string | symbol, unknown>();
  for (
    let level: object | null = holder;
    level !== null && level !== Object.prototype && level !== Function.prototype;
    level = Object.getPrototypeOf(level)
  ) {
    for (const key of Reflect.ownKeys(level)) {
      const own = Object.getOwnPropertyDescriptor(level, key);
      const isMember = own?.get !== undefined ? methodAccessor in own.get : own?.value !== undefined;
      if (isMember && !members.has(key)) members.set(key, Reflect.get(holder, key));
    }
  }
  return [...members.values()];
}

function ambiguous(functionName: string): UsageError {
  return new UsageError(
    "invalid_option",
    functionName === ""
      ? 'A function among "functions" has no name, by which runs could find it: set { name: "…" }.'
      : `Two of the functions are called ${functionName}: set { name: "…" } on one of them.`,
  );
}

const signalNames = ["SIGTERM", "SIGINT"] as const;

/** The workers of this process that leave at a signal: it ends when the last of them has left. */
const leaving = new Set<Worker>();

function leaveAtSignals(worker: Worker): void {
  if (leaving.size === 0) for (const signal of signalNames) process.once(signal, leave);
  leaving.add(worker);
  worker.stopped.then(() => {
    leaving.delete(worker);
    if (leaving.size === 0) for (const signal of signalNames) process.off(signal, leave);
  });
}

async function leave(signal: NodeJS.Signals): Promise<void> {
  // A second signal, of either kind, does what it does by default: it ends the process.
  for (const name of signalNames) process.off(name, leave);
  await Promise.allSettled([...leaving].map((worker) => worker.stop()));
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}
