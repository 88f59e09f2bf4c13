// The stores on which background runs are tested, fresh for every test; all workers of a test are stopped after it.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  configure,
  MemoryRunStore,
  type RunStore,
  startWorker,
  type Worker,
  type WorkerOptions,
} from "llmethod";
import { SqliteRunStore } from "llmethod/sqlite";
import { afterEach, beforeEach } from "vitest";
import { workersOf } from "../../src/worker.ts";

export const storeKinds = ["memory", "sqlite"] as const;
export type StoreKind = (typeof storeKinds)[number];

export interface Place {
  readonly store: RunStore;
  /** For the files of this test. */
  readonly directory: string;
  /** What was reported that ended no run. */
  readonly faults: readonly Error[];
  /** Starts a worker that is stopped after the test. */
  worker(functions: readonly object[], more?: Partial<WorkerOptions>): Promise<Worker>;
}

/** The store is configured, with a worker that begins by itself. */
export function usePlace(kind: StoreKind): Place {
  let open: { store: RunStore; directory: string; faults: Error[] } | undefined;
  const now = () => {
    if (open === undefined) throw new Error("a place is there during a test only");
    return open;
  };
  beforeEach(() => {
    const directory = mkdtempSync(join(tmpdir(), "llmethod-"));
    const faults: Error[] = [];
    const path = join(directory, "runs.db");
    const store = kind === "memory" ? new MemoryRunStore() : new SqliteRunStore({ path });
    open = { store, directory, faults };
    configure({ store, worker: {}, onFault: (error) => faults.push(error) });
  });
  afterEach(async () => {
    const { store, directory } = now();
    for (const worker of workersOf(store)) await worker.stop({ drainMs: 0 });
    await store.close();
    rmSync(directory, { recursive: true, force: true });
    open = undefined;
  });
  return {
    get store() {
      return now().store;
    },
    get directory() {
      return now().directory;
    },
    get faults() {
      return now().faults;
    },
    worker: (functions, more = {}) => startWorker({ functions, signals: false, ...more }),
  };
}
