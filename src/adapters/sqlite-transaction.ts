/** A read-modify-write as one transaction that takes its turn among all processes on the file. */
import type { DatabaseSync } from "node:sqlite";

/**
 * `immediate`: the right to write is taken before the first read, so no snapshot grows old under it. `deferred` is for
 * reading only.
 */
export function transaction<T>(
  database: DatabaseSync,
  work: () => T,
  kind: "immediate" | "deferred" = "immediate",
): T {
  database.exec(`begin ${kind}`);
  try {
    const value = work();
    database.exec("commit");
    return value;
  } catch (error) {
    rollBack(database);
    throw error;
  }
}

/** A full disk and some other errors have rolled back already; then SQLite says that nothing is there to roll back. */
function rollBack(database: DatabaseSync): void {
  try {
    database.exec("rollback");
  } catch (error) {
    if (!(error instanceof Error) || !/no transaction is active/.test(error.message)) throw error;
  }
}
