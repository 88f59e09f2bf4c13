/** A worker: takes stored runs up, as many at once as it may, and gives them back when it has to leave. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { StoredFunction } from "./attempt.ts";
import { Executor } from "./executor.ts";
import type { QueueWorker, RunQueue } from "./queue.ts";
import { Reconciler } from "./reconciler.ts";
import { runtime } from "./runtime.ts";
import { queuesItself } from "./storage.ts";
import type { RunRecord, RunStore } from "./store.ts";
import { StorePump } from "./store-pump.ts";
import type { WorkerSettings } from "./worker-settings.ts";

const defaultConcurrency = 10;
const defaultDrainMs = 10_000;
const defaultMaxAttempts = 10;
const defaultReconcileMs = 30_000;
const submittedMax = 100_000;
/** How long a worker that leaves waits for its hooks, in ms. */
const hookPatienceMs = 1000;

/** How long a worker takes to leave. */
export interface StopOptions {
  /** How long turns at work may take to end, in ms; default the worker's `drainMs` (10,000). */
  readonly drainMs?: number;
}

export class Worker implements AsyncDisposable {
  /** Unique to this worker; the records of its runs name it. */
  readonly owner: string;
  readonly isExplicit: boolean;
  readonly #store: RunStore;
  readonly #queue: RunQueue | undefined;
  readonly #settings: WorkerSettings;
  readonly #functions = new Map<string, StoredFunction>();
  readonly #submitted = new Map<string, StoredFunction>();
  readonly #executor: Executor;
  readonly #pump: StorePump | undefined;
  readonly #reconciler: Reconciler | undefined;
  #subscription: Promise<QueueWorker> | undefined;
  /** The functions of which the queue gives runs to this worker. */
  readonly #subscribed = new Set<string>();
  /** A process that was made a worker lives until its worker is stopped. */
  readonly #hold: NodeJS.Timeout | undefined;
  /** Resolves when the worker has left. */
  readonly stopped: Promise<void>;
  #resolveStopped: () => void = () => {};
  #leaving: Promise<void> | undefined;
  readonly #hooks = new Set<Promise<void>>();

