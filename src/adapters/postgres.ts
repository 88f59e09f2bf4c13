/** Runs and stop requests in PostgreSQL: the store and the cancellation manager for programs on many machines. */
export {
  PostgresCancellationManager,
  type PostgresCancellationManagerOptions,
} from "./postgres-cancellation.ts";
export type { PostgresOptions } from "./postgres-options.ts";
export { PostgresRunStore, type PostgresRunStoreOptions } from "./postgres-store.ts";
