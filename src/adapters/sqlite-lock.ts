/** Tells whether who took a run up is still alive: by a lock that the operating system frees when its process dies. */
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { isBusy, sqliteError } from "./sqlite-errors.ts";
import { sqliteModule } from "./sqlite-module.ts";

/**
 * The locks that this process holds. Their files must not be opened and closed by other means while they are held:
 * POSIX drops all locks that a process has on a file as soon as it closes the file once.
 */
const held = new Set<string>();
let removesAtExit = false;

/** A process that ends in peace takes its files along; those of a killed one are swept by the next. */
function removeAtExit(): void {
  if (removesAtExit) return;
  removesAtExit = true;
  process.once("exit", () => {
    for (const file of held) rmSync(file, { force: true });
  });
}

/** Nothing is ever written under the lock, so that it needs no journal beside it. */
const lock = "pragma journal_mode = memory; begin exclusive";

/** A lock file older than this, in ms, whose lock is free has no owner any more. */
const leftBehindMs = 60_000;

/**
 * The life sign of one store object: a lock file beside the database, locked exclusively from the first need until
 * `release` or the death of the process. No clock, no heartbeat, no process id: a stopped process keeps it, a
 * killed one loses it at once, and an id is never used twice.
 */
export class LifeSign {
  readonly #directory: string;
  #lock: { readonly id: string; readonly database: DatabaseSync } | undefined;

  constructor(databasePath: string) {
    this.#directory = `${databasePath}.owners`;
  }

  /** The id under which this object lives; taken when first needed. */
  get id(): string {
    this.#lock ??= this.#acquire();
    return this.#lock.id;
  }

  /** Of these ids, those whose object is dead or closed. */
  lost(ids: readonly string[]): string[] {
    return ids.filter((id) => this.#isLost(id));
  }

  release(): void {
    if (this.#lock === undefined) return;
    const { id, database } = this.#lock;
    this.#lock = undefined;
    database.close();
    held.delete(this.#file(id));
    rmSync(this.#file(id), { force: true });
  }

  #acquire(): { id: string; database: DatabaseSync } {
    const id = randomUUID();
    const file = this.#file(id);
    const { DatabaseSync } = sqliteModule();
    try {
      mkdirSync(this.#directory, { recursive: true });
      this.#sweep();
      const database = new DatabaseSync(file);
      database.exec(`pragma busy_timeout = 1000; ${lock}`);
      held.add(file);
      removeAtExit();
      return { id, database };
    } catch (error) {
      throw sqliteError(error, file);
    }
  }

  #isLost(id: string): boolean {
    const file = this.#file(id);
    if (held.has(file)) return false;
    if (!existsSync(file)) return true;
    const { DatabaseSync } = sqliteModule();
    const probe = new DatabaseSync(file);
    try {
      probe.exec(`pragma busy_timeout = 0; ${lock}`);
    } catch (error) {
      if (isBusy(error)) return false;
      throw sqliteError(error, file);
    } finally {
      probe.close();
    }
    rmSync(file, { force: true });
    return true;
  }

  /** Removes what killed processes left behind. A young file may belong to a process that is about to lock it. */
  #sweep(): void {
    const oldest = Date.now() - leftBehindMs;
    for (const name of readdirSync(this.#directory)) {
      const age = statSync(join(this.#directory, name), { throwIfNoEntry: false })?.mtimeMs;
      if (name.endsWith(".lock") && age !== undefined && age < oldest) this.#isLost(name.slice(0, -5));
    }
  }

  #file(id: string): string {
    return join(this.#directory, `${id}.lock`);
  }
}
