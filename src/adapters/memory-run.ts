/** One run of the store in memory: its state, its events and its journal, as JSON text that nobody else can change. */
import type { RunStatus } from "../events.ts";
import type {
  Claim,
  NewEvent,
  NewRun,
  RunInput,
  RunRecord,
  StoredEvent,
  StoredOutcome,
  StoredStop,
} from "../store.ts";

export class MemoryRun {
  readonly run: Omit<NewRun, "input" | "delayMs">;
  /** No one takes it up by `claimNext` before this time. */
  readonly beginAt: number;
  readonly journal: string[] = [];
  status: RunStatus = "pending";
  attempt = 0;
  endedAt: number | undefined;
  readonly #input: string;
  readonly #createdAt = Date.now();
  #events: string[] = [];
  #firstSeq = 1;
  #owner: string | undefined;
  #outcome: string | undefined;
  #startedAt: number | undefined;

  constructor({ input, delayMs = 0, ...run }: NewRun) {
    this.run = Object.freeze({ ...run });
    this.#input = JSON.stringify(input);
    // One without a delay waits for no clock, whichever way that jumps.
    this.beginAt = delayMs > 0 ? this.#createdAt + delayMs : 0;
  }

  get hasEnded(): boolean {
    return this.endedAt !== undefined;
  }

  get lastSeq(): number {
    return this.#firstSeq + this.#events.length - 1;
  }

  get #isDelayed(): boolean {
    return this.#startedAt === undefined && this.beginAt > this.#createdAt;
  }

  record(stopRequest: StoredStop | undefined): RunRecord {
    const { key, parentRunId, parentCallId, ...run } = this.run;
    return {
      ...run,
      input: JSON.parse(this.#input) as RunInput,
      ...(key === undefined ? {} : { key }),
      ...(parentRunId === undefined ? {} : { parentRunId }),
      ...(parentCallId === undefined ? {} : { parentCallId }),
      ...(this.#isDelayed ? { delayMs: this.beginAt - this.#createdAt } : {}),
      status: this.status,
      attempt: this.attempt,
      ...(this.#owner === undefined ? {} : { owner: this.#owner }),
      ...(stopRequest === undefined ? {} : { stopRequest }),
      ...(this.#outcome === undefined ? {} : { outcome: JSON.parse(this.#outcome) as StoredOutcome }),
      lastSeq: this.lastSeq,
      firstSeq: this.#firstSeq,
      createdAt: this.#createdAt,
      ...(this.#startedAt === undefined ? {} : { startedAt: this.#startedAt }),
      ...(this.endedAt === undefined ? {} : { endedAt: this.endedAt }),
    };
  }

  take(owner: string): Claim {
    this.status = "running";
    this.attempt += 1;
    this.#owner = owner;
    this.#startedAt ??= Date.now();
    return { runId: this.run.runId, attempt: this.attempt };
  }

  append(events: readonly NewEvent[]): void {
    const texts = events.map((event) => JSON.stringify(event));
    for (const text of texts) this.#events.push(text);
  }

  end(status: StoredOutcome["status"], outcome: string): void {
    this.status = status;
    this.#outcome = outcome;
    this.endedAt = Date.now();
  }

  reopen(event: NewEvent): void {
    const seq = Math.max(this.lastSeq, 1);
    this.#events.pop();
    if (this.#events.length === 0) this.#firstSeq = seq;
    this.#events.push(JSON.stringify(event));
    this.status = "pending";
    this.#outcome = undefined;
    this.endedAt = undefined;
  }

  eventsAfter(after: number, limit: number): StoredEvent[] {
    const from = Math.max(after - this.#firstSeq + 1, 0);
    return this.#events
      .slice(from, from + limit)
      .map((text, index) => ({ ...JSON.parse(text), seq: this.#firstSeq + from + index }));
  }

  /** Drops events and journal; `false` where there were none. */
  forget(): boolean {
    const had = this.#events.length > 0 || this.journal.length > 0;
    this.#firstSeq = this.lastSeq + 1;
    this.#events = [];
    this.journal.length = 0;
    return had;
  }
}
