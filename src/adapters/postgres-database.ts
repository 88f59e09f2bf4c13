/** A PostgreSQL database as the store and the manager use it: pool, tables, transactions, bells; shared in the process. */
import { createHash } from "node:crypto";
import type { Pool, PoolClient } from "pg";
import { UsageError } from "../errors.ts";
import { StoreClosedError } from "../store.ts";
import { type FaultKind, faultKind, repeating } from "./postgres-faults.ts";
import { type Bell, Listener } from "./postgres-listener.ts";
import { inSchema, isUpToDate, migrate } from "./postgres-migrations.ts";
import type { Settings } from "./postgres-options.ts";
import { listenConfig, ownPool, type Pg, postgresModule } from "./postgres-pool.ts";

export type Value = string | number | null | readonly string[];

/** A transaction at work. */
export interface Transaction {
  readonly client: PoolClient;
  query<Row extends object>(statement: string, values?: readonly Value[]): Promise<Row[]>;
}

/** Ids whose work must not run side by side. `shared` ones may, among themselves. */
export interface Locks {
  readonly alone?: readonly string[];
  readonly shared?: readonly string[];
}

/** One per database and schema in a process, however many stores and managers use it; `DatabaseLease` opens it. */
export class Database {
  readonly #pool: Pool;
  readonly #isOwnPool: boolean;
  readonly #schema: string;
  readonly #listener: Listener;
  readonly #ignore = () => {};
  #ready: Promise<void> | undefined;
  leases = 0;

