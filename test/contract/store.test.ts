// Every run store against the one suite. A new store is one more entry.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { MemoryRunStore } from "../../src/adapters/memory-store.ts";
import { PostgresRunStore } from "../../src/adapters/postgres.ts";
import { SqliteRunStore } from "../../src/adapters/sqlite.ts";
import type { SelfQueueingStore } from "../../src/store.ts";
import { postgresProblem, testSchema, url } from "./postgres-server.ts";
import { testQueueing } from "./queueing-suite.ts";
import { type StoreEntry, testStore } from "./store-suite.ts";

const memory: StoreEntry<SelfQueueingStore> = {
  name: "in memory",
  async open() {
    const store = new MemoryRunStore();
    return { store, second: () => store, dispose: () => store.close() };
  },
};

const sqlite: StoreEntry<SelfQueueingStore> = {
  name: "SQLite",
  async open() {
    const directory = mkdtempSync(join(tmpdir(), "llmethod-"));
    const stores: SqliteRunStore[] = [];
    const open = () => {
      const store = new SqliteRunStore({ path: join(directory, "runs.db") });
      stores.push(store);
      return store;
    };
    return {
      store: open(),
      second: open,
      async dispose() {
        for (const store of stores) await store.close();
        rmSync(directory, { recursive: true, force: true });
      },
    };
  },
};

const selfQueueing: readonly StoreEntry<SelfQueueingStore>[] = [memory, sqlite];
const postgres: StoreEntry = {
  name: "PostgreSQL",
  missing: await postgresProblem(),
  async open() {
    const schema = await testSchema();
    const store = new PostgresRunStore({ url, schema: schema.name });
    // With a pool of its own it shares nothing with the other.
    const pool = new pg.Pool({ connectionString: url, max: 4 });
    const seconds: PostgresRunStore[] = [];
    return {
      store,
      second() {
        const second = new PostgresRunStore({ pool, schema: schema.name });
        seconds.push(second);
        return second;
      },
      async dispose() {
        for (const one of [store, ...seconds]) await one.close();
        await pool.end();
        await schema.drop();
      },
    };
  },
};

const others: readonly StoreEntry[] = [postgres];

for (const entry of [...selfQueueing, ...others]) testStore(entry);
for (const entry of selfQueueing) testQueueing(entry);
