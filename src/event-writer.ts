/** Writes the events and the journal of one attempt: in order, in small batches, fenced, and again after a fault. */
import { setTimeout as wait } from "node:timers/promises";
import { UsageError } from "./errors.ts";
import type { Journal, JournalEntry, LoopState } from "./journal.ts";
import type { Json } from "./json.ts";
import { type Claim, LostClaimError, type NewEvent, type Progress, type RunStore } from "./store.ts";

const flushMinMs = 20;
const flushMaxMs = 200;
/** How long a store may be out of reach before the run is given up here, in ms. */
const patienceMs = 30_000;

export class EventWriter implements Journal {
  readonly state: LoopState | undefined;
  readonly #store: RunStore;
  readonly #claim: Claim;
  readonly #onLost: (error: unknown) => void;
  #events: NewEvent[] = [];
  #journal: Json[] = [];
  #flushing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #intervalMs = flushMinMs;
  #lost: unknown;
  /** The newest event that is kept for certain. */
  #seq: number;

  /** `onLost` is called once, when nothing more can be written: the claim is void, or the store stays out of reach. */
  constructor(
    store: RunStore,
    claim: Claim,
    from: { readonly state: LoopState | undefined; readonly lastSeq: number },
    onLost: (error: unknown) => void,
  ) {
    this.#store = store;
    this.#claim = claim;
    this.state = from.state;
    this.#seq = from.lastSeq;
    this.#onLost = onLost;
  }

  /** Why nothing more can be written; nothing where all is well. */
  get lost(): unknown {
    return this.#lost;
  }

  /** Takes an event; it is written a little later, deltas that follow each other as one. */
  push(event: NewEvent): void {
    const last = this.#events.at(-1);
    const joined = last === undefined ? undefined : joinedDeltas(last, event);
    if (joined === undefined) this.#events.push(event);
    else this.#events[this.#events.length - 1] = joined;
    this.#timer ??= setTimeout(() => void this.#flush(), this.#intervalMs);
  }

  /** Resolves when the entry and all events before it are kept, or when they cannot be: the run is stopped then. */
  write(entry: JournalEntry): Promise<void> {
    // Entries are plain JSON by their make; the store keeps them as such.
    this.#journal.push(entry as unknown as Json);
    return this.#flush();
  }

  /** Ends the writing; gives the events that were not written yet, for the last transaction. */
  async close(): Promise<readonly NewEvent[]> {
    clearTimeout(this.#timer);
    await this.#flushing;
    clearTimeout(this.#timer);
    if (this.#journal.length > 0) await this.#flush();
    return this.#events.splice(0);
  }

  /** A write that failed may have come through all the same, its answer lost: then it is not written again. */
  async #saveOnce(progress: Required<Progress>, again: boolean): Promise<number> {
    if (again && progress.events.length > 0) {
      const record = await this.#store.get(this.#claim.runId);
      if (record?.attempt === this.#claim.attempt && record.lastSeq > this.#seq) return record.lastSeq;
    }
    return this.#store.save(this.#claim, progress);
  }

  #flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushing = this.#flushing.then(() => this.#save());
    return this.#flushing;
  }

  /** Writes all that is there by then: who waits behind another write finds its own written with it. */
  async #save(): Promise<void> {
    const events = this.#events.splice(0);
    const journal = this.#journal.splice(0);
    if (this.#lost !== undefined || (events.length === 0 && journal.length === 0)) return;
    const startedAt = performance.now();
    try {
      this.#seq = await persistently((again) => this.#saveOnce({ events, journal }, again));
      this.#intervalMs = Math.min(flushMaxMs, Math.max(flushMinMs, 4 * (performance.now() - startedAt)));
    } catch (error) {
      this.#lost = error;
      this.#onLost(error);
    }
  }
}

/** Tries again while a store is out of reach; a void claim is told at once. `again`: an earlier try has failed. */
export async function persistently<R>(write: (again: boolean) => Promise<R>): Promise<R> {
  const startedAt = performance.now();
  for (let delayMs = 50; ; delayMs = Math.min(2 * delayMs, 1000)) {
    try {
      return await write(delayMs > 50);
    } catch (error) {
      if (isFinal(error) || performance.now() - startedAt > patienceMs) throw error;
      await wait(delayMs);
    }
  }
}

/** What no later try can mend: a void claim, a closed store, a mistake of the caller. */
function isFinal(error: unknown): boolean {
  if (error instanceof LostClaimError || error instanceof UsageError) return true;
  return error instanceof Error && "code" in error && error.code === "closed";
}

function joinedDeltas(last: NewEvent, next: NewEvent): NewEvent | undefined {
  if (last.type === "text-delta" && next.type === "text-delta") {
    return { ...last, delta: last.delta + next.delta };
  }
  if (last.type === "reasoning-delta" && next.type === "reasoning-delta") {
    return { ...last, delta: last.delta + next.delta };
  }
  if (last.type === "tool-input-delta" && next.type === "tool-input-delta" && last.callId === next.callId) {
    return { ...last, delta: last.delta + next.delta };
  }
  return undefined;
}