  constructor(store: RunStore, queue: RunQueue | undefined, settings: WorkerSettings, isExplicit: boolean) {
    const { limits = {}, maxAttempts = defaultMaxAttempts, onRunEnd } = settings;
    this.owner = `${process.pid}-${randomUUID()}`;
    this.isExplicit = isExplicit;
    this.#store = store;
    this.#queue = queue;
    this.#settings = settings;
    const { owner } = this;
    const functions = this.#functions;
    const functionOf = ({ runId, functionName }: RunRecord) => {
      const submitted = this.#submitted.get(runId);
      return submitted?.functionName === functionName ? submitted : functions.get(functionName);
    };
    const functionNames = () => this.functionNames;
    // One that was stopped or has failed may be resumed, with its own object.
    const onCompleted = (runId: string) => void this.#submitted.delete(runId);
    const told =
      onRunEnd === undefined ? {} : { onRunEnd: (runId: string) => this.#tellEnd(runId, onRunEnd) };
    this.#executor = new Executor({
      store,
      owner,
      functionOf,
      limits,
      maxAttempts,
      functionNames,
      onCompleted,
      ...told,
    });
    const { concurrency = defaultConcurrency, reconcileMs = defaultReconcileMs } = settings;
    if (queue === undefined && queuesItself(store)) {
      this.#pump = new StorePump(store, this.#executor, { owner, functions, limits, concurrency });
    }
    if (queue !== undefined) this.#reconciler = new Reconciler(store, queue, reconcileMs);
    this.stopped = new Promise((resolve) => {
      this.#resolveStopped = resolve;
    });
    if (isExplicit) {
      this.#hold = setInterval(() => {}, 2 ** 30);
      withoutOwn.add(store);
    }
    allWorkers.set(store, [...workersOf(store), this]);
  }

  /** The names of the functions that this worker runs. */
  get functionNames(): readonly string[] {
    return [...this.#functions.keys()];
  }

  /** How many runs are at work here. */
  get active(): number {
    return this.#executor.active;
  }

  /** The function that runs of this name get here. */
  functionNamed(functionName: string): StoredFunction | undefined {
    return this.#functions.get(functionName);
  }

  /**
   * A run that is submitted here runs as it was submitted: with the object whose method was called. Returns how to take
   * that back, where the submission fails.
   */
  note(runId: string, fn: StoredFunction): () => void {
    if (this.#submitted.has(runId)) return () => {};
    this.#submitted.set(runId, fn);
    // Those that other processes have run leave no sign here: the oldest are the likeliest to be over.
    const [oldest] = this.#submitted.keys();
    if (this.#submitted.size > submittedMax && oldest !== undefined) this.#submitted.delete(oldest);
    return () => void this.#submitted.delete(runId);
  }

  /** Takes runs of these functions from now on; of one that it has already, the newer one counts. */
  async serve(fns: readonly StoredFunction[]): Promise<void> {
    for (const fn of fns) this.#functions.set(fn.functionName, fn);
    await this.#pump?.start();
    if (this.#queue === undefined || this.#leaving !== undefined) return;
    this.#subscription ??= this.#subscribe(this.#queue).catch((error) => {
      // The next call tries again.
      this.#subscription = undefined;
      throw error;
    });
    const subscription = await this.#subscription;
    const added = this.functionNames.filter((name) => !this.#subscribed.has(name));
    if (added.length === 0) return;
    subscription.add(added);
    for (const name of added) this.#subscribed.add(name);
  }

  /**
   * Leaves: takes no more runs, lets turns at work end, and gives back what has not ended by then. No run is marked as
   * cancelled. A second call waits for the first.
   */
  stop({ drainMs = this.#settings.drainMs ?? defaultDrainMs }: StopOptions = {}): Promise<void> {
    this.#leaving ??= this.#leave(drainMs).finally(() => this.#resolveStopped());
    return this.#leaving;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #subscribe(queue: RunQueue): Promise<QueueWorker> {
    const { concurrency = defaultConcurrency } = this.#settings;
    const functions = this.functionNames;
    const execute = (runId: string, signal: AbortSignal) => this.#executor.execute(runId, signal);
    const extra = () => this.#executor.idle;
    const report = (what: string, cause: unknown) => runtime.report(what, cause);
    const subscription = await queue.work(execute, { functions, concurrency, extra, report });
    for (const name of functions) this.#subscribed.add(name);
    this.#reconciler?.start();
    return subscription;
  }

  /** Beside the runs: a hook that hangs holds no run up. */
  #tellEnd(runId: string, hook: NonNullable<WorkerSettings["onRunEnd"]>): void {
    const telling = (async () => {
      const record = await this.#store.get(runId);
      if (record !== undefined) await hook(record);
    })()
      .catch((error) => runtime.report("onRunEnd failed", error))
      .finally(() => this.#hooks.delete(telling));
    this.#hooks.add(telling);
  }

  async #leave(drainMs: number): Promise<void> {
    withoutOwn.add(this.#store);
    allWorkers.set(
      this.#store,
      workersOf(this.#store).filter((worker) => worker !== this),
    );
    this.#pump?.stop();
    // Where it fails, `serve` says so.
    const subscription = await this.#subscription?.catch(() => undefined);
    this.#reconciler?.stop();
    await subscription?.pause();
    await this.#executor.drain(drainMs);
    await subscription?.stop();
    // A hook may itself wait for this worker to leave.
    const told = new AbortController();
    const patience = sleep(Math.min(drainMs, hookPatienceMs), undefined, { signal: told.signal });
    await Promise.race([Promise.all(this.#hooks), patience.catch(() => {})]);
    told.abort();
    clearInterval(this.#hold);
  }
}

const allWorkers = new WeakMap<RunStore, readonly Worker[]>();

/** The workers of this process at a store. */
export function workersOf(store: RunStore): readonly Worker[] {
  return allWorkers.get(store) ?? [];
}

/** Stores at which a worker of `startWorker` is, or any worker has left: no other begins there by itself. */
const withoutOwn = new WeakSet<RunStore>();

/** Whether a process that submits runs to this store runs them by itself, too. */
export function mayRunHere(store: RunStore): boolean {
  return runtime.settings.worker !== false && !withoutOwn.has(store);
}

/** The worker that a process has by itself, where it submits runs and has started none: it runs what it submits. */
export function ownWorker(store: RunStore, queue: RunQueue | undefined): Worker {
  const settings = runtime.settings.worker === false ? {} : (runtime.settings.worker ?? {});
  const known = workersOf(store).find(({ isExplicit }) => !isExplicit);
  return known ?? new Worker(store, queue, settings, false);
}

/** Its watches and timers belong to no run, though one may have begun it. */
export async function serve(store: RunStore, queue: RunQueue | undefined, fn: StoredFunction): Promise<void> {
  await runtime.outside(() => ownWorker(store, queue).serve([fn]));
}
