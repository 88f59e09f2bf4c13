/** What can be done with stored runs by their ids, from any process that has the store. */
import { describeStop, linkSignal, StopSource } from "./abort.ts";
import { RunCancelledError, TimeoutError, UsageError } from "./errors.ts";
import { persistently } from "./event-writer.ts";
import type { StoredEvent } from "./events.ts";
import type { Json } from "./json.ts";
import { errorToJson, shown } from "./json.ts";
import { bellsOf } from "./run-bells.ts";
import { checkFilter } from "./run-filter.ts";
import { runtime } from "./runtime.ts";
import { knowsStore, queueFor, theStore } from "./storage.ts";
import type { PruneOptions, RunFilter, RunRecord, RunStore } from "./store.ts";
import { revivedError, revivedEvent } from "./stored-outcome.ts";
import { endWaiting } from "./stored-stop.ts";
import { type StopOptions, workersOf } from "./worker.ts";

/** Events before this one were pruned: what the reader asked for is not there any more. */
export interface GapEvent {
  readonly type: "gap";
  readonly runId: string;
  /** The number of the last event that is missing. */
  readonly seq: number;
}

/** How to wait for a run, or to read its events. */
export interface WaitOptions {
  /** How long to wait, in ms; then `TimeoutError`. The run goes on. Default: without limit. */
  readonly timeoutMs?: number;
  /** Ends the waiting, never the run. */
  readonly abortSignal?: AbortSignal;
}

export interface EventOptions {
  /** The `seq` of the last event that is known already; default 0, from the first. */
  readonly after?: number;
  /** Ends the reading, never the run. */
  readonly abortSignal?: AbortSignal;
}

export interface CancelOptions {
  /** Who asks, for the record. */
  readonly by?: string;
}

/** A stored run, for whoever began it. */
export interface RunHandle<T = Json> {
  readonly runId: string;
  get(): Promise<RunRecord>;
  /** Resolves with the record of the run that has ended. */
  wait(options?: WaitOptions): Promise<RunRecord>;
  /**
   * What `await` on the call would have given, as JSON: a `Date` is text here, whatever `T` says. Throws where that would
   * have thrown: `RunCancelledError`, or an error with the stored name, message and code (no instance of its class).
   */
  result(options?: WaitOptions): Promise<T>;
  events(options?: EventOptions): AsyncIterable<StoredEvent | GapEvent>;
  cancel(reason?: unknown, options?: CancelOptions): Promise<boolean>;
}

/** How long a reader waits for a bell before it looks by itself, in ms. */
const floorMs = 1000;

/**
 * Stored runs by their ids. Every method works in any process that has the same store.
 *
 * @example
 * const record = await runs.wait(runId, { timeoutMs: 60_000 });
 * for await (const event of runs.events(runId, { after: 12 })) console.log(event.seq, event.type);
 */
export const runs = {
  /** The record, or nothing where the store has none. */
  async get(runId: string): Promise<RunRecord | undefined> {
    return (await theStore()).get(checkId(runId));
  },

  /** Newest first, 100 by default; `before` asks for the next page. */
  async list(filter: RunFilter = {}): Promise<RunRecord[]> {
    return (await theStore()).list(checkFilter(filter));
  },

  /**
   * Resolves with the record when the run has ended, however it did.
   *
   * @throws UsageError `unknown_run`; TimeoutError after `timeoutMs`; the reason of `abortSignal`
   */
  async wait(runId: string, options: WaitOptions = {}): Promise<RunRecord> {
    checkWait(options);
    const store = await theStore();
    for await (const record of changes(store, checkId(runId), options)) if (hasEnded(record)) return record;
    throw unknownRun(runId);
  },

  /**
   * The events of the run: those that are there, then live, until the terminal one. Leaving the loop never stops the run.
   *
   * @throws UsageError `unknown_run`; the reason of `abortSignal`
   */
  async *events(
    runId: string,
    { after = 0, abortSignal }: EventOptions = {},
  ): AsyncGenerator<StoredEvent | GapEvent, void> {
    if (!Number.isInteger(after) || after < 0) {
      throw new UsageError(
        "invalid_option",
        `"after" must be the "seq" of an event, a whole number from 0, not ${shown(after)}.`,
      );
    }
    const store = await theStore();
    let seq = after;
    // The record first: what it says of the end holds for the events that are read after it.
    for await (const record of changes(
      store,
      checkId(runId),
      abortSignal === undefined ? {} : { abortSignal },
    )) {
      if (record.firstSeq > seq + 1) {
        seq = record.firstSeq - 1;
        yield { type: "gap", runId, seq };
      }
      while (seq < record.lastSeq) {
        const page = await persistently(() => store.events(runId, seq));
        if (page.length === 0) break;
        for (const event of page) {
          yield revivedEvent(event);
          seq = event.seq;
        }
      }
      if (hasEnded(record) && seq >= record.lastSeq) return;
    }
  },

  /**
   * Asks the run to stop, wherever it is, with all that it has begun in the background. `true` where it was there and
   * had not ended; `false` where the request was kept for a run that may still come, or where the run had ended.
   */
  async cancel(runId: string, reason?: unknown, options: CancelOptions = {}): Promise<boolean> {
    checkCancel(options);
    const store = await theStore();
    const found = await store.requestStop(checkId(runId), {
      ...(reason === undefined ? {} : { reason: errorToJson(reason) as Json }),
      ...options,
    });
    await endWaiting(store, runId);
    return found;
  },

  /**
   * Takes up a run that was cancelled or failed, from its last whole turn, as its next attempt: by a worker that has its
   * function, in this process or another.
   *
   * @throws UsageError `unknown_run`, or `invalid_option` where the run is in no such state
   */
  async resume(runId: string): Promise<RunHandle> {
    const store = await theStore();
    const record = await known(store, checkId(runId));
    if (record.firstSeq > 1) {
      throw new UsageError(
        "invalid_option",
        `The events and the journal of the run ${runId} were pruned: it can only be begun anew, with another id.`,
      );
    }
    const event = { type: "run-resumed", attempt: record.attempt + 1, runId, at: Date.now() } as const;
    if (!(await store.reopen(runId, event))) {
      throw new UsageError(
        "invalid_option",
        `The run ${runId} is ${record.status}: only a run that was cancelled or failed can be resumed.`,
      );
    }
    await queueFor(store)?.enqueue(record);
    return handleOf(runId);
  },

  /** Removes what has ended long ago; gives the number of runs. */
  async prune(options: PruneOptions): Promise<number> {
    if (!Number.isFinite(options?.olderThanMs) || options.olderThanMs < 0) {
      throw new UsageError(
        "invalid_option",
        `runs.prune takes { olderThanMs }, the age of what goes in ms, not ${shown(options?.olderThanMs)}.`,
      );
    }
    if (options.what !== undefined && options.what !== "runs" && options.what !== "events") {
      throw new UsageError(
        "invalid_option",
        `"what" must be "runs" or "events", not ${shown(options.what)}.`,
      );
    }
    return (await theStore()).prune(options);
  },

  /** Leaves: the workers of this process at the store stop as `worker.stop()` does, then queue and store are closed. */
  async close(options: StopOptions = {}): Promise<void> {
    if (!knowsStore()) return;
    const store = await theStore();
    await Promise.all(workersOf(store).map((worker) => worker.stop(options)));
    await runtime.settings.queue?.close();
    await store.close();
    runtime.defaultStore = undefined;
  },
};

