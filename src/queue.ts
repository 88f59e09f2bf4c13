/** The seam to an engine that carries jobs between machines: which worker runs a run now, and who gets it after a crash. */
import type { NewRun } from "./store.ts";

/** What became of a delivery: done with, or to be delivered again after a while. */
export type Delivery = { readonly kind: "done" } | { readonly kind: "later"; readonly delayMs: number };

/** Runs one delivered run. `signal` is aborted when the engine has taken the run away from this worker. */
export type Execute = (runId: string, signal: AbortSignal) => Promise<Delivery>;

export interface WorkOptions {
  /** The functions that this worker has: it is given no others. */
  readonly functions: readonly string[];
  /** The most runs at once in this worker. */
  readonly concurrency: number;
  /** Hears of faults that end no run, where the queue was given no listener of its own. */
  report?(what: string, cause: unknown): void;
  /** How many more it may have just now, as some of its runs only wait for others. */
  extra?(): number;
}

/** A worker's subscription with a queue. */
export interface QueueWorker {
  /** From now on it is given runs of these functions too. The same `concurrency` holds for all. */
  add(functions: readonly string[]): void;
  /** Takes no more runs; those at work go on. */
  pause(): Promise<void>;
  /** Ends the subscription. Runs at work should have ended by now; what has not is delivered elsewhere. */
  stop(): Promise<void>;
}

/**
 * A queue delivers each enqueued run at least once, to a worker that has its function; again where the worker died or
 * `execute` rejected. It holds run ids only: the truth is in the store.
 */
export interface RunQueue {
  /** Whether `enqueue` can be part of the store's transaction; if not, it is called when the run is stored. */
  readonly joinsTransaction: boolean;
  /** Idempotent for a run id while its job waits or runs. `transaction`: that of the store's `create`, if it has one. */
  enqueue(run: QueuedRun, transaction?: unknown): Promise<void>;
  /** Those of these runs that no job stands for: none waits, is delayed or runs. The reconciler puts them back. */
  missing(runs: readonly QueuedRun[]): Promise<readonly QueuedRun[]>;
  /** Removes a waiting job, as well as it can. */
  dequeue(run: QueuedRun): Promise<void>;
  work(execute: Execute, options: WorkOptions): Promise<QueueWorker>;
  close(): Promise<void>;
}

/** What a queue needs to know of a run. */
export type QueuedRun = Pick<NewRun, "runId" | "functionName" | "priority" | "delayMs">;
