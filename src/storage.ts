/** The run store and the queue that this process uses: the configured ones, or a SQLite file. */
import { UsageError } from "./errors.ts";
import type { RunQueue } from "./queue.ts";
import { runtime } from "./runtime.ts";
import type { RunStore, SelfQueueingStore } from "./store.ts";

/** The configured store; by default SQLite in `.llmethod/runs.db`, loaded when it is first needed. */
export async function theStore(): Promise<RunStore> {
  const { store } = runtime.settings;
  if (store !== undefined) return store;
  runtime.defaultStore ??= import("./adapters/sqlite.ts").then(({ SqliteRunStore }) => new SqliteRunStore());
  return runtime.defaultStore;
}

/** Whether this process uses a store, or was told of one: nobody opens a file to look for nothing. */
export function knowsStore(): boolean {
  return runtime.settings.store !== undefined || runtime.defaultStore !== undefined;
}

/**
 * The queue beside the store; none where the store needs none.
 *
 * @throws UsageError `invalid_option` where the store cannot say by itself what to run next
 */
export function queueFor(store: RunStore): RunQueue | undefined {
  const { queue } = runtime.settings;
  if (queue === undefined && !queuesItself(store)) {
    throw new UsageError(
      "invalid_option",
      "This run store needs a queue: configure({ store, queue: new PgBossQueue() }), or BullMQQueue.",
    );
  }
  return queue;
}

export function queuesItself(store: RunStore): store is SelfQueueingStore {
  return "claimNext" in store && typeof store.claimNext === "function";
}
