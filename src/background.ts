/** Submits runs that outlive their caller: checked, stored as pending, and handed to whoever runs them. */
import { createHash, randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { StoredFunction } from "./attempt.ts";
import { UsageError } from "./errors.ts";
import {
  isPlainObject,
  type Json,
  type JsonObject,
  jsonProblem,
  jsonText,
  parseJson,
  shown,
} from "./json.ts";
import { type CallOptions, callOptions, idShape, isId } from "./options.ts";
import type { RunQueue } from "./queue.ts";
import type { RunHandle } from "./run-handle.ts";
import { handleOf, runs } from "./runs.ts";
import { type CurrentRun, runtime } from "./runtime.ts";
import { queueFor, theStore } from "./storage.ts";
import type { NewRun, RunRecord, RunStore } from "./store.ts";
import { endWaiting } from "./stored-stop.ts";
import { mayRunHere, ownWorker, serve, workersOf } from "./worker.ts";

/** The options of a run in the background; the call's arguments and these must be JSON. */
export interface BackgroundOptions extends Omit<CallOptions, "abortSignal"> {
  /** What belongs together: a conversation, a customer. For `runs.list({ key })` and for limits. */
  readonly key?: string;
  /** Higher goes first; a whole number, default 0. */
  readonly priority?: number;
  /** How long to wait before it may begin, in ms. */
  readonly delayMs?: number;
  /** `true`: it belongs to no run, though a tool begins it, and goes on when that one is stopped. Default `false`. */
  readonly detached?: boolean;
}

/**
 * Stores a run as `pending` and gives a handle to it. An id that is known already gives that run, if it was given the
 * same input.
 *
 * @throws UsageError as a call does, and `not_json`, `duplicate_run`, `unknown_function`
 */
export async function submit<T>(fn: StoredFunction, given: readonly unknown[]): Promise<RunHandle<T>> {
  const run = newRun(fn, given);
  const store = await theStore();
  const queue = queueFor(store);
  checkWorkers(store, fn);
  const isRunHere = mayRunHere(store);
  const takeBack = isRunHere ? ownWorker(store, queue).note(run.runId, fn) : () => {};
  const { created, record } = await create(store, queue, run).catch((error) => {
    takeBack();
    throw error;
  });
  // Stopped before it was there: it is over without a worker.
  if (record.stopRequest !== undefined && record.status === "pending") await endWaiting(store, run.runId);
  // It may have begun to leave meanwhile.
  if (isRunHere && mayRunHere(store)) await serve(store, queue, fn);
  if (created && run.parentRunId !== undefined) stopWithParent(run.runId);
  return handleOf<T>(run.runId, store);
}

/** With its job: in one transaction, or right behind it. An id that is there already must be that of the same run. */
async function create(store: RunStore, queue: RunQueue | undefined, run: NewRun) {
  const joins = queue?.joinsTransaction === true;
  const result = joins
    ? await store.create(run, (transaction) => queue.enqueue(run, transaction))
    : await store.create(run);
  if (!result.created) refuseOther(result.record, run);
  else if (queue !== undefined && !joins) await enqueue(queue, run);
  return result;
}

/** A run whose job is lost is put back by a worker's reconciler: it is stored, which is what counts. */
async function enqueue(queue: RunQueue, run: NewRun): Promise<void> {
  try {
    await queue.enqueue(run);
  } catch (error) {
    runtime.report("A stored run could not be enqueued; a worker will do so later", error);
  }
}

function newRun(fn: StoredFunction, given: readonly unknown[]): NewRun {
  const { functionName } = fn;
  if (functionName === "") {
    throw new UsageError(
      "unknown_function",
      'A run in the background is found by its function\'s name, and this function has none: set { name: "…" }.',
    );
  }
  const { args, key, priority = 0, delayMs, detached, ...options } = readArguments(given);
  const problem = jsonProblem(args, "args") ?? jsonProblem(options, "options");
  if (problem !== undefined) {
    throw new UsageError(
      "not_json",
      `${functionName}.background: ${problem}. The run is stored, and may go on in another process: its arguments and ` +
        "options must be plain JSON.",
    );
  }
  const { runId: ownId, ...callerOptions } = options;
  // Made only to be checked, as a call would be; its options may hold limits of `withTimeout`.
  const spec = fn.spec(args as Json[], callerOptions);
  const { runId: _, ...stored } = spec.options;
  const current = detached === true ? undefined : runtime.current;
  const message = spec.message === undefined ? {} : { message: spec.message };
  const input = asJson({ args, options: stored, ...message });
  return {
    runId: ownId ?? freshId(functionName, input),
    functionName,
    input,
    ...(key === undefined ? {} : { key }),
    priority,
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(current === undefined ? {} : { parentRunId: current.runId }),
    ...(current?.callId === undefined ? {} : { parentCallId: current.callId }),
  };
}

/**
 * What a tool of a stored run begins has an id made from its call and its input: a call that runs again finds what it
 * began the first time, in whatever order.
 */
function freshId(functionName: string, input: NewRun["input"]): string {
  const { current } = runtime;
  // A call of the caller's own may use an id again, and its model a call's.
  if (current?.callId === undefined || runtime.find(current.runId)?.isStored !== true) return randomUUID();
  const digest = createHash("sha256")
    .update(JSON.stringify([functionName, input]))
    .digest("hex")
    .slice(0, 16);
  const counts = begun.get(current) ?? new Map<string, number>();
  begun.set(current, counts);
  const ordinal = (counts.get(digest) ?? 0) + 1;
  counts.set(digest, ordinal);
  const id = `${current.runId}.${current.callId}.${digest}.${ordinal}`;
  return isId(id) ? id : createHash("sha256").update(id).digest("hex");
}

/** How many runs of each kind a call has begun in the background. */
const begun = new WeakMap<CurrentRun, Map<string, number>>();

const longestDelayMs = 366 * 24 * 60 * 60 * 1000;

type Arguments = BackgroundOptions & { readonly args: readonly unknown[] };

function readArguments(given: readonly unknown[]): Arguments {
  const last = given.at(-1);
  // A trailing `undefined` is an optional argument that was left out.
  if (last === undefined && given.length > 0) return readArguments(given.slice(0, -1));
  if (!isPlainObject(last)) return { args: given };
  const { key, priority, delayMs, detached, ...rest } = last;
  const own = { key, priority, delayMs, detached };
  const isOwn = Object.values(own).some((value) => value !== undefined);
  // Read as a call reads them: an object with other keys is an argument.
  const options = callOptions([rest]);
  const isOptions = Object.keys(rest).length === Object.keys(options).length;
  if (!isOptions || (!isOwn && Object.keys(rest).length === 0)) return { args: given };
  if (options.abortSignal !== undefined) {
    throw new UsageError(
      "invalid_option",
      "A run in the background outlives its caller, so it takes no abortSignal: stop it with runs.cancel(runId).",
    );
  }
  checkOwn(own);
  return { args: given.slice(0, -1), ...options, ...(own as BackgroundOptions) };
}

function checkOwn({ key, priority, delayMs, detached }: Record<string, unknown>): void {
  const fail = (what: string, value: unknown): never => {
    throw new UsageError("invalid_option", `${what}, not ${shown(value)}.`);
  };
  if (key !== undefined && !isId(key)) fail(`"key" must be ${idShape}`, key);
  if (priority !== undefined && !(Number.isInteger(priority) && Math.abs(Number(priority)) <= 1000)) {
    fail('"priority" must be a whole number from -1000 to 1000', priority);
  }
  if (delayMs !== undefined && !(Number(delayMs) >= 0 && Number(delayMs) <= longestDelayMs)) {
    fail('"delayMs" must be a number of milliseconds from 0 to a year', delayMs);
  }
  if (detached !== undefined && typeof detached !== "boolean") {
    fail('"detached" must be true or false', detached);
  }
}

function refuseOther(record: RunRecord, run: NewRun): void {
  if (record.functionName === run.functionName && isDeepStrictEqual(record.input, run.input)) return;
  throw new UsageError(
    "duplicate_run",
    `The id "${run.runId}" belongs to another run (of ${record.functionName}) with other arguments. The same id with the ` +
      "same arguments gives the run that is there; for a new run leave runId out, or choose another.",
  );
}

/** Where this process has workers of its own, one of them must have the function, of this very object. */
function checkWorkers(store: RunStore, fn: StoredFunction): void {
  const workers = workersOf(store).filter(({ isExplicit }) => isExplicit);
  if (workers.length === 0) return;
  const known = workers.flatMap((worker) => worker.functionNamed(fn.functionName) ?? []);
  if (known.length === 0) throw unknownFunction(fn);
  if (known.some(({ self }) => self === fn.self)) return;
  throw new UsageError(
    "unknown_function",
    `The worker of this process has ${fn.functionName} of another object. A run in the background has arguments and no ` +
      "fields: submit it by the object that startWorker was given, and pass what differs as an argument.",
  );
}

/** A stored parent is stopped through the store, with its children; this one is a call, and stops only here. */
function stopWithParent(runId: string): void {
  const { current } = runtime;
  const parent = current === undefined ? undefined : runtime.find(current.runId);
  if (current === undefined || parent === undefined || parent.isStored) return;
  current.runStop.onStop(({ reason }) => {
    // A stop after its end does nothing.
    if (runtime.find(current.runId) !== parent) return;
    runs
      .cancel(runId, reason)
      .catch((error) => runtime.report("A run that a stopped run had begun could not be stopped", error));
  });
}

function unknownFunction({ functionName }: StoredFunction): UsageError {
  return new UsageError(
    "unknown_function",
    `No worker of this process has the function ${functionName}: add its object to startWorker({ functions: [ … ] }).`,
  );
}

function asJson(input: { args: readonly unknown[]; options: CallOptions }): NewRun["input"] {
  return parseJson(jsonText(input) ?? "null") as { args: Json[]; options: JsonObject };
}
