/** How a stop request finds a run by its id: the contract of a cancellation manager, and the one in memory. */
import { UsageError } from "./errors.ts";

/** A stop request as a manager keeps it. `at` is the time in ms since 1970. */
export interface StopRequest {
  readonly runId: string;
  readonly reason: unknown;
  readonly at: number;
}

/**
 * Carries stop requests to runs, from anywhere. It coordinates and is not the truth: when it fails, runs still
 * start and end. A manager of one's own needs the five abstract methods; `watch` then polls every 100 ms.
 *
 * @example
 * setCancellationManager(new MyManager());
 * await cancelRun("run-1", "the user left");
 */
export abstract class CancellationManager {
  /** A run with this id begins. A request that came before is kept. */
  abstract register(runId: string): Promise<void>;
  /** Stores the request in any case; `true` where the run was registered and has not ended. */
  abstract cancel(runId: string, reason?: unknown): Promise<boolean>;
  abstract isCancelled(runId: string): Promise<StopRequest | undefined>;
  /** The run has ended: its entry goes, never that of a newer run with the same id. */
  abstract cleanup(runId: string): Promise<void>;
  /** The registered runs; the value says whether a stop was requested. */
  abstract activeRuns(): Promise<ReadonlyMap<string, boolean>>;

  /** @throws the request's reason, or an `AbortError` where there is none */
  async throwIfCancelled(runId: string): Promise<void> {
    const request = await this.isCancelled(runId);
    if (request === undefined) return;
    throw request.reason ?? new DOMException(`The run ${runId} was cancelled.`, "AbortError");
  }

  /** Gives connections, watches and files back; the manager is of no use after that. */
  async close(): Promise<void> {}

  /**
   * Calls `onCancel` once when a request for the run is there. Returns how to end the watch. `onFault` hears once of
   * an outage; the watch goes on.
   */
  watch(
    runId: string,
    onCancel: (request: StopRequest) => void,
    onFault: (error: unknown) => void = () => {},
  ): () => void {
    let ended = false;
    let isDown = false;
    let timer: NodeJS.Timeout | undefined;
    const poll = async () => {
      try {
        const request = await this.isCancelled(runId);
        isDown = false;
        if (request !== undefined && !ended) {
          ended = true;
          onCancel(request);
        }
      } catch (error) {
        if (!isDown) onFault(error);
        isDown = true;
      }
      if (!ended) timer = setTimeout(poll, pollMs).unref();
    };
    timer = setTimeout(poll, pollMs).unref();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }
}

const pollMs = 100;
const defaultLifetimeMs = 24 * 60 * 60 * 1000;

/** The default: requests within one process, by a direct call. */
export class MemoryCancellationManager extends CancellationManager {
  readonly #intentLifetimeMs: number;
  readonly #running = new Set<string>();
  readonly #requests = new Map<string, StopRequest>();
  readonly #watchers = new Map<string, Set<(request: StopRequest) => void>>();

  /** `intentLifetimeMs`: how long a request is kept for a run that has not come yet, in ms; default 24 h. */
  constructor({ intentLifetimeMs = defaultLifetimeMs }: { intentLifetimeMs?: number } = {}) {
    super();
    this.#intentLifetimeMs = intentLifetimeMs;
  }

  async register(runId: string): Promise<void> {
    this.#running.add(runId);
  }

  async cancel(runId: string, reason?: unknown): Promise<boolean> {
    this.#expire();
    const isRunning = this.#running.has(runId);
    if (this.#requests.has(runId)) return isRunning;
    const request = { runId, reason, at: Date.now() };
    this.#requests.set(runId, request);
    for (const watcher of [...(this.#watchers.get(runId) ?? [])]) watcher(request);
    return isRunning;
  }

  async isCancelled(runId: string): Promise<StopRequest | undefined> {
    this.#expire();
    return this.#requests.get(runId);
  }

  async cleanup(runId: string): Promise<void> {
    this.#running.delete(runId);
    this.#requests.delete(runId);
  }

  async activeRuns(): Promise<ReadonlyMap<string, boolean>> {
    return new Map([...this.#running].map((runId) => [runId, this.#requests.has(runId)]));
  }

  override watch(runId: string, onCancel: (request: StopRequest) => void): () => void {
    const watchers = this.#watchers.get(runId) ?? new Set();
    // A function of its own, so that the same one may watch twice.
    const own = (request: StopRequest) => {
      end();
      onCancel(request);
    };
    const end = () => {
      watchers.delete(own);
      if (watchers.size === 0 && this.#watchers.get(runId) === watchers) this.#watchers.delete(runId);
    };
    this.#watchers.set(runId, watchers.add(own));
    const request = this.#requests.get(runId);
    if (request !== undefined) queueMicrotask(() => watchers.has(own) && own(request));
    return end;
  }

  /** Requests are kept in the order in which they came, so the oldest stand first. */
  #expire(): void {
    const oldest = Date.now() - this.#intentLifetimeMs;
    for (const [runId, { at }] of this.#requests) {
      if (at >= oldest) return;
      if (!this.#running.has(runId)) this.#requests.delete(runId);
    }
  }
}

/** How long anybody waits for a manager's answer, in ms: it coordinates, and must hold nobody up. */
export const patienceMs = 1000;

/** The answer of a manager, or an error where it does not come in time. */
export function patience<T>(answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`the cancellation manager did not answer within ${patienceMs} ms`));
    }, patienceMs).unref();
    answer.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

const managerMethods = ["register", "cancel", "isCancelled", "cleanup", "activeRuns", "watch"] as const;

export function checkManager(manager: unknown): asserts manager is CancellationManager {
  const missing = managerMethods.filter(
    (name) =>
      typeof manager !== "object" ||
      manager === null ||
      typeof (manager as Record<string, unknown>)[name] !== "function",
  );
  if (missing.length > 0) {
    throw new UsageError(
      "invalid_option",
      `A cancellation manager must extend CancellationManager; this one lacks ${missing.join(", ")}.`,
    );
  }
}
