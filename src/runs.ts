/** What can be done with stored runs by their ids, from any process that has the store. */
import { describeStop, linkSignal, StopSource } from "./abort.ts";
import { RunCancelledError, TimeoutError, UsageError } from "./errors.ts";
import { persistently } from "./event-writer.ts";
import type { StoredEvent } from "./events.ts";
import type { Json } from "./json.ts";
import { errorToJson } from "./json.ts";
import { bellsOf } from "./run-bells.ts";
import { checkCancel, checkCursor, checkFilter, checkId, checkPrune, checkWait } from "./run-checks.ts";
import type { CancelOptions, EventOptions, GapEvent, RunHandle, WaitOptions } from "./run-handle.ts";
import { runtime } from "./runtime.ts";
import { knowsStore, queueFor, theStore } from "./storage.ts";
import type { PruneOptions, RunFilter, RunRecord, RunStore } from "./store.ts";
import { revivedError, revivedEvent } from "./stored-outcome.ts";
import { endWaiting } from "./stored-stop.ts";
import { type StopOptions, workersOf } from "./worker.ts";

/** How long a reader waits for a bell before it looks by itself, in ms. */
const floorMs = 1000;

/**
 * Stored runs by their ids. Every method works in any process that has the same store.
 *
 * @example
 * const record = await runs.wait(runId, { timeoutMs: 60_000 });
 * for await (const event of runs.events(runId, { after: 12 })) console.log(event.seq, event.type);
 */
export const runs = runsOf(theStore);

/** The same for a store of one's own choice. */
function runsOf(openStore: () => Promise<RunStore>) {
  return {
    /** The record, or nothing where the store has none. */
    async get(runId: string): Promise<RunRecord | undefined> {
      return (await openStore()).get(checkId(runId));
    },

    /** Newest first, 100 by default; `before` asks for the next page. */
    async list(filter: RunFilter = {}): Promise<RunRecord[]> {
      return (await openStore()).list(checkFilter(filter));
    },

    /**
     * Resolves with the record when the run has ended, however it did.
     *
     * @throws UsageError `unknown_run`; TimeoutError after `timeoutMs`; the reason of `abortSignal`
     */
    async wait(runId: string, options: WaitOptions = {}): Promise<RunRecord> {
      checkWait(options);
      const store = await openStore();
      const waitsNoMore = waitInside();
      try {
        for await (const record of changes(store, checkId(runId), options))
          if (hasEnded(record)) return record;
      } finally {
        waitsNoMore();
      }
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
      checkCursor(after);
      const store = await openStore();
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
      const store = await openStore();
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
      const store = await openStore();
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
      return handleOf(runId, store);
    },

    /** Removes what has ended long ago; gives the number of runs. */
    async prune(options: PruneOptions): Promise<number> {
      checkPrune(options);
      return (await openStore()).prune(options);
    },

    /** Leaves: the workers of this process at the store stop as `worker.stop()` does, then queue and store are closed. */
    async close(options: StopOptions = {}): Promise<void> {
      if (!knowsStore()) return;
      const store = await openStore();
      await Promise.all(workersOf(store).map((worker) => worker.stop(options)));
      await runtime.settings.queue?.close();
      await store.close();
      runtime.defaultStore = undefined;
    },
  };
}

/** The handle of a run in this store, whichever is configured later; `T` is what its function answers. */
export function handleOf<T = Json>(runId: string, store: RunStore): RunHandle<T> {
  const { wait, events, cancel } = runsOf(async () => store);
  return {
    runId,
    get: () => known(store, runId),
    wait: (options) => wait(runId, options),
    result: async (options) => resultOf<T>(await wait(runId, options)),
    events: (options) => events(runId, options),
    cancel: (reason, options) => cancel(runId, reason, options),
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

/** A tool that waits: its run, and those in which that began, take no room from what they wait for. */
function waitInside(): () => void {
  const ends: (() => void)[] = [];
  for (let run = runtime.current; run !== undefined; run = run.parent) {
    const live = runtime.find(run.runId);
    if (live !== undefined) ends.push(live.waits());
    if (live?.isStored === true) break;
  }
  return () => {
    for (const end of ends) end();
  };
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
    clearTimeout(timer);
  }
}

function unknownRun(runId: string): UsageError {
  return new UsageError("unknown_run", `The store has no run "${runId}".`);
}
