/** The cancellation manager in PostgreSQL: a stop request from any process that reaches the database. */
import { CancellationManager, type StopRequest } from "../cancellation.ts";
import { errorToJson, type Json } from "../json.ts";
import { type Entry, OwnEntries } from "./own-entries.ts";
import { checkText, type Database, DatabaseLease } from "./postgres-database.ts";
import { repeating } from "./postgres-faults.ts";
import { checkOptions, optionKeys, type PostgresOptions } from "./postgres-options.ts";
import { removeIntents } from "./postgres-prune.ts";
import { parsed, type StopRow, stopColumns, stopOf } from "./postgres-rows.ts";
import { isDeserted, isExpired, storeStop } from "./postgres-stops.ts";
import { StopWatches } from "./postgres-watches.ts";
import { checkKeys, checkLifetime } from "./stop-request.ts";

export interface PostgresCancellationManagerOptions extends PostgresOptions {
  /** How long a request for an id that nobody has is kept, in ms. Default 24 hours. */
  readonly intentLifetimeMs?: number;
}

/** How often a process says that it lives; `isDeserted` has the time after which it counts as dead. */
const beatMs = 10_000;

/**
 * Carries stop requests by a table and `LISTEN`/`NOTIFY`. With the same options as a `PostgresRunStore` it works on the
 * store's own requests: a stop asked of either reaches both, with the descendants of stored runs. A reason is kept as
 * JSON (an error as its name, message and causes). The entry of a process that died counts for a minute. It holds no
 * process open; `close()` ends its connections at once.
 *
 * @throws UsageError `invalid_option`, at once
 * @example
 * setCancellationManager(new PostgresCancellationManager({ url: "postgres://app@db.example/app" }));
 * await cancelRun("run-1", "the user left"); // a run of any process
 */
export class PostgresCancellationManager extends CancellationManager {
  readonly #lease: DatabaseLease;
  readonly #lifetimeMs: number;
  readonly #own = new OwnEntries((entry) => this.#remove(entry));
  readonly #watches: StopWatches;
  #opened: Promise<Database> | undefined;
  #beat: NodeJS.Timeout | undefined;
  #isRenewing = false;

  constructor(options: PostgresCancellationManagerOptions = {}) {
    super();
    checkKeys("PostgresCancellationManager", options, [...optionKeys, "intentLifetimeMs"]);
    this.#lifetimeMs = checkLifetime(options.intentLifetimeMs);
    const settings = checkOptions("PostgresCancellationManager", options);
    this.#lease = new DatabaseLease("PostgresCancellationManager", settings);
    const renew = () => void this.#renew();
    this.#watches = new StopWatches(this.#lease, (runIds) => this.#requests(runIds), renew);
  }

  override async register(runId: string): Promise<void> {
    await this.#lease.open();
    const entry = this.#own.add(checkText(runId));
    // Begun first: an entry that cannot be written now is written later.
    this.#beat ??= setInterval(() => void this.#renew(), beatMs).unref();
    this.#watches.listen();
    const database = await this.#open();
    await database.query(
      `with void as (delete from @stop_request stop where run_id = $1 and ${isExpired(this.#lifetimeMs)})
       insert into @registration (run_id, token) values ($1, $2::uuid) on conflict do nothing`,
      [runId, entry.token],
    );
  }

