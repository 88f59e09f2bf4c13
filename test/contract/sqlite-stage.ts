// A directory for the files of one test, with the stores and processes that it opens; all are ended after it.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  SqliteCancellationManager,
  type SqliteCancellationManagerOptions,
  SqliteRunStore,
  type SqliteRunStoreOptions,
} from "../../src/adapters/sqlite.ts";
import { StoreProcess } from "./sqlite-process.ts";
import { until } from "./store-runs.ts";

export class SqliteStage {
  readonly directory = mkdtempSync(join(tmpdir(), "llmethod-"));
  readonly path = join(this.directory, "runs.db");
  readonly #closes: (() => Promise<unknown>)[] = [];

  store(options: SqliteRunStoreOptions = {}): SqliteRunStore {
    const store = new SqliteRunStore({ path: this.path, ...options });
    this.#closes.push(() => store.close());
    return store;
  }

  manager(options: SqliteCancellationManagerOptions = {}): SqliteCancellationManager {
    const manager = new SqliteCancellationManager({ path: this.path, ...options });
    this.#closes.push(() => manager.close());
    return manager;
  }

  process(environment?: NodeJS.ProcessEnv): StoreProcess {
    const child = new StoreProcess(this.path, environment);
    this.#closes.push(() => child.kill());
    return child;
  }

  async processes(count: number): Promise<StoreProcess[]> {
    const children = Array.from({ length: count }, () => this.process());
    await Promise.all(children.map((child) => child.ready()));
    return children;
  }

  /** The lock files of those that have taken up runs or registered them. */
  get lockFiles(): string[] {
    return readdirSync(`${this.path}.owners`);
  }

  async close(): Promise<void> {
    for (const close of this.#closes) await close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** How long it takes from an act here until the other side knows, in ms, as `performance.timeOrigin + now` tells it. */
export async function measure(
  count: number,
  listen: (runId: string) => Promise<unknown> | undefined,
  act: (runId: string) => Promise<unknown>,
): Promise<number[]> {
  const latencies: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const heard = listen(`measured-${index}`);
    await until(() => true, 30 + (index % 7) * 5);
    const begin = performance.timeOrigin + performance.now();
    await act(`measured-${index}`);
    latencies.push(Number(await heard) - begin);
  }
  return latencies;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
