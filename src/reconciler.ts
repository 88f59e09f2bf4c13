/** Puts back into the queue what the store has and the queue has lost: runs that nobody would run any more. */
import { listAll } from "./list-all.ts";
import type { RunQueue } from "./queue.ts";
import { runtime } from "./runtime.ts";
import type { RunStore } from "./store.ts";

export class Reconciler {
  readonly #store: RunStore;
  readonly #queue: RunQueue;
  readonly #everyMs: number;
  /** Runs that had no job at the last look: only the second look in a row counts, as jobs come and go. */
  #missing = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(store: RunStore, queue: RunQueue, everyMs: number) {
    this.#store = store;
    this.#queue = queue;
    this.#everyMs = everyMs;
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      this.#look().catch((error) => runtime.report("Lost jobs could not be looked for", error));
    }, this.#everyMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const missing = new Set<string>();
    for await (const record of listAll(this.#store, { status: ["pending", "running"] })) {
      if (await this.#queue.has(record)) continue;
      if (this.#missing.has(record.runId)) await this.#queue.enqueue(record);
      else missing.add(record.runId);
    }
    this.#missing = missing;
  }
}
