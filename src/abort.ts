/** A stop as data: who asked first and why, and waits that end when it comes and leave nothing behind. */
import type { StopCause } from "./events.ts";
import { textOf } from "./json.ts";

/** A stop request that won. `at` is `performance.now()` in ms; `graceMs` what its sender waits for the tools. */
export interface Stop {
  readonly cause: StopCause;
  readonly reason: unknown;
  readonly at: number;
  readonly graceMs?: number | undefined;
}

/** Thrown through the engine by a wait that a stop ended. Never reaches a user. */
export class Stopped extends Error {
  readonly stop: Stop;

  constructor(stop: Stop) {
    super(describeStop(stop));
    this.stop = stop;
  }
}

/**
 * One owner's stop: the first request wins and is kept. Listeners are a plain set, so that linking and
 * unlinking cost next to nothing; the `AbortSignal` for foreign code is made when first read.
 */
export class StopSource {
  #stop: Stop | undefined;
  #controller: AbortController | undefined;
  readonly #listeners = new Set<(stop: Stop) => void>();

  get stopped(): Stop | undefined {
    return this.#stop;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#stop !== undefined) this.#controller.abort(this.#stop.reason);
    }
    return this.#controller.signal;
  }

  /** Whether this request won. Listeners are called at once, in the order in which they came. */
  stop(cause: StopCause, reason: unknown, graceMs?: number): boolean {
    if (this.#stop !== undefined) return false;
    const stop: Stop = Object.freeze({ cause, reason, at: performance.now(), graceMs });
    this.#stop = stop;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener(stop);
    if (this.#controller !== undefined) this.#controller.abort(reason);
    return true;
  }

  /** Calls `listener` once, at once where the stop has come already. Returns how to unlink it. */
  onStop(listener: (stop: Stop) => void): () => void {
    if (this.#stop !== undefined) {
      listener(this.#stop);
      return () => {};
    }
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  throwIfStopped(): void {
    if (this.#stop !== undefined) throw new Stopped(this.#stop);
  }

  /** The value of `work`, or `Stopped` as soon as the stop comes; a late rejection of `work` is taken care of. */
  race<T>(work: PromiseLike<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const stopped = (stop: Stop) => reject(new Stopped(stop));
      // By hand, not by onStop: this wait happens once for every delta.
      if (this.#stop === undefined) this.#listeners.add(stopped);
      else stopped(this.#stop);
      work.then(
        (value) => {
          this.#listeners.delete(stopped);
          resolve(value);
        },
        (error) => {
          this.#listeners.delete(stopped);
          reject(error);
        },
      );
    });
  }
}

/** Carries an `AbortSignal`'s abort into a stop source. The caller unlinks it when the work is over. */
export function linkSignal(signal: AbortSignal, target: StopSource): () => void {
  const forward = () => target.stop("signal", signal.reason);
  if (signal.aborted) {
    forward();
    return () => {};
  }
  signal.addEventListener("abort", forward, { once: true });
  return () => signal.removeEventListener("abort", forward);
}

/** Waits `ms` milliseconds; rejects with the signal's reason as soon as it is aborted, and clears the timer. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}

const reasonMax = 500;

/** The reason of a stop as text of 500 characters at most, for notes, patches and messages. */
export function describeStop(stop: Pick<Stop, "cause" | "reason">): string {
  const { reason, cause } = stop;
  const text = reason === undefined || reason === null ? "" : textOf(reason).toWellFormed();
  if (text === "") return causeText[cause];
  return text.length <= reasonMax ? text : `${text.slice(0, reasonMax).toWellFormed()}…`;
}

/** Whether an error only says that its work was aborted. */
export function isAbortError(error: unknown, signal: AbortSignal | Stop): boolean {
  if (error === signal.reason) return true;
  if (typeof error !== "object" || error === null) return false;
  const { name, code } = error as { name?: unknown; code?: unknown };
  return name === "AbortError" || name === "CanceledError" || code === "ABORT_ERR" || code === "ERR_CANCELED";
}

const causeText = {
  signal: "the signal was aborted",
  timeout: "a timeout has passed",
  cancel: "cancelled",
  consumer: "the reader left",
  parent: "the parent run was stopped",
  shutdown: "the process shuts down",
} satisfies Record<StopCause, string>;
