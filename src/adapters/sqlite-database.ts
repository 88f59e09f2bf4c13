/** A run store's file, opened once for all objects of a process that use it: statements, transactions, the doorbell. */
import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { isBusy, SqliteStoreError, sqliteError } from "./sqlite-errors.ts";
import { sqliteModule } from "./sqlite-module.ts";
import { checkFile, migrate } from "./sqlite-schema.ts";
import { transaction } from "./sqlite-transaction.ts";
import { Doorbell } from "./sqlite-watch.ts";

/**
 * `normal`: what was written survives the death of the process; a power cut may take the last moments, and damages
 * nothing. `full`: it survives that too, and each write waits for the disk.
 */
export type Durability = "normal" | "full";

export const defaultPath = ".llmethod/runs.db";

/** How long a write waits for other processes, in ms. */
const busyTimeoutMs = 5000;
const opened = new Map<string, SqliteDatabase>();

export class SqliteDatabase {
  readonly path: string;
  readonly doorbell: Doorbell;
  readonly #key: string;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #users = 0;

  /** Each `open` needs a `close` of its own. @throws SqliteStoreError */
  static open(path: string, durability: Durability): SqliteDatabase {
    const absolute = resolve(path);
    const key = `${durability} ${absolute}`;
    const database = opened.get(key) ?? new SqliteDatabase(key, absolute, durability);
    opened.set(key, database);
    database.#users += 1;
    return database;
  }

  private constructor(key: string, path: string, durability: Durability) {
    this.#key = key;
    this.path = path;
    this.#database = openFile(path, durability);
    this.doorbell = new Doorbell(path, () => this.#version());
  }

  all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#guard(() => this.#statement(sql).all(...values) as Row[]);
  }

  get<Row>(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#guard(() => this.#statement(sql).get(...values) as Row | undefined);
  }

  /** Gives how many rows were changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return this.#guard(() => Number(this.#statement(sql).run(...values).changes));
  }

  /** All that `work` reads and writes is one transaction; where it throws, nothing was written. */
  write<T>(work: () => T): T {
    return this.#guard(() => transaction(this.#database, work));
  }

  close(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    opened.delete(this.#key);
    this.doorbell.close();
    this.#database.close();
  }

  /** Changes whenever another connection has written. */
  #version(): number {
    return Number(this.#statement("pragma data_version").get()?.data_version);
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw sqliteError(error, this.path);
    }
  }
}

function openFile(path: string, durability: Durability): DatabaseSync {
  const { DatabaseSync } = sqliteModule();
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(dirname(path), { recursive: true });
    database = new DatabaseSync(path);
    // By a pragma: Node before 22.16 does not know the option.
    database.exec(`pragma busy_timeout = ${busyTimeoutMs}`);
    checkFile(database, path);
    useWal(database, path);
    database.exec(`pragma synchronous = ${durability}; pragma journal_size_limit = 16777216`);
    migrate(database, path);
    return database;
  } catch (error) {
    database?.close();
    throw sqliteError(error, path);
  }
}

/** Readers and a writer at the same time need the write-ahead log; the file remembers it. */
function useWal(database: DatabaseSync, path: string): void {
  const mode = () => database.prepare("pragma journal_mode").get()?.journal_mode;
  if (mode() === "wal") return;
  whileBusy(() => database.exec("pragma journal_mode = wal"));
  if (mode() === "wal") return;
  throw new SqliteStoreError(
    "no_wal",
    `The run store ${path} cannot have a write-ahead log there, as on network file systems. Pass a path on a local ` +
      "disk; for several machines use the PostgreSQL store, for memory the MemoryRunStore.",
  );
}

/** SQLite's own timeout does not hold for the change to a write-ahead log, when several processes make one file. */
function whileBusy(work: () => void): void {
  const end = performance.now() + busyTimeoutMs;
  for (;;) {
    try {
      work();
      return;
    } catch (error) {
      if (!isBusy(error) || performance.now() > end) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
