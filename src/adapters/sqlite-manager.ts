/** A cancellation manager in the run store's file: stop requests from any process of the machine, for any run. */
import { randomUUID } from "node:crypto";
import { CancellationManager, type StopRequest } from "../cancellation.ts";
import { errorToJson, type Json, jsonText, textOf } from "../json.ts";
import type { StoredStop } from "../store.ts";
import { defaultPath, SqliteDatabase } from "./sqlite-database.ts";
import { SqliteStoreError } from "./sqlite-errors.ts";
import { LifeSign } from "./sqlite-lock.ts";
import { StopRequests } from "./sqlite-stops.ts";
import { checkPath } from "./sqlite-store.ts";
import { Upkeep } from "./sqlite-upkeep.ts";
import { checkKeys, checkLifetime } from "./stop-request.ts";
import { WatchList } from "./watch-list.ts";

export interface SqliteCancellationManagerOptions {
  /** Where the file is; its directory is made. Default `.llmethod/runs.db`, the run store's. */
  readonly path?: string;
  /** How long a request for an id that nobody has registered is kept, in ms. Default 24 hours. */
  readonly intentLifetimeMs?: number;
}

const retryMs = 250;

interface Open {
  readonly database: SqliteDatabase;
  readonly life: LifeSign;
  readonly stops: StopRequests;
  readonly upkeep: Upkeep;
}

/**
 * Carries stop requests between the processes of a machine, through the same file and table as `SqliteRunStore`: a
 * request by either door reaches both. Reasons are kept as JSON; an error becomes its name and message.
 *
 * @throws UsageError `invalid_option`, at once; methods reject with a SqliteStoreError where the file cannot be used
 * @example
 * setCancellationManager(new SqliteCancellationManager({ path: "data/runs.db" }));
 */
export class SqliteCancellationManager extends CancellationManager {
  readonly #path: string;
  readonly #lifetimeMs: number;
  /** The tokens of the registrations that this object has made. */
  readonly #tokens = new Map<string, string>();
  readonly #watches = new WatchList();
  #open: Open | undefined;
  #unlisten: (() => void) | undefined;
  #retry: NodeJS.Timeout | undefined;
  #willLook = false;
  #closed = false;

  constructor(options: SqliteCancellationManagerOptions = {}) {
    super();
    checkKeys("SqliteCancellationManager", options, ["path", "intentLifetimeMs"]);
    const { path = defaultPath, intentLifetimeMs } = options;
    checkPath(path);
    this.#path = path;
    this.#lifetimeMs = checkLifetime(intentLifetimeMs);
  }

  override async register(runId: string): Promise<void> {
    const { database, life, stops } = this.#use();
    const holder = life.id;
    const token = randomUUID();
    const former = this.#tokens.get(runId);
    database.write(() => {
      stops.expire(runId);
      if (former !== undefined) this.#unregister(runId, former);
      database.run("insert into registration (run_id, token, holder) values (?, ?, ?)", runId, token, holder);
    });
    this.#tokens.set(runId, token);
  }

  override async cancel(runId: string, reason?: unknown): Promise<boolean> {
    const { database, stops, upkeep } = this.#use();
    const { isThere, stopped } = database.write(() => {
      upkeep.removeLostRegistrations(runId);
      const isRegistered = database.get("select 1 from registration where run_id = ?", runId) !== undefined;
      const run = database.get<{ ended_at: number | null }>(
        "select ended_at from run where run_id = ?",
        runId,
      );
      const hasEnded = run !== undefined && run.ended_at !== null;
      if (hasEnded && !isRegistered) return { isThere: false, stopped: [] };
      const isRunning = run !== undefined && !hasEnded;
      return { isThere: isRegistered || isRunning, stopped: stops.keep(runId, reasonOf(reason), undefined) };
    });
    for (const id of stopped) database.doorbell.ring(id);
    return isThere;
  }

  override async isCancelled(runId: string): Promise<StopRequest | undefined> {
    const stop = this.#use().stops.of([runId]).get(runId);
    return stop === undefined ? undefined : requestOf(runId, stop);
  }

