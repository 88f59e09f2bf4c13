/** What can go wrong with a database file, said so that one knows what to do: SQLite's own codes are translated here. */

/** Why a database file cannot be used. */
export type SqliteStoreErrorCode =
  | "no_sqlite"
  | "unwritable"
  | "corrupt"
  | "foreign_file"
  | "newer_version"
  | "no_wal"
  | "full"
  | "busy"
  | "closed"
  | "failed";

/** The run store's file cannot be used; the message names it. `cause` is the error of SQLite or of the file system. */
export class SqliteStoreError extends Error {
  override readonly name = "SqliteStoreError";
  readonly code: SqliteStoreErrorCode;

  constructor(code: SqliteStoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

const busyCode = 5;

/** By SQLite's primary result codes. */
const known: Readonly<Record<number, readonly [SqliteStoreErrorCode, string]>> = {
  [busyCode]: ["busy", "is locked: another process has been writing for more than 5 seconds. Try again."],
  6: ["busy", "is locked within this process. Try again."],
  8: ["unwritable", "may not be written. Give this user the right to write the file and its directory."],
  10: ["failed", "cannot be read or written. Look at the disk."],
  11: ["corrupt", "is damaged. Move it away (with its -wal and -shm files), or restore a backup."],
  13: ["full", "cannot grow: the disk is full. Nothing was written; make room and try again."],
  14: ["unwritable", "cannot be opened. Give this user the right to write the file and its directory."],
  26: ["corrupt", "is no SQLite database, or is damaged. Pass another path, or move the file away."],
};

/** An error of SQLite or of the file system as one that names the file; errors of other kinds stay as they are. */
export function sqliteError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error instanceof SqliteStoreError) return error;
  const code = resultCode(error);
  if (code !== undefined) {
    const [kind, text] = known[code] ?? ["failed" as const, `cannot be used: ${error.message}.`];
    return new SqliteStoreError(kind, `The run store ${path} ${text}`, { cause: error });
  }
  if (!("syscall" in error)) return error;
  return new SqliteStoreError("unwritable", `The run store ${path} cannot be opened: ${error.message}.`, {
    cause: error,
  });
}

/** Whether somebody else holds the lock just now. */
export function isBusy(error: unknown): boolean {
  return error instanceof Error && resultCode(error) === busyCode;
}

/** The primary result code; the upper bits of SQLite's extended codes say more than is needed. */
function resultCode(error: Error): number | undefined {
  return "errcode" in error && typeof error.errcode === "number" ? error.errcode & 0xff : undefined;
}
