/** A worker: takes stored runs up, as many at once as it may, and gives them back when it has to leave. */
import { randomUUID } from "node:crypto";
import type { StoredFunction } from "./attempt.ts";
import { Executor } from "./executor.ts";
import type { QueueWorker, RunQueue } from "./queue.ts";
import { Reconciler } from "./reconciler.ts";
import { runtime } from "./runtime.ts";
import { queuesItself } from "./storage.ts";
import type { RunStore } from "./store.ts";
import { StorePump } from "./store-pump.ts";
import type { WorkerSettings } from "./worker-settings.ts";

const defaultConcurrency = 10;
const defaultDrainMs = 10_000;
const defaultMaxAttempts = 10;
const defaultReconcileMs = 30_000;

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

  constructor(store: RunStore, queue: RunQueue | undefined, settings: WorkerSettings, isExplicit: boolean) {
    const { limits = {}, maxAttempts = defaultMaxAttempts, onRunEnd } = settings;
    this.owner = `${process.pid}-${randomUUID()}`;
    this.isExplicit = isExplicit;
    this.#store = store;
    this.#queue = queue;
    this.#settings = settings;
    const { owner } = this;
    const functions = this.#functions;
    this.#executor = new Executor({ store, owner, functions, limits, maxAttempts, onRunEnd });
    const { concurrency = defaultConcurrency, reconcileMs = defaultReconcileMs } = settings;
    if (queue === undefined && queuesItself(store)) {
      this.#pump = new StorePump(store, this.#executor, { owner, functions, limits, concurrency });
    }
    if (queue !== undefined) this.#reconciler = new Reconciler(store, queue, reconcileMs);
    this.stopped = new Promise((resolve) => {
      this.#resolveStopped = resolve;
    });
    if (isExplicit) this.#hold = setInterval(() => {}, 2 ** 30);
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

  has(functionName: string): boolean {
    return this.#functions.has(functionName);
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
    const subscription = await queue.work(execute, { functions, concurrency });
    for (const name of functions) this.#subscribed.add(name);
    this.#reconciler?.start();
    return subscription;
  }

  async #leave(drainMs: number): Promise<void> {
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
    clearInterval(this.#hold);
  }
}

const allWorkers = new WeakMap<RunStore, readonly Worker[]>();

/** The workers of this process at a store. */
export function workersOf(store: RunStore): readonly Worker[] {
  return allWorkers.get(store) ?? [];
}

/** The worker that a process has by itself, where it submits runs and has started none: it runs what it submits. */
export async function serve(store: RunStore, queue: RunQueue | undefined, fn: StoredFunction): Promise<void> {
  const known = workersOf(store).find(({ isExplicit }) => !isExplicit);
  const settings = runtime.settings.worker === false ? {} : (runtime.settings.worker ?? {});
  const worker = known ?? new Worker(store, queue, settings, false);
  // Its watches and timers belong to no run, though one may have begun it.
  await runtime.outside(() => worker.serve([fn]));
}
