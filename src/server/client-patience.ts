/** How the client goes on where a connection breaks: again, after a while that grows, and not for ever. */
import { RequestError } from "./client-transport.ts";

interface Limits {
  readonly abortSignal?: AbortSignal | undefined;
  /** By the clock of `performance.now()`, in ms. */
  readonly deadline?: number | undefined;
}

const firstPauseMs = 100;
const longestPauseMs = 5000;
/** Failures in a row, without anything that came through: about half a minute. */
const mostFailures = 10;

/** How often it went wrong since something came through. */
export class Patience {
  #failures = 0;

  restore(): void {
    this.#failures = 0;
  }

  /** @throws the error, where it will not pass by itself, or has come too often */
  async after(error: unknown, { abortSignal, deadline }: Limits = {}): Promise<void> {
    abortSignal?.throwIfAborted();
    if (!(error instanceof RequestError && error.isTransient)) throw error;
    this.#failures++;
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** (this.#failures - 1));
    if (this.#failures > mostFailures) throw error;
    if (deadline !== undefined && performance.now() + pauseMs > deadline) throw error;
    await pause(pauseMs * (0.75 + Math.random() / 2), abortSignal);
  }
}

/** Tries until it works. */
export async function persistently<R>(work: () => Promise<R>, limits: Limits): Promise<R> {
  const patience = new Patience();
  for (;;) {
    try {
      return await work();
    } catch (error) {
      await patience.after(error, limits);
    }
  }
}

function pause(ms: number, abortSignal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(abortSignal?.reason);
    };
    const timer = setTimeout(() => {
      abortSignal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    abortSignal?.addEventListener("abort", stop, { once: true });
  });
}
