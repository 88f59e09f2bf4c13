/** Puts back into the queue what the store has and the queue has lost: runs that nobody would run any more. */
import { listAll } from "./list-all.ts";
import type { QueuedRun, RunQueue } from "./queue.ts";
import { runtime } from "./runtime.ts";
import type { RunRecord, RunStore } from "./store.ts";

/** How many runs the queue is asked for at once. */
const pageSize = 500;

export class Reconciler {
  readonly #store: RunStore;
  readonly #queue: RunQueue;
  readonly #everyMs: number;
  /** Runs that had no job at the last look: only the second look in a row counts, as jobs come and go. */
  #missing: ReadonlySet<string> = new Set();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(store: RunStore, queue: RunQueue, everyMs: number) {
    this.#store = store;
    this.#queue = queue;
    this.#everyMs = everyMs;
  }

  /** Workers that begin together look at different times: the first look comes after a part of the time at random. */
  start(): void {
    if (this.#timer === undefined) this.#plan(Math.random() * this.#everyMs);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** One look after the other, however long each takes. */
  #plan(ms: number): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(async () => {
      try {
        await this.#look();
      } catch (error) {
        runtime.report("Lost jobs could not be looked for", error);
      }
      this.#plan(this.#everyMs);
    }, ms).unref();
  }

  async #look(): Promise<void> {
    const found = new Set<string>();
    for await (const page of pages(listAll(this.#store, { status: ["pending", "running"] }))) {
      if (this.#isStopped) return;
      const missing = new Set((await this.#queue.missing(page)).map(({ runId }) => runId));
      for (const record of page) {
        if (this.#isStopped) return;
        if (!missing.has(record.runId)) continue;
        if (this.#missing.has(record.runId)) await this.#queue.enqueue(queued(record));
        else found.add(record.runId);
      }
    }
    this.#missing = found;
  }
}

async function* pages(records: AsyncIterable<RunRecord>): AsyncGenerator<readonly RunRecord[], void> {
  let page: RunRecord[] = [];
  for await (const record of records) {
    page.push(record);
    if (page.length < pageSize) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

/** With what is left of its delay: never more than all of it, whatever the clocks of store and worker say. */
function queued({ delayMs = 0, createdAt, ...run }: RunRecord): QueuedRun {
  const leftMs = Math.min(delayMs, Math.max(0, createdAt + delayMs - Date.now()));
  return { runId: run.runId, functionName: run.functionName, priority: run.priority, delayMs: leftMs };
}
