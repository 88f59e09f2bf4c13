/** What one has of a stored run: its handle, and how to wait for it and read its events. */
import type { StoredEvent } from "./events.ts";
import type { Json } from "./json.ts";
import type { RunRecord } from "./store.ts";

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
