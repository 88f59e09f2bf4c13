/** How the watches of a PostgreSQL manager hear of a stop: one bell and one query for all of them. */
import type { StopRequest } from "../cancellation.ts";
import type { DatabaseLease } from "./postgres-database.ts";
import { WatchList } from "./watch-list.ts";

type Requests = (runIds: readonly string[]) => Promise<ReadonlyMap<string, StopRequest>>;

const retryMs = 1000;

export class StopWatches {
  readonly #lease: DatabaseLease;
  readonly #requests: Requests;
  readonly #renew: () => void;
  readonly #list = new WatchList();
  /** The runs to look at next. */
  readonly #due = new Set<string>();
  #retry: NodeJS.Timeout | undefined;
  #isListening = false;
  #isLooking = false;

  /** `renew` is called when anything may have happened, such as a restart of the server. */
  constructor(lease: DatabaseLease, requests: Requests, renew: () => void) {
    this.#lease = lease;
    this.#requests = requests;
    this.#renew = renew;
  }

  /** Tells of a request once: of one that is there already, or of one that comes. Returns how to end it. */
  add(
    runId: string,
    onCancel: (request: StopRequest) => void,
    onFault: (error: unknown) => void,
  ): () => void {
    // What nobody was left to hear of is no news for the next one: its own look will tell.
    if (this.#list.isEmpty) this.#list.recover();
    const end = this.#list.add(runId, onCancel, onFault);
    this.listen();
    this.#look([runId]);
    return end;
  }

  /** Tells all watches that the database is down; once, until it answers again. */
  fail(error: unknown): void {
    if (!this.#list.isEmpty) this.#list.fail(error);
  }

  end(): void {
    this.#list.clear();
    clearTimeout(this.#retry);
  }

  /** Begins to hear, where it does not yet. */
  listen(): void {
    if (!this.#isListening) void this.#listen();
  }

  async #listen(): Promise<void> {
    this.#isListening = true;
    try {
      await this.#lease.subscribe((runId, isStop) => {
        if (runId === undefined) this.#renew();
        if (isStop) this.#look(runId === undefined ? this.#list.runIds : [runId]);
      });
    } catch (error) {
      this.#isListening = false;
      this.fail(error);
    }
  }

  /** All that comes in one turn of the event loop, and while a query is out, is one query. */
  #look(runIds: readonly string[]): void {
    for (const runId of runIds) if (this.#list.has(runId)) this.#due.add(runId);
    if (this.#due.size === 0 || this.#isLooking) return;
    this.#isLooking = true;
    setImmediate(() => this.#check());
  }

  async #check(): Promise<void> {
    const runIds = [...this.#due].filter((runId) => this.#list.has(runId));
    this.#due.clear();
    try {
      const requests = runIds.length === 0 ? [] : (await this.#requests(runIds)).values();
      this.#list.recover();
      for (const request of requests) this.#list.deliver(request);
    } catch (error) {
      this.fail(error);
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.#look(this.#list.runIds), retryMs).unref();
    }
    this.#isLooking = false;
    this.#look([]);
  }
}
