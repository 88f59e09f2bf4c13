/** The events of one run: kept in order, read from the first by any number of readers, at the readers' pace. */
import type { RunEvent } from "./events.ts";

/**
 * While somebody reads, the run waits for the reader event by event, so that a reader who stops the run at an
 * event stops it just there. Once released (a stop, or somebody asks for the end) it waits no more.
 */
export class EventLog<T> {
  readonly #events: RunEvent<T>[] = [];
  readonly #waiting: (() => void)[] = [];
  #readers = 0;
  #released = false;
  #closed = false;
  #wake: (() => void) | undefined;

  get hasReaders(): boolean {
    return this.#readers > 0;
  }

  get isHeld(): boolean {
    return this.#readers > 0 && this.#waiting.length === 0 && !this.#released;
  }

  /** Resolves when a reader asks for the next event, and when the log is released. */
  demand(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  release(): void {
    this.#released = true;
    this.#wake?.();
  }

  push(event: RunEvent<T>): void {
    this.#events.push(event);
    this.#wakeReaders();
  }

  close(): void {
    this.#closed = true;
    this.#wakeReaders();
  }

  /** `onLeave` is called when the last reader leaves before the end; its promise is waited for. */
  read(onLeave: () => Promise<unknown>): AsyncIterableIterator<RunEvent<T>> {
    let cursor = 0;
    let state: "new" | "reading" | "done" = "new";
    const leave = () => {
      if (state === "reading") this.#readers--;
      state = "done";
      this.#wake?.();
    };
    /** The next event or the end, if it can be told now. */
    const told = (): IteratorResult<RunEvent<T>> | undefined => {
      const event = state === "reading" ? this.#events[cursor] : undefined;
      if (event !== undefined) {
        cursor++;
        return { value: event, done: false };
      }
      if (state === "reading" && this.#closed) leave();
      return state === "done" ? { value: undefined, done: true } : undefined;
    };
    const next = (): Promise<IteratorResult<RunEvent<T>>> => {
      if (state === "new") {
        state = "reading";
        this.#readers++;
      }
      const result = told();
      if (result !== undefined) return Promise.resolve(result);
      return new Promise((resolve) => {
        const tell = () => {
          const late = told();
          if (late === undefined) this.#waiting.push(tell);
          else resolve(late);
        };
        this.#waiting.push(tell);
        this.#wake?.();
      });
    };
    const end = async (): Promise<IteratorResult<RunEvent<T>>> => {
      const wasReading = state === "reading";
      leave();
      this.#wakeReaders();
      if (wasReading && this.#readers === 0 && !this.#closed) await onLeave();
      return { value: undefined, done: true };
    };
    const iterator: AsyncIterableIterator<RunEvent<T>> = {
      next,
      return: end,
      throw: async (error) => {
        await end();
        throw error;
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  #wakeReaders(): void {
    if (this.#waiting.length === 0) return;
    for (const tell of this.#waiting.splice(0)) tell();
  }
}
