/** The watches of one manager: each is called once, and hears once of an outage, however many share a connection. */
import type { StopRequest } from "../cancellation.ts";
import { asError } from "../errors.ts";

interface Watch {
  readonly runId: string;
  readonly onCancel: (request: StopRequest) => void;
  readonly onFault: (error: unknown) => void;
}

export class WatchList {
  readonly #watches = new Map<string, Set<Watch>>();
  #outage: { readonly error: unknown } | undefined;

  /** Adds a watch and gives how to end it. During an outage it hears of that soon. */
  add(
    runId: string,
    onCancel: (request: StopRequest) => void,
    onFault: (error: unknown) => void,
  ): () => void {
    const watch: Watch = { runId, onCancel, onFault };
    const ofRun = this.#watches.get(runId) ?? new Set();
    this.#watches.set(runId, ofRun.add(watch));
    const outage = this.#outage;
    if (outage !== undefined) queueMicrotask(() => this.#has(watch) && tell(watch, outage.error));
    return () => this.#remove(watch);
  }

  get isEmpty(): boolean {
    return this.#watches.size === 0;
  }

  get runIds(): string[] {
    return [...this.#watches.keys()];
  }

  has(runId: string): boolean {
    return this.#watches.has(runId);
  }

  /** Calls the run's watches, which are over by that. */
  deliver(request: StopRequest): void {
    for (const watch of this.#watches.get(request.runId) ?? []) {
      this.#remove(watch);
      try {
        watch.onCancel(request);
      } catch (error) {
        tell(watch, error);
      }
    }
  }

  /** Tells all watches that the backend is down: once, until `recover`. */
  fail(error: unknown): void {
    if (this.#outage !== undefined) return;
    this.#outage = { error };
    this.complain(error);
  }

  recover(): void {
    this.#outage = undefined;
  }

  /** Tells the watches of a fault that is no outage: those of one run, or all. */
  complain(error: unknown, runId?: string): void {
    const concerned = runId === undefined ? [...this.#watches.values()] : [this.#watches.get(runId) ?? []];
    for (const ofRun of concerned) for (const watch of [...ofRun]) tell(watch, error);
  }

  clear(): void {
    this.#watches.clear();
  }

  #has(watch: Watch): boolean {
    return this.#watches.get(watch.runId)?.has(watch) === true;
  }

  #remove(watch: Watch): void {
    const ofRun = this.#watches.get(watch.runId);
    if (ofRun?.delete(watch) && ofRun.size === 0) this.#watches.delete(watch.runId);
  }
}

/** A listener that throws must not keep the others from hearing. */
function tell(watch: Watch, error: unknown): void {
  try {
    watch.onFault(error);
  } catch (failure) {
    process.emitWarning(asError(failure));
  }
}