  override async cancel(runId: string, reason?: unknown): Promise<boolean> {
    const database = await this.#open();
    const stop = { runId, reason: asJson(reason), by: undefined, lifetimeMs: this.#lifetimeMs };
    const { isStored, isRegistered } = await repeating(() => storeStop(database, stop));
    return isStored || isRegistered;
  }

  override async isCancelled(runId: string): Promise<StopRequest | undefined> {
    return (await this.#requests([runId])).get(runId);
  }

  override async cleanup(runId: string): Promise<void> {
    const ending = this.#own.end(runId);
    if (this.#own.isEmpty) this.#rest();
    await ending;
  }

  override async activeRuns(): Promise<ReadonlyMap<string, boolean>> {
    const database = await this.#open();
    const rows = await database.query<{ run_id: string; is_asked: boolean }>(
      `select distinct run_id, exists (
         select from @stop_request stop where stop.run_id = registration.run_id) as is_asked
       from @registration registration where not ${isDeserted}`,
    );
    return new Map(rows.map(({ run_id, is_asked }) => [run_id, is_asked === true]));
  }

  /** All watches share one connection, and one query where they look again. */
  override watch(
    runId: string,
    onCancel: (request: StopRequest) => void,
    onFault: (error: unknown) => void = () => {},
  ): () => void {
    return this.#watches.add(runId, onCancel, onFault);
  }

  /**
   * Ends all watches, removes the entries of this manager's runs, and ends the connections where nobody else in this
   * process uses them. After it, every method rejects.
   */
  override async close(): Promise<void> {
    this.#rest();
    this.#watches.end();
    try {
      if (this.#opened !== undefined) await this.#own.endAll();
    } finally {
      this.#opened = undefined;
      await this.#lease.close();
    }
  }

  #rest(): void {
    clearInterval(this.#beat);
    this.#beat = undefined;
  }

  #open(): Promise<Database> {
    this.#opened ??= this.#begin().catch((error) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }

  async #begin(): Promise<Database> {
    const database = await this.#lease.open();
    await removeIntents(database, this.#lifetimeMs);
    return database;
  }

  /** Says that this process lives. What fails is tried again with the next beat, and told to those who watch. */
  async #renew(): Promise<void> {
    const entries = this.#own.all;
    if (this.#isRenewing || entries.length === 0) return;
    this.#isRenewing = true;
    try {
      const database = await this.#open();
      await database.query(
        `insert into @registration (run_id, token) select run_id, token
           from unnest($1::text[], $2::uuid[]) as ours (run_id, token) order by run_id, token
         on conflict (run_id, token) do update set seen_at = clock_timestamp()`,
        [entries.map(({ runId }) => runId), entries.map(({ token }) => token)],
      );
      await this.#own.endLeft();
      // A run may have ended in the meantime, and its entry have come back by this.
      for (const entry of entries) if (!this.#own.has(entry)) await this.#remove(entry);
    } catch (error) {
      this.#watches.fail(error);
    }
    this.#isRenewing = false;
  }

  /** The entry goes; the request too, where nobody else has this id. */
  async #remove({ runId, token }: Entry): Promise<void> {
    const database = await this.#open();
    const requests = await database.query(
      `with gone as (delete from @registration where run_id = $1 and token = $2::uuid)
       select from @stop_request where run_id = $1`,
      [runId, token],
    );
    if (requests.length === 0) return;
    // Under the lock, so that a run that is created just now keeps its request.
    await repeating(() =>
      database.transaction({ alone: [runId] }, ({ query }) =>
        query(
          `delete from @stop_request where run_id = $1 and not exists (select from @run where run_id = $1)
             and not exists (select from @registration registration where run_id = $1 and not ${isDeserted})`,
          [runId],
        ),
      ),
    );
  }

  /** Of these runs, those that are asked to stop; a stored run that has ended is asked no more. */
  async #requests(runIds: readonly string[]): Promise<ReadonlyMap<string, StopRequest>> {
    const database = await this.#open();
    const rows = await database.query<StopRow>(
      `select run_id, ${stopColumns} from @stop_request stop
       where run_id = any($1::text[]) and not ${isExpired(this.#lifetimeMs)}
         and not exists (select from @run run where run.run_id = stop.run_id and ended_at is not null)`,
      [runIds],
    );
    const requests = new Map<string, StopRequest>();
    for (const row of rows) {
      const stop = stopOf(row);
      if (stop !== undefined) {
        requests.set(row.run_id, { runId: row.run_id, reason: stop.reason, at: stop.at });
      }
    }
    return requests;
  }
}

/** What has no JSON becomes text. */
function asJson(reason: unknown): Json | undefined {
  return reason === undefined ? undefined : parsed<Json>(JSON.stringify(errorToJson(reason)));
}