/** The handle of any run; `T` is what its function answers. */
export function handleOf<T = Json>(runId: string): RunHandle<T> {
  return {
    runId,
    get: async () => known(await theStore(), runId),
    wait: (options) => runs.wait(runId, options),
    result: async (options) => resultOf<T>(await runs.wait(runId, options)),
    events: (options) => runs.events(runId, options),
    cancel: (reason, options) => runs.cancel(runId, reason, options),
  };
}

/** The answer of a run that has ended; throws where `await` on the call would have thrown. */
function resultOf<T>({ runId, outcome }: RunRecord): T {
  if (outcome === undefined) throw new Error(`The run ${runId} has ended without an outcome.`);
  // A completed run may have no value at all; a chat that was cancelled has one.
  if (outcome.status === "completed" || outcome.value !== undefined) return outcome.value as T;
  if (outcome.error !== undefined) throw revivedError(outcome.error);
  const { reason, cause = "cancel", history, text, patches } = outcome;
  const message = `The run was cancelled: ${describeStop({ reason, cause })}`;
  throw new RunCancelledError(message, { cause: reason, runId, history, text, patches });
}

export function hasEnded({ status }: RunRecord): boolean {
  return status !== "pending" && status !== "running";
}

async function known(store: RunStore, runId: string): Promise<RunRecord> {
  const record = await store.get(runId);
  if (record === undefined) throw unknownRun(runId);
  return record;
}

/** The record, now and whenever it may have changed. */
async function* changes(
  store: RunStore,
  runId: string,
  { timeoutMs, abortSignal }: WaitOptions,
): AsyncGenerator<RunRecord, void> {
  const stop = new StopSource();
  const unlink = abortSignal === undefined ? undefined : linkSignal(abortSignal, stop);
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => stop.stop("timeout", new TimeoutError("wait", timeoutMs)), timeoutMs);
  // A store that cannot be reached is told of at once; one that goes away later is waited for.
  await known(store, runId);
  const current = runtime.current;
  const waitsNoMore = current === undefined ? undefined : runtime.find(current.runId)?.waits();
  const bell = await bellsOf(store).listen(runId);
  try {
    for (;;) {
      if (stop.stopped !== undefined) throw stop.stopped.reason;
      const heard = bell.next(floorMs, stop);
      const record = await persistently(() => store.get(runId));
      if (record === undefined) throw unknownRun(runId);
      yield record;
      await heard;
    }
  } finally {
    bell.end();
    unlink?.();
    waitsNoMore?.();
    clearTimeout(timer);
  }
}

function checkId(runId: unknown): string {
  if (typeof runId === "string" && runId !== "") return runId;
  throw new UsageError("invalid_option", `A run's id is a string that is not empty, not ${shown(runId)}.`);
}

function checkCancel(options: CancelOptions): void {
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

function checkWait({ timeoutMs, abortSignal }: WaitOptions): void {
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

function unknownRun(runId: string): UsageError {
  return new UsageError("unknown_run", `The store has no run "${runId}".`);
}