  override async cleanup(runId: string): Promise<void> {
    const token = this.#tokens.get(runId);
    if (token === undefined) return;
    const { database, stops, upkeep } = this.#use();
    database.write(() => {
      this.#unregister(runId, token);
      upkeep.removeLostRegistrations(runId);
      stops.removeUnknown(runId);
    });
    if (this.#tokens.get(runId) === token) this.#tokens.delete(runId);
  }

  override async activeRuns(): Promise<ReadonlyMap<string, boolean>> {
    const { database, upkeep } = this.#use();
    const rows = database.write(() => {
      upkeep.removeLostRegistrations();
      return database.all<{ run_id: string; is_stopped: number }>(
        `select distinct run_id, stop_request.run_id is not null as is_stopped
          from registration left join stop_request using (run_id)`,
      );
    });
    return new Map(rows.map(({ run_id, is_stopped }) => [run_id, is_stopped === 1]));
  }

  /** All watches of a manager share one look, at each sound of the file's doorbell. */
  override watch(
    runId: string,
    onCancel: (request: StopRequest) => void,
    onFault: (error: unknown) => void = () => {},
  ): () => void {
    const end = this.#watches.add(runId, onCancel, onFault);
    this.#lookSoon();
    return () => {
      end();
      this.#restWhenIdle();
    };
  }

  /** Ends all watches and registrations of this object, and gives the file back. */
  override async close(): Promise<void> {
    this.#watches.clear();
    this.#restWhenIdle();
    try {
      for (const runId of [...this.#tokens.keys()]) await this.cleanup(runId);
    } finally {
      this.#closed = true;
      this.#open?.life.release();
      this.#open?.database.close();
      this.#open = undefined;
    }
  }

  /** One look for all that happens at once. */
  #lookSoon(): void {
    if (this.#willLook) return;
    this.#willLook = true;
    queueMicrotask(() => {
      this.#willLook = false;
      this.#look();
    });
  }

  #look(): void {
    if (this.#watches.isEmpty) return;
    try {
      const { database, stops } = this.#use();
      this.#unlisten ??= database.doorbell.listen((runId) => {
        if (runId === undefined || this.#watches.has(runId)) this.#lookSoon();
      });
      const found = stops.of(this.#watches.runIds);
      this.#watches.recover();
      for (const [runId, stop] of found) this.#watches.deliver(requestOf(runId, stop));
      this.#restWhenIdle();
    } catch (error) {
      this.#watches.fail(error);
      // A file that could not be opened has no doorbell yet.
      clearTimeout(this.#retry);
      if (this.#unlisten === undefined) this.#retry = setTimeout(() => this.#look(), retryMs).unref();
    }
  }

  #restWhenIdle(): void {
    if (!this.#watches.isEmpty) return;
    this.#unlisten?.();
    this.#unlisten = undefined;
    clearTimeout(this.#retry);
  }

  #unregister(runId: string, token: string): void {
    this.#use().database.run("delete from registration where run_id = ? and token = ?", runId, token);
  }

  #use(): Open {
    if (this.#open !== undefined) return this.#open;
    if (this.#closed) {
      throw new SqliteStoreError(
        "closed",
        `The cancellation manager on ${this.#path} was closed. Make a new SqliteCancellationManager.`,
      );
    }
    const database = SqliteDatabase.open(this.#path, "normal");
    const life = new LifeSign(database.path);
    const stops = new StopRequests(database, this.#lifetimeMs);
    this.#open = { database, life, stops, upkeep: new Upkeep(database, life, stops) };
    return this.#open;
  }
}

function requestOf(runId: string, { reason, at }: StoredStop): StopRequest {
  return { runId, reason, at };
}

/** What of a reason can be stored: JSON as it is, an error as its name and message, anything else as text. */
function reasonOf(reason: unknown): Json | undefined {
  if (reason === undefined) return undefined;
  const plain = errorToJson(reason);
  const text = jsonText(plain);
  return text === undefined ? textOf(reason) : (JSON.parse(text) as Json);
}