  constructor(pg: Pg, settings: Settings) {
    const { source, schema, listen } = settings;
    this.#isOwnPool = typeof source === "string";
    this.#pool = typeof source === "string" ? ownPool(pg, source) : source;
    // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
    this.#pool.on("error", this.#ignore);
    this.#schema = schema;
    const connect = () => new pg.Client(listenConfig(this.#pool));
    this.#listener = new Listener(listen ? connect : undefined, this.channel);
  }

  /** The name on which changes are told. */
  get channel(): string {
    return `${this.#schema}.change`;
  }

  /** The rows of a statement that may be done twice, which is done again where a connection broke. */
  query<Row extends object>(statement: string, values: readonly Value[] = []): Promise<Row[]> {
    return repeating(() => this.once<Row>(statement, values));
  }

  /** The rows of one statement, tried once. */
  async once<Row extends object>(statement: string, values: readonly Value[] = []): Promise<Row[]> {
    await this.#open();
    const { rows } = await this.#pool.query<Row>(inSchema(statement, this.#schema), plain(values));
    return rows;
  }

  /** Does the work in one transaction that holds these locks, tried once. */
  async transaction<T>(locks: Locks, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    await this.#open();
    return this.#transaction(locks, work);
  }

  /** Rings for changes of this schema's runs, and whenever it begins to hear. */
  subscribe(bell: Bell): () => void {
    return this.#listener.subscribe(bell);
  }

  /** Begins to listen; resolves when it hears, or when it is known that it cannot just now. */
  hearing(): Promise<void> {
    return this.#listener.settled();
  }

  async end(): Promise<void> {
    await this.#listener.end();
    if (this.#isOwnPool) await this.#pool.end();
    this.#pool.off("error", this.#ignore);
  }

  /** Brings the tables up to date, once; after a failure the next call tries again. */
  #open(): Promise<void> {
    this.#ready ??= repeating(() => this.#migrate()).catch((error) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  async #migrate(): Promise<void> {
    const schema = this.#schema;
    if (await this.#borrow((client) => isUpToDate(client, schema))) return;
    await this.#transaction({ alone: ["migrate"] }, ({ client }) => migrate(client, schema));
  }

  #transaction<T>(locks: Locks, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#borrow(async (client) => {
      await client.query(["begin isolation level read committed", ...this.#lockStatements(locks)].join("; "));
      const query = async <Row extends object>(statement: string, values: readonly Value[] = []) =>
        (await client.query<Row>(inSchema(statement, this.#schema), plain(values))).rows;
      const result = await work({ client, query });
      const { command } = await client.query("commit");
      if (command === "COMMIT") return result;
      throw new Error("The transaction was rolled back: a statement within it had failed.");
    });
  }

  /** In one order for everybody, so that nobody waits in a circle. */
  #lockStatements({ alone = [], shared = [] }: Locks): string[] {
    const keys = new Map<bigint, string>();
    for (const id of shared) keys.set(this.#lockKey(id), "pg_advisory_xact_lock_shared");
    for (const id of alone) keys.set(this.#lockKey(id), "pg_advisory_xact_lock");
    const sorted = [...keys].sort(([a], [b]) => (a < b ? -1 : 1));
    return sorted.map(([key, lock]) => `select ${lock}(${key})`);
  }

  #lockKey(id: string): bigint {
    return createHash("sha256").update(`llmethod\0${this.#schema}\0${id}`).digest().readBigInt64BE();
  }

  /**
   * A client out of the pool has no listener of the pool's: a connection that breaks then must find one here. After a
   * failure the transaction is rolled back; where that fails too, the connection goes.
   */
  async #borrow<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    client.on("error", this.#ignore);
    let isFit = true;
    try {
      return await work(client);
    } catch (error) {
      isFit = !endsConnection(faultKind(error)) && (await rollBack(client));
      throw error;
    } finally {
      client.off("error", this.#ignore);
      client.release(!isFit);
    }
  }
}

/** What one store or manager holds of a database: it is opened with the first call and ended with the last lease. */
export class DatabaseLease {
  readonly #settings: Settings;
  readonly #owner: string;
  readonly #subscriptions = new Set<() => void>();
  #database: Promise<Database> | undefined;
  #isClosed = false;

  constructor(owner: string, settings: Settings) {
    this.#owner = owner;
    this.#settings = settings;
  }

  /** @throws Error after `close`, or where the package `pg` is missing */
  async open(): Promise<Database> {
    if (this.#isClosed) throw new StoreClosedError(`This ${this.#owner} is closed: make a new one.`);
    this.#database ??= this.#take().catch((error) => {
      this.#database = undefined;
      throw error;
    });
    return this.#database;
  }

  /** Rings until it is ended, or until the lease is closed. */
  async subscribe(bell: Bell): Promise<() => void> {
    const database = await this.open();
    const unsubscribe = database.subscribe(bell);
    const end = () => {
      this.#subscriptions.delete(end);
      unsubscribe();
    };
    this.#subscriptions.add(end);
    return end;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const end of this.#subscriptions) end();
    const taken = this.#database;
    this.#database = undefined;
    if (taken === undefined) return;
    const database = await taken;
    database.leases--;
    if (database.leases > 0) return;
    openDatabases(this.#settings).delete(nameOf(this.#settings));
    await database.end();
  }

  async #take(): Promise<Database> {
    const pg = await postgresModule(this.#owner);
    const open = openDatabases(this.#settings);
    const name = nameOf(this.#settings);
    const database = open.get(name) ?? new Database(pg, this.#settings);
    open.set(name, database);
    database.leases++;
    return database;
  }
}

const byAddress = new Map<string, Database>();
const byPool = new WeakMap<Pool, Map<string, Database>>();

function openDatabases({ source }: Settings): Map<string, Database> {
  if (typeof source === "string") return byAddress;
  const known = byPool.get(source) ?? new Map<string, Database>();
  byPool.set(source, known);
  return known;
}

function nameOf({ source, schema, listen }: Settings): string {
  return [schema, listen, typeof source === "string" ? source : ""].join(" ");
}

/** The values for `pg`, which wants arrays that it may write to. */
function plain(values: readonly Value[]): (string | number | null | string[])[] {
  return values.map((value) => {
    if (typeof value === "string") checkText(value);
    if (typeof value !== "object" || value === null) return value;
    return value.map(checkText);
  });
}

/** @throws UsageError for text that PostgreSQL has not */
export function checkText(text: string): string {
  if (!text.includes("\0")) return text;
  const problem = `PostgreSQL keeps no U+0000 in ids, names and keys: ${JSON.stringify(text)}.`;
  throw new UsageError("invalid_option", problem);
}

async function rollBack(client: PoolClient): Promise<boolean> {
  try {
    await client.query("rollback");
    return true;
  } catch {
    return false;
  }
}

function endsConnection(kind: FaultKind): boolean {
  return kind === "lost" || kind === "unreachable";
}
