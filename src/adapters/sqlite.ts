/** `llmethod/sqlite`: a run store and a cancellation manager in a file, for all processes of one machine. */
export type { Durability } from "./sqlite-database.ts";
export { SqliteStoreError, type SqliteStoreErrorCode } from "./sqlite-errors.ts";
export { SqliteCancellationManager, type SqliteCancellationManagerOptions } from "./sqlite-manager.ts";
export { SqliteRunStore, type SqliteRunStoreOptions } from "./sqlite-store.ts";
