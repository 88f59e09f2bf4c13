/** Runs the attempts of stored runs, from claim to end: the one way, whoever brings them here. */
import { Attempt, type ExecutorOptions } from "./attempt.ts";
import type { Delivery } from "./queue.ts";
import { runtime } from "./runtime.ts";
import type { Bell, Claim, RunRecord } from "./store.ts";

/** How long to wait before a run is tried again whose limit is reached, in ms. */
const busyDelayMs = 250;
/** How often stop requests are looked for where no bell rings, in ms. */
const floorMs = 1000;
/** How often a worker that leaves looks whether the rest only waits, in ms. */
const drainLookMs = 100;
/** Bells ring for every write: one look answers all that ring within this time, in ms. */
const calmMs = 10;

export class Executor {
  readonly #options: ExecutorOptions;
  readonly #active = new Map<string, Attempt>();
  readonly #deliveries = new Set<Promise<Delivery>>();
  readonly #endings = new Map<string, Promise<Delivery>>();
  #unwatch: Promise<() => void> | undefined;
  #floor: NodeJS.Timeout | undefined;
  #look: NodeJS.Timeout | undefined;
  #isDraining = false;

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  /** How many runs are at work here. */
  get active(): number {
    return this.#active.size;
  }

  /** How many of them only wait for other stored runs: they take no room from those. */
  get idle(): number {
    let count = 0;
    for (const runId of this.#active.keys()) if (runtime.find(runId)?.isWaiting() === true) count++;
    return count;
  }

  has(runId: string): boolean {
    return this.#active.has(runId);
  }

  /** Takes a run up by its id and runs it to its end. */
  async execute(runId: string, signal?: AbortSignal): Promise<Delivery> {
    const delivery = this.#takeUp(runId, signal);
    this.#deliveries.add(delivery);
    try {
      return await delivery;
    } finally {
      this.#deliveries.delete(delivery);
    }
  }

  async #takeUp(runId: string, signal: AbortSignal | undefined): Promise<Delivery> {
    const { store, owner, limits, functionNames } = this.#options;
    if (this.#isDraining) return { kind: "later", delayMs: 0 };
    const functions = functionNames?.();
    const result = await store.claim(runId, owner, {
      limits,
      ...(functions === undefined ? {} : { functions }),
    });
    if (result.kind === "busy") return { kind: "later", delayMs: busyDelayMs };
    return result.kind === "taken" ? { kind: "done" } : this.run(result.claim, result.record, signal);
  }

  /** Runs what was claimed. Resolves when the run has ended here, for good or for another worker. */
  async run(claim: Claim, record: RunRecord, signal?: AbortSignal): Promise<Delivery> {
    if (this.#isDraining) {
      await this.#options.store.release(claim);
      return { kind: "later", delayMs: 0 };
    }
    // The same run may still be on its way out here, from an attempt that has lost it.
    const earlier = this.#endings.get(claim.runId);
    if (earlier !== undefined) await earlier.catch(() => {});
    const attempt = new Attempt(this.#options, claim, record);
    this.#active.set(claim.runId, attempt);
    this.#watch();
    const lose = () => attempt.lose(signal?.reason);
    signal?.addEventListener("abort", lose, { once: true });
    if (signal?.aborted === true) lose();
    const ending = attempt.run();
    this.#endings.set(claim.runId, ending);
    // A request may have come between the claim and this watch.
    this.#lookSoon();
    try {
      return await ending;
    } finally {
      signal?.removeEventListener("abort", lose);
      this.#endings.delete(claim.runId);
      this.#active.delete(claim.runId);
      if (this.#active.size === 0) this.#unwatchAll();
    }
  }

  /**
   * Lets running turns end within the limit, in ms, then stops what still runs. Every run that has not ended by then is
   * given back, for another worker to take up; none is marked as cancelled.
   */
  async drain(limitMs: number): Promise<void> {
    this.#isDraining = true;
    for (const attempt of this.#active.values()) attempt.drain();
    const handBack = () => {
      for (const attempt of this.#active.values()) attempt.handBack();
    };
    const limit = setTimeout(handBack, limitMs);
    // Where all that is left waits for runs elsewhere, nobody here can end what they wait for.
    const look = setInterval(() => this.idle === this.active && handBack(), drainLookMs);
    // Also what was being claimed just now: it is given back.
    await Promise.allSettled([...this.#deliveries, ...this.#endings.values()]);
    clearTimeout(limit);
    clearInterval(look);
  }

  #watch(): void {
    if (this.#unwatch !== undefined) return;
    const ring: Bell = (runId, what) => {
      if (what !== "change" && (runId === undefined || this.#active.has(runId))) this.#lookSoon();
    };
    this.#unwatch = this.#options.store.watch(ring).catch((error) => {
      this.#report(error);
      return () => {};
    });
    this.#floor = setInterval(() => this.#lookSoon(), floorMs);
  }

  #unwatchAll(): void {
    this.#unwatch?.then((unwatch) => unwatch());
    this.#unwatch = undefined;
    clearInterval(this.#floor);
    clearTimeout(this.#look);
    this.#look = undefined;
  }

  #lookSoon(): void {
    this.#look ??= setTimeout(() => {
      // A bell that rings from now on asks for another look.
      this.#look = undefined;
      this.#lookForStops().catch((error) => this.#report(error));
    }, calmMs);
  }

  async #lookForStops(): Promise<void> {
    const requests = await this.#options.store.stopRequests([...this.#active.keys()]);
    for (const [runId, { reason }] of requests) this.#active.get(runId)?.stop(reason);
  }

  #report(error: unknown): void {
    runtime.report("The run store could not be asked for stop requests", error);
  }
}
