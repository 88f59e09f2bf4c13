/** A run store in one SQLite file: for all processes of a machine, with nothing to set up and no queue beside it. */
import { setImmediate as nextLoop } from "node:timers/promises";
import { UsageError } from "../errors.ts";
import { type Json, shown } from "../json.ts";
import {
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
import { Claims } from "./sqlite-claims.ts";
import { type Durability, defaultPath, SqliteDatabase } from "./sqlite-database.ts";
import { SqliteStoreError } from "./sqlite-errors.ts";
import { LifeSign } from "./sqlite-lock.ts";
import { RunLog } from "./sqlite-log.ts";
import type { RunRow } from "./sqlite-rows.ts";
import { Runs } from "./sqlite-runs.ts";
import { StopRequests } from "./sqlite-stops.ts";
import { Upkeep } from "./sqlite-upkeep.ts";
import { checkKeys } from "./stop-request.ts";

export interface SqliteRunStoreOptions {
  /** Where the file is; its directory is made. Default `.llmethod/runs.db`. */
  readonly path?: string;
  /**
   * `normal` (default): what was written survives the death of the process; a power cut may take the last moments.
   * `full`: it survives that too, and each write waits for the disk.
   */
  readonly durability?: Durability;
}

interface Open {
  readonly database: SqliteDatabase;
  readonly life: LifeSign;
  readonly runs: Runs;
  readonly log: RunLog;
  readonly stops: StopRequests;
}

/**
 * Keeps runs in a SQLite file, in WAL mode, by `node:sqlite`. Any process of the machine may read, write, watch and
 * stop them. A run whose process was killed is given to the next one that asks (`claimNext`).
 *
 * Calls do their work at once, in tens of microseconds; a write waits, with its process, while another process writes,
 * 5 s at most. The file must lie on a local disk; no other SQLite library should open it within the same process.
 *
 * @throws UsageError `invalid_option`, at once; methods reject with a SqliteStoreError where the file cannot be used
 * @example
 * const store = new SqliteRunStore({ path: "data/runs.db" });
 * const latest = await store.list({ limit: 10 });
 * await store.close();
 */
export class SqliteRunStore implements SelfQueueingStore {
  readonly #path: string;
  readonly #durability: Durability;
  readonly #unwatch = new Set<() => void>();
  #open: Open | undefined;
  #closed = false;

  constructor(options: SqliteRunStoreOptions = {}) {
    checkKeys("SqliteRunStore", options, ["path", "durability"]);
    const { path = defaultPath, durability = "normal" } = options;
    checkPath(path);
    if (durability !== "normal" && durability !== "full") {
      throw new UsageError(
        "invalid_option",
        `"durability" must be "normal" or "full", not ${shown(durability)}.`,
      );
    }
    this.#path = path;
    this.#durability = durability;
  }

  /** `also` runs when the run is stored, without a transaction: where it throws, the run is there and stays `pending`. */
  async create(
    run: NewRun,
    also?: (transaction: unknown) => Promise<void>,
  ): Promise<{ created: boolean; record: RunRecord }> {
    const { database, runs, stops } = this.#use();
    const result = database.write(() => {
      stops.expire(run.runId);
      const created = runs.insert(run);
      if (created && run.parentRunId !== undefined) stops.inherit(run.runId, run.parentRunId);
      return { created, record: runs.record(run.runId) };
    });
    if (!result.created) return result;
    database.doorbell.ring(run.runId);
    await also?.(undefined);
    return result;
  }

  async get(runId: string): Promise<RunRecord | undefined> {
    return this.#use().runs.find(runId);
  }

  async list(filter?: RunFilter): Promise<RunRecord[]> {
    return this.#use().runs.list(filter);
  }

  async requestStop(runId: string, request: { reason?: Json; by?: string } = {}): Promise<boolean> {
    const { database, runs, stops } = this.#use();
    const { isThere, stopped } = database.write(() => {
      const run = runs.row(runId);
      if (run !== undefined && run.ended_at !== null) return { isThere: false, stopped: [] };
      return { isThere: run !== undefined, stopped: stops.keep(runId, request.reason, request.by) };
    });
    for (const id of stopped) database.doorbell.ring(id);
    return isThere;
  }

  async stopRequests(runIds: readonly string[]): Promise<ReadonlyMap<string, StoredStop>> {
    return this.#use().stops.of(runIds);
  }

  async claim(runId: string, owner: string, options: ClaimOptions = {}): Promise<ClaimResult> {
    const { database, life, runs } = this.#use();
    const claims = new Claims(database, life);
    const holder = life.id;
    return database.write((): ClaimResult => {
      const run = runs.row(runId);
      if (run === undefined || run.ended_at !== null) return { kind: "taken" };
      const isFree = run.status === "pending" || claims.isAbandoned(run);
      if (options.from === "pending" && !isFree) return { kind: "taken" };
      if (options.limits !== undefined && claims.isBusy(run, options.limits)) return { kind: "busy" };
      const claim = claims.take(runId, owner, holder);
      return { kind: "claimed", claim, record: runs.record(runId) };
    });
  }

  async claimNext(
    owner: string,
    { functions, limits = {} }: { functions: readonly string[]; limits?: RunLimits },
  ): Promise<{ claim: Claim; record: RunRecord } | undefined> {
    const { database, life, runs } = this.#use();
    const claims = new Claims(database, life);
    // A look without the right to write first: idle workers do not hold up those that write.
    if (claims.next(functions, limits) === undefined) return undefined;
    const holder = life.id;
    return database.write(() => {
      const runId = claims.next(functions, limits);
      if (runId === undefined) return undefined;
      const claim = claims.take(runId, owner, holder);
      return { claim, record: runs.record(runId) };
    });
  }

  async release({ runId, attempt }: Claim): Promise<boolean> {
    const { database } = this.#use();
    const released = database.run(
      "update run set status = 'pending', holder = null where run_id = ? and attempt = ? and status = 'running'",
      runId,
      attempt,
    );
    if (released === 1) database.doorbell.ring(runId);
    return released === 1;
  }

  async save(claim: Claim, { events = [], journal = [] }: Progress): Promise<number> {
    const { database, log } = this.#use();
    const lastSeq = database.write(() => {
      const seq = log.append(claim, events);
      if (seq === undefined) throw new LostClaimError(claim);
      log.write(claim.runId, journal);
      return seq;
    });
    database.doorbell.ring(claim.runId);
    return lastSeq;
  }

  async finish(claim: Claim, outcome: StoredOutcome, events: readonly NewEvent[]): Promise<boolean> {
    const { database, log } = this.#use();
    const finished = database.write(() => {
      if (log.append(claim, events) === undefined) return false;
      database.run(
        "update run set status = ?, outcome = ?, ended_at = ?, holder = null where run_id = ?",
        outcome.status,
        JSON.stringify(outcome),
        Date.now(),
        claim.runId,
      );
      return true;
    });
    if (finished) database.doorbell.ring(claim.runId);
    return finished;
  }

  async reopen(runId: string, event: NewEvent): Promise<boolean> {
    const { database, log, stops } = this.#use();
    const reopened = database.write(() => {
      const run = database.get<RunRow>(
        `update run set status = 'pending', outcome = null, ended_at = null, last_seq = max(last_seq, 1),
          first_seq = min(first_seq, max(last_seq, 1))
          where run_id = ? and status in ('cancelled', 'error') returning *`,
        runId,
      );
      if (run === undefined) return false;
      log.put(runId, run.last_seq, event);
      stops.remove(runId);
      return true;
    });
    if (reopened) database.doorbell.ring(runId);
    return reopened;
  }

  async events(runId: string, after: number, limit = 1000): Promise<StoredEvent[]> {
    return this.#use().log.events(runId, after, limit);
  }

  async journal(runId: string): Promise<Json[]> {
    return this.#use().log.journal(runId);
  }

  async watch(bell: (runId?: string) => void): Promise<() => void> {
    const end = this.#use().database.doorbell.listen(bell);
    this.#unwatch.add(end);
    return () => {
      this.#unwatch.delete(end);
      end();
    };
  }

  async prune(options: PruneOptions): Promise<number> {
    const { database, life, stops } = this.#use();
    const upkeep = new Upkeep(database, life, stops);
    let pruned = 0;
    for (;;) {
      const some = upkeep.prune(options);
      pruned += some;
      if (some === 0) return pruned;
      await nextLoop();
    }
  }

  /** Runs that this object has taken up and not given back are free for other workers from now on. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const end of this.#unwatch) end();
    this.#unwatch.clear();
    this.#open?.life.release();
    this.#open?.database.close();
    this.#open = undefined;
  }

  #use(): Open {
    if (this.#open !== undefined) return this.#open;
    if (this.#closed) {
      throw new SqliteStoreError(
        "closed",
        `The run store ${this.#path} was closed. Make a new SqliteRunStore.`,
      );
    }
    const database = SqliteDatabase.open(this.#path, this.#durability);
    this.#open = {
      database,
      life: new LifeSign(database.path),
      runs: new Runs(database),
      log: new RunLog(database),
      stops: new StopRequests(database),
    };
    return this.#open;
  }
}

/** @throws UsageError `invalid_option` */
export function checkPath(path: unknown): asserts path is string {
  if (typeof path === "string" && path !== "" && path !== ":memory:" && !path.includes("\0")) return;
  const instead = path === ":memory:" ? " For runs in memory use the MemoryRunStore." : "";
  throw new UsageError("invalid_option", `"path" must be the path of a file, not ${shown(path)}.${instead}`);
}
