/** A run store in memory: for tests, and for runs that need not outlive their process. */
import type { Json } from "../json.ts";
import {
  type Bell,
  type Claim,
  type ClaimOptions,
  type ClaimResult,
  LostClaimError,
  type NewEvent,
  type NewRun,
  type Progress,
  type PruneOptions,
  type RunFilter,
  type RunLimits,
  type RunRecord,
  type SelfQueueingStore,
  type StoredEvent,
  type StoredOutcome,
  type StoredStop,
} from "../store.ts";
import { MemoryRun } from "./memory-run.ts";

/** How long a request is kept for an id that nobody has created, in ms. */
const intentLifetimeMs = 24 * 60 * 60 * 1000;

/**
 * Keeps runs in this process, as the other stores would: all that goes in or out is a copy. With the process it is
 * gone. An owner lives as long as the process, so no run is ever taken from one.
 *
 * @example
 * const store = new MemoryRunStore();
 * const input = { args: ["Why?"], options: {} };
 * const { created } = await store.create({ runId: "r1", functionName: "ask", input, priority: 0 });
 */
export class MemoryRunStore implements SelfQueueingStore {
  /** In the order in which they were created. */
  readonly #runs = new Map<string, MemoryRun>();
  readonly #stops = new Map<string, StoredStop>();
  readonly #bells = new Set<Bell>();
  readonly #rung = new Map<string, "stop" | "change">();

