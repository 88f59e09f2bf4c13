/** Loads `node:sqlite` when it is first needed, without the warning that Node 22 prints for it. */
import type * as Sqlite from "node:sqlite";
import { SqliteStoreError } from "./sqlite-errors.ts";

let loaded: typeof Sqlite | undefined;

/** @throws SqliteStoreError `no_sqlite` where this Node has no SQLite */
export function sqliteModule(): typeof Sqlite {
  loaded ??= quietly(() => process.getBuiltinModule("node:sqlite"));
  if (loaded === undefined) {
    throw new SqliteStoreError(
      "no_sqlite",
      `Node ${process.versions.node} has no node:sqlite. Use Node 22.13 or newer, or another run store.`,
    );
  }
  return loaded;
}

/** Node emits the warning at once, within the first load; every other warning passes. */
function quietly<T>(load: () => T): T {
  const emit = process.emitWarning;
  process.emitWarning = ((...call: Parameters<typeof emit>) => {
    if (!isSqliteWarning(call[0], call[1])) Reflect.apply(emit, process, call);
  }) as typeof emit;
  try {
    return load();
  } finally {
    process.emitWarning = emit;
  }
}

function isSqliteWarning(warning: string | Error, kind: unknown): boolean {
  const text = typeof warning === "string" ? warning : warning.message;
  const type = typeof kind === "object" && kind !== null && "type" in kind ? kind.type : kind;
  const name = typeof warning === "string" ? type : warning.name;
  return name === "ExperimentalWarning" && /\bSQLite\b/i.test(text);
}
