/** Brings a worker its runs from a store that needs no queue: whenever a bell rings, and now and then by itself. */
import { setTimeout as sleep } from "node:timers/promises";
import type { StoredFunction } from "./attempt.ts";
import type { Executor } from "./executor.ts";
import { runtime } from "./runtime.ts";
import type { Claim, RunLimits, SelfQueueingStore } from "./store.ts";

/** How often runs are looked for that no bell tells of: delayed ones, and those of dead owners, in ms. */
const floorMs = 500;
/** Bells ring for every write: one look answers all that ring within this time, in ms. */
const calmMs = 5;

interface PumpOptions {
  readonly owner: string;
  readonly functions: ReadonlyMap<string, StoredFunction>;
  readonly limits: RunLimits;
  readonly concurrency: number;
}

export class StorePump {
  readonly #store: SelfQueueingStore;
  readonly #executor: Executor;
  readonly #options: PumpOptions;
  #floor: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  #unwatch: (() => void) | undefined;
  #isPumping = false;
  #isStopped = false;

  constructor(store: SelfQueueingStore, executor: Executor, options: PumpOptions) {
    this.#store = store;
    this.#executor = executor;
    this.#options = options;
  }

  async start(): Promise<void> {
    if (this.#floor === undefined) {
      this.#floor = setInterval(() => this.#pumpSoon(), floorMs).unref();
      const ring = (runId?: string) => {
        if (runId === undefined || !this.#executor.has(runId)) this.#pumpSoon();
      };
      const unwatch = await this.#store.watch(ring);
      if (this.#isStopped) unwatch();
      else this.#unwatch = unwatch;
    }
    this.#pumpSoon();
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#floor);
    clearTimeout(this.#soon);
    this.#unwatch?.();
  }

  #pumpSoon(): void {
    if (this.#isStopped) return;
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      this.#pump().catch((error) => runtime.report("The run store could not be asked for work", error));
    }, calmMs);
  }

  /** Takes runs up until there is none to take, or no room for one. */
  async #pump(): Promise<void> {
    if (this.#isPumping) return this.#pumpSoon();
    this.#isPumping = true;
    const { owner, functions, limits, concurrency } = this.#options;
    try {
      while (!this.#isStopped && this.#executor.active - this.#executor.idle < concurrency) {
        const next = await this.#store.claimNext(owner, { functions: [...functions.keys()], limits });
        if (next === undefined) return;
        this.#executor
          .run(next.claim, next.record)
          .catch((error) => this.#putBack(next.claim, error))
          .finally(() => this.#pumpSoon());
      }
    } finally {
      this.#isPumping = false;
    }
  }

  /** Its store could not be written to. Its owner lives, so nobody else would take it up: it is given back, in the end. */
  async #putBack(claim: Claim, cause: unknown): Promise<void> {
    runtime.report("A run could not be carried to its end here", cause);
    for (;;) {
      try {
        await this.#store.release(claim);
        return;
      } catch (error) {
        // A worker that has left, or whose store was closed, holds nothing any more.
        if (this.#isStopped) return;
        runtime.report("A run could not be given back yet", error);
        await sleep(floorMs);
      }
    }
  }
}