  /** `also` runs when the run is stored, without a transaction: where it throws, the run is there and stays `pending`. */
  async create(
    run: NewRun,
    also?: (transaction: unknown) => Promise<void>,
  ): Promise<{ created: boolean; record: RunRecord }> {
    const known = this.#runs.get(run.runId);
    if (known !== undefined) return { created: false, record: this.#record(known) };
    this.#expire();
    const made = new MemoryRun(run);
    this.#runs.set(run.runId, made);
    const inherited = this.#stopOfParent(run.parentRunId);
    if (inherited !== undefined && !this.#stops.has(run.runId)) this.#stops.set(run.runId, inherited);
    const record = this.#record(made);
    this.#ring(run.runId);
    await also?.(undefined);
    return { created: true, record };
  }

  async get(runId: string): Promise<RunRecord | undefined> {
    const run = this.#runs.get(runId);
    return run === undefined ? undefined : this.#record(run);
  }

  async list(filter: RunFilter = {}): Promise<RunRecord[]> {
    const { status, functionName, key, parentRunId, before, limit = 100 } = filter;
    const statuses = status === undefined ? undefined : [status].flat();
    const newestFirst = [...this.#runs.values()].reverse();
    const from = before === undefined ? 0 : newestFirst.findIndex(({ run }) => run.runId === before) + 1;
    if (before !== undefined && from === 0) return [];
    return newestFirst
      .slice(from)
      .filter(
        ({ run, status: own }) =>
          (statuses === undefined || statuses.includes(own)) &&
          (functionName === undefined || run.functionName === functionName) &&
          (key === undefined || run.key === key) &&
          (parentRunId === undefined || run.parentRunId === parentRunId),
      )
      .slice(0, limit)
      .map((run) => this.#record(run));
  }

  async requestStop(runId: string, request: { reason?: Json; by?: string } = {}): Promise<boolean> {
    this.#expire();
    const run = this.#runs.get(runId);
    if (run?.hasEnded === true) return false;
    const { reason, by } = request;
    const stop: StoredStop = copy({
      ...(reason === undefined ? {} : { reason }),
      ...(by === undefined ? {} : { by }),
      at: Date.now(),
    });
    for (const id of this.#family(runId)) {
      if (this.#stops.has(id) || (id !== runId && this.#runs.get(id)?.hasEnded === true)) continue;
      this.#stops.set(id, stop);
      this.#ring(id, "stop");
    }
    return run !== undefined;
  }

  async stopRequests(runIds: readonly string[]): Promise<ReadonlyMap<string, StoredStop>> {
    this.#expire();
    const found = new Map<string, StoredStop>();
    for (const runId of runIds) {
      const stop = this.#stops.get(runId);
      if (stop !== undefined) found.set(runId, copy(stop));
    }
    return found;
  }

  async claim(runId: string, owner: string, options: ClaimOptions = {}): Promise<ClaimResult> {
    const run = this.#runs.get(runId);
    if (run === undefined || run.hasEnded) return { kind: "taken" };
    if (options.from === "pending" && run.status !== "pending") return { kind: "taken" };
    if (this.#isBusy(run, options.limits ?? {})) return { kind: "busy" };
    return { kind: "claimed", claim: run.take(owner), record: this.#record(run) };
  }

  async claimNext(
    owner: string,
    { functions, limits = {} }: { functions: readonly string[]; limits?: RunLimits },
  ): Promise<{ claim: Claim; record: RunRecord } | undefined> {
    const now = Date.now();
    let best: MemoryRun | undefined;
    for (const run of this.#runs.values()) {
      if (run.status !== "pending" || run.beginAt > now || !functions.includes(run.run.functionName))
        continue;
      if (best !== undefined && best.run.priority >= run.run.priority) continue;
      if (!this.#isBusy(run, limits)) best = run;
    }
    return best === undefined ? undefined : { claim: best.take(owner), record: this.#record(best) };
  }

  async release(claim: Claim): Promise<boolean> {
    const run = this.#claimed(claim);
    if (run === undefined) return false;
    run.status = "pending";
    this.#ring(claim.runId);
    return true;
  }

  async save(claim: Claim, { events = [], journal = [] }: Progress): Promise<number> {
    const run = this.#claimed(claim);
    if (run === undefined) throw new LostClaimError(claim);
    const entries = journal.map((entry) => JSON.stringify(entry));
    run.append(events);
    run.journal.push(...entries);
    this.#ring(claim.runId);
    return run.lastSeq;
  }

  async finish(claim: Claim, outcome: StoredOutcome, events: readonly NewEvent[]): Promise<boolean> {
    const run = this.#claimed(claim);
    if (run === undefined) return false;
    const text = JSON.stringify(outcome);
    run.append(events);
    run.end(outcome.status, text);
    this.#ring(claim.runId);
    return true;
  }

  async reopen(runId: string, event: NewEvent): Promise<boolean> {
    const run = this.#runs.get(runId);
    if (run === undefined || (run.status !== "cancelled" && run.status !== "error")) return false;
    run.reopen(event);
    this.#stops.delete(runId);
    this.#ring(runId);
    return true;
  }

  async events(runId: string, after: number, limit = 1000): Promise<StoredEvent[]> {
    return this.#runs.get(runId)?.eventsAfter(after, limit) ?? [];
  }

  async journal(runId: string): Promise<Json[]> {
    return (this.#runs.get(runId)?.journal ?? []).map((entry) => JSON.parse(entry) as Json);
  }

  async watch(bell: Bell): Promise<() => void> {
    // A function of its own, so that the same bell may be given twice.
    const own: Bell = (runId, what) => bell(runId, what);
    this.#bells.add(own);
    return () => {
      this.#bells.delete(own);
    };
  }

  async prune({ olderThanMs, what = "runs" }: PruneOptions): Promise<number> {
    this.#expire();
    const newest = Date.now() - olderThanMs;
    let pruned = 0;
    for (const [runId, run] of this.#runs) {
      if (run.endedAt === undefined || run.endedAt > newest) continue;
      if (what === "events" && !run.forget()) continue;
      if (what === "runs") {
        this.#runs.delete(runId);
        this.#stops.delete(runId);
      }
      pruned += 1;
    }
    return pruned;
  }

  /** Ends all watches. The runs are kept: the same object may be used again. */
  async close(): Promise<void> {
    this.#bells.clear();
  }

  #record(run: MemoryRun): RunRecord {
    const stop = this.#stops.get(run.run.runId);
    return run.record(stop === undefined ? undefined : copy(stop));
  }

  #claimed({ runId, attempt }: Claim): MemoryRun | undefined {
    const run = this.#runs.get(runId);
    return run?.status === "running" && run.attempt === attempt ? run : undefined;
  }

  #isBusy(run: MemoryRun, { perFunction, perKey }: RunLimits): boolean {
    if (perFunction === undefined && perKey === undefined) return false;
    const { functionName, key } = run.run;
    const most = perFunction?.[functionName];
    const running = [...this.#runs.values()].filter((other) => other.status === "running" && other !== run);
    const ofFunction = running.filter((other) => other.run.functionName === functionName).length;
    if (typeof most === "number" && ofFunction >= most) return true;
    if (perKey === undefined || key === undefined) return false;
    return running.filter((other) => other.run.key === key).length >= perKey;
  }

  /** The run and all its descendants. */
  #family(runId: string): Set<string> {
    const family = new Set([runId]);
    for (const member of family) {
      for (const { run } of this.#runs.values()) if (run.parentRunId === member) family.add(run.runId);
    }
    return family;
  }

  #stopOfParent(parentRunId: string | undefined): StoredStop | undefined {
    if (parentRunId === undefined || this.#runs.get(parentRunId)?.hasEnded === true) return undefined;
    return this.#stops.get(parentRunId);
  }

  #expire(): void {
    const oldest = Date.now() - intentLifetimeMs;
    for (const [runId, { at }] of this.#stops) {
      if (at < oldest && !this.#runs.has(runId)) this.#stops.delete(runId);
    }
  }

  #ring(runId: string, what: "stop" | "change" = "change"): void {
    if (this.#bells.size === 0) return;
    if (this.#rung.size === 0) queueMicrotask(() => this.#deliver());
    if (this.#rung.get(runId) !== "stop") this.#rung.set(runId, what);
  }

  #deliver(): void {
    const rung = [...this.#rung];
    this.#rung.clear();
    for (const bell of [...this.#bells]) for (const [runId, what] of rung) bell(runId, what);
  }
}

function copy<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
