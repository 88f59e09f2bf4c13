/** What only PostgreSQL has: migrations, shared transactions, NOTIFY, many connections, and JSON as it was written. */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { cpSync, globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  PostgresCancellationManager,
  type PostgresOptions,
  PostgresRunStore,
} from "../../src/adapters/postgres.ts";
import type { Claim, NewEvent, NewRun } from "../../src/store.ts";
import { postgresProblem, type TestSchema, testSchema, url } from "./postgres-server.ts";
import { claimed, delta, newRun, outcome, until } from "./store-runs.ts";

const root = join(import.meta.dirname, "../..");
const problem = await postgresProblem();
const isThere = problem === undefined || process.env.CI !== undefined;
if (!isThere) console.warn(`What only PostgreSQL has is not tested: ${problem}.`);

let schema: TestSchema;
let opened: { close(): Promise<void> }[] = [];
let pools: pg.Pool[] = [];

beforeEach(async () => {
  if (isThere) schema = await testSchema();
});

afterEach(async () => {
  const closed = await Promise.allSettled(opened.map((one) => one.close()));
  await Promise.all(pools.map((pool) => pool.end()));
  opened = [];
  pools = [];
  if (isThere) await schema.drop();
  expect(closed.filter(({ status }) => status === "rejected")).toEqual([]);
});

function storeOf(options: PostgresOptions = {}): PostgresRunStore {
  const store = new PostgresRunStore({ ...place(options), schema: schema.name, ...options });
  opened.push(store);
  return store;
}

function managerOf(
  options: PostgresOptions & { intentLifetimeMs?: number } = {},
): PostgresCancellationManager {
  const manager = new PostgresCancellationManager({ ...place(options), schema: schema.name, ...options });
  opened.push(manager);
  return manager;
}

const place = ({ pool }: PostgresOptions) => (pool === undefined ? { url } : {});

/** With a pool of its own a store shares nothing with others in this process. */
function poolOf(max = 4): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max, connectionTimeoutMillis: 1000 });
  pools.push(pool);
  return pool;
}

async function running(store: PostgresRunStore, runId: string, more: Partial<NewRun> = {}): Promise<Claim> {
  await store.create(newRun(runId, more));
  return claimed(await store.claim(runId, "worker"));
}

const cancelled = outcome("cancelled");

describe("the options", () => {
  test.each<[string, unknown]>([
    ["no address", {}],
    ["both", { url, pool: new pg.Pool() }],
    ["a url of something else", { url: "mysql://host/name" }],
    ["a pool that is none", { pool: {} }],
    ["a schema with a quote", { url, schema: 'a"b' }],
    ["a schema of the server's", { url, schema: "pg_catalog" }],
    ["a listen that is no boolean", { url, listen: "yes" }],
    ["an option that does not exist", { url, scheme: "a" }],
    ["no object", "postgres://host"],
  ])("%s: refuses them at once, without a word of the address", (_, options) => {
    const before = process.env.DATABASE_URL;
    delete process.env.DATABASE_URL;
    try {
      for (const make of [PostgresRunStore, PostgresCancellationManager]) {
        expect(() => new make(options as PostgresOptions)).toThrow(
          expect.objectContaining({ code: "invalid_option", message: expect.not.stringContaining(url) }),
        );
      }
    } finally {
      if (before !== undefined) process.env.DATABASE_URL = before;
    }
  });

  test("the environment gives the address", () => {
    const before = process.env.DATABASE_URL;
    process.env.DATABASE_URL = url;
    try {
      expect(() => new PostgresRunStore()).not.toThrow();
    } finally {
      if (before === undefined) delete process.env.DATABASE_URL;
      else process.env.DATABASE_URL = before;
    }
  });

  test("a missing pg names the command that installs it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "llmethod-no-pg-"));
    try {
      for (const path of ["*.ts", "adapters/{postgres*,own-entries,watch-list,stop-request}.ts"]) {
        for (const file of globSync(path, { cwd: join(root, "src") })) {
          cpSync(join(root, "src", file), join(folder, "src", file));
        }
      }
      const program = `
        const { PostgresRunStore } = await import(${JSON.stringify(join(folder, "src/adapters/postgres.ts"))});
        const store = new PostgresRunStore({ url: "postgres://host/name" });
        await store.get("a").catch((error) => console.log(error.message));
        await store.close();`;
      expect(await child(program)).toMatch(/npm install pg/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** What a program of its own prints; it must end by itself. */
function child(program: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const args = ["--import", "tsx", "--input-type=module", "-e", program];
    execFile(process.execPath, args, { cwd: root, timeout: 15_000 }, (error, stdout, stderr) => {
      if (error === null && stderr === "") resolve(stdout);
      else reject(new Error(`${error ?? ""} ${stdout} ${stderr}`));
    });
  });
}

describe.skipIf(!isThere)("the tables", () => {
  test("are made once where many processes begin at the same time", async () => {
    const stores = Array.from({ length: 6 }, () => storeOf({ pool: poolOf(2) }));
    const results = await Promise.all(stores.map((store) => store.create(newRun("first"))));
    expect(results.filter(({ created }) => created)).toHaveLength(1);
    expect(await schema.sql("select version from @migration")).toEqual([{ version: 1 }]);
  });

  test("of a newer version are refused with what to do", async () => {
    await storeOf().get("none");
    await schema.sql("insert into @migration (version) values (99)");
    await expect(storeOf({ pool: poolOf(1) }).get("none")).rejects.toThrow(/version 99.*update llmethod/);
  });

  test("are usable by a role that may not make any", async () => {
    await storeOf().get("none");
    const address = new URL(url);
    address.username = schema.name;
    const password = pg.escapeLiteral(decodeURIComponent(address.password));
    await schema.sql(`create role "${schema.name}" login password ${password}`);
    await schema.sql(`grant usage on schema "${schema.name}" to "${schema.name}"`);
    await schema.sql(`grant all on all tables in schema "${schema.name}" to "${schema.name}"`);
    try {
      const store = storeOf({ url: address.href });
      expect((await store.create(newRun("theirs"))).created).toBe(true);
      await store.close();
    } finally {
      await schema.sql(`drop owned by "${schema.name}"`);
      await schema.sql(`drop role "${schema.name}"`);
    }
  });

  test("are written without moving a run's row to a new place in its indexes", async () => {
    const store = storeOf();
    const args = ["a long question ".repeat(200)];
    const claim = await running(store, "hot", { input: { args, options: {} } });
    for (let i = 0; i < 100; i++) await store.save(claim, { events: [delta("hot", "word ")] });
    // The server counts what a connection did when it ends, at the latest.
    await store.close();
    await until(async () => {
      const [row] = await schema.sql<{ all: number; hot: number }>(
        `select n_tup_upd::int as all, n_tup_hot_upd::int as hot from pg_stat_user_tables
         where schemaname = $1 and relname = 'run'`,
        [schema.name],
      );
      return row !== undefined && row.all >= 100 && row.hot >= row.all * 0.8;
    });
    const [size] = await schema.sql<{ pages: number }>(
      "select pg_relation_size('@run')::int / 8192 as pages",
    );
    expect(size?.pages).toBeLessThan(10);
  });
});

describe.skipIf(!isThere)("a shared transaction", () => {
  test("stores the run and what belongs to it, or neither", async () => {
    const store = storeOf();
    await schema.sql(`create schema if not exists "${schema.name}"`);
    await schema.sql("create table @job (run_id text)");
    const enqueue = (runId: string) => async (client: unknown) => {
      await (client as pg.PoolClient).query(`insert into "${schema.name}".job values ($1)`, [runId]);
    };
    expect((await store.create(newRun("both"), enqueue("both"))).created).toBe(true);
    expect((await store.create(newRun("both"), enqueue("both"))).created).toBe(false);
    const failing = async (client: unknown) => {
      await enqueue("neither")(client);
      throw new Error("the queue says no");
    };
    await expect(store.create(newRun("neither"), failing)).rejects.toThrow("the queue says no");
    expect(await store.get("neither")).toBeUndefined();
    expect(await schema.sql("select run_id from @job")).toEqual([{ run_id: "both" }]);
  });

  test("in which a statement failed unnoticed stores nothing and says so", async () => {
    const store = storeOf();
    const careless = async (client: unknown) => {
      await (client as pg.PoolClient).query("select 1 / 0").catch(() => {});
    };
    await expect(store.create(newRun("careless"), careless)).rejects.toThrow(/aborted|rolled back/);
    expect(await store.get("careless")).toBeUndefined();
    expect((await store.create(newRun("careful"))).created).toBe(true);
  });
});

describe.skipIf(!isThere)("stored JSON", () => {
  test("comes back as it was written, with U+0000, half surrogate pairs and the order of keys", async () => {
    const store = storeOf();
    const odd = JSON.parse('{"z":"\\u0000 \\ud800 \\"\\\\ {},","a":[1e21,-0.1,null,{"":[]}],"10":1,"2":2}');
    await store.create(newRun("odd", { input: { args: [odd], options: odd } }));
    await store.requestStop("odd", { reason: odd });
    const claim = claimed(await store.claim("odd", "worker"));
    await store.save(claim, {
      events: [{ ...delta("odd", "\0\ud800"), data: odd } as NewEvent],
      journal: [odd],
    });
    await store.finish(claim, { ...cancelled, reason: odd }, []);
    const record = await store.get("odd");
    const [event] = await store.events("odd", 0);
    const back = [
      record?.input.args[0],
      record?.stopRequest?.reason,
      record?.outcome?.reason,
      event,
      await store.journal("odd"),
    ];
    expect(JSON.stringify(back)).toBe(
      JSON.stringify([odd, odd, odd, { ...delta("odd", "\0\ud800"), data: odd, seq: 1 }, [odd]]),
    );
  });

  test("has ids without U+0000: such a one is refused with a word why", async () => {
    await expect(storeOf().create(newRun("a\0b"))).rejects.toThrow(/U\+0000/);
    await expect(managerOf().register("a\0b")).rejects.toThrow(/U\+0000/);
  });
});

describe.skipIf(!isThere)("a flush", () => {
  test("is one notification, with the run's id where it fits", async () => {
    const store = storeOf();
    const long = "x".repeat(9000);
    for (const runId of ["short", long]) await store.create(newRun(runId));
    const claims = [
      claimed(await store.claim("short", "worker")),
      claimed(await store.claim(long, "worker")),
    ];
    const listener = new pg.Client(url);
    await listener.connect();
    const heard: (string | undefined)[] = [];
    listener.on("notification", ({ payload }) => heard.push(payload));
    await listener.query(`listen "${schema.name}.change"`);
    const bells: (string | undefined)[] = [];
    const end = await store.watch((runId) => bells.push(runId));
    bells.length = 0;
    for (const claim of claims) {
      const events = Array.from({ length: 50 }, (_, index) => delta(claim.runId, `${index}`));
      await store.save(claim, { events, journal: [{ done: 1 }] });
    }
    await until(() => bells.length >= 2 && heard.length >= 2);
    await sleep(50);
    end();
    await listener.end();
    expect(heard).toEqual(["~short", "~"]);
    expect(bells).toEqual(["short", undefined]);
  });

  test("leaves no gap and no double, whoever else writes and whatever claim is void", async () => {
    const stores = [storeOf({ pool: poolOf() }), storeOf({ pool: poolOf() })] as const;
    await stores[0].create(newRun("shared"));
    const first = claimed(await stores[0].claim("shared", "worker"));
    const early = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        stores[index % 2 === 0 ? 0 : 1].save(first, { events: [delta("shared", "1"), delta("shared", "2")] }),
      ),
    );
    expect(early.sort((a, b) => a - b)).toEqual([2, 4, 6, 8, 10, 12, 14, 16, 18, 20]);
    const second = claimed(await stores[1].claim("shared", "worker"));
    const late = await Promise.allSettled([
      stores[0].save(first, { events: [delta("shared", "void")] }),
      stores[1].save(second, { events: [delta("shared", "3")] }),
      stores[0].finish(first, cancelled, [delta("shared", "void")]),
    ]);
    expect(late[0]).toMatchObject({ status: "rejected", reason: { code: "lost_claim" } });
    expect(late.slice(1)).toEqual([
      { status: "fulfilled", value: 21 },
      { status: "fulfilled", value: false },
    ]);
    const events = await stores[0].events("shared", 0);
    expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: 21 }, (_, index) => index + 1));
  });
});

describe.skipIf(!isThere)("many at once", () => {
  test("a stop that races with the run's creation always reaches it", async () => {
    const [one, other] = [storeOf({ pool: poolOf() }), storeOf({ pool: poolOf() })] as const;
    await one.get("none");
    await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const runId = `race-${index}`;
        const [{ record }, reached] = await Promise.all([
          one.create(newRun(runId)),
          other.requestStop(runId),
        ]);
        // Who came second knows of the first.
        expect(reached).toBe(record.stopRequest === undefined);
        expect((await one.get(runId))?.stopRequest).toBeDefined();
      }),
    );
  });

  test("a child that is created while its forefather is stopped is stopped too", async () => {
    const [one, other] = [storeOf({ pool: poolOf() }), storeOf({ pool: poolOf() })] as const;
    for (let i = 0; i < 20; i++) {
      await one.create(newRun(`top-${i}`));
      await one.create(newRun(`middle-${i}`, { parentRunId: `top-${i}` }));
      await Promise.all([
        one.requestStop(`top-${i}`),
        other.create(newRun(`child-${i}`, { parentRunId: `middle-${i}` })),
      ]);
      expect((await one.get(`child-${i}`))?.stopRequest).toBeDefined();
    }
  });

  test("a limit holds over all workers", async () => {
    const stores = [storeOf({ pool: poolOf() }), storeOf({ pool: poolOf() })] as const;
    const ids = Array.from({ length: 12 }, (_, index) => `limited-${index}`);
    for (const [index, runId] of ids.entries())
      await stores[0].create(newRun(runId, { key: `key-${index % 2}` }));
    const claim = (limits: object) =>
      Promise.all(
        ids.map((runId, index) =>
          stores[index % 2 === 0 ? 0 : 1].claim(runId, "w", { from: "pending", limits }),
        ),
      );
    const first = await claim({ perFunction: { ask: 5 }, perKey: 3 });
    expect(first.filter(({ kind }) => kind === "claimed")).toHaveLength(5);
    expect(first.filter(({ kind }) => kind === "busy")).toHaveLength(7);
    const second = await claim({ perKey: 3 });
    expect(second.filter(({ kind }) => kind === "claimed")).toHaveLength(1);
    expect(second.filter(({ kind }) => kind === "taken")).toHaveLength(5);
  });

  test("stops of one family from all sides, ends and new children do not block each other", async () => {
    const stores = [storeOf({ pool: poolOf() }), storeOf({ pool: poolOf() })] as const;
    const ids = Array.from({ length: 15 }, (_, index) => `tree-${(index * 7) % 15}`);
    for (const [index, runId] of ids.entries()) {
      const parentRunId = index === 0 ? undefined : ids[Math.floor((index - 1) / 2)];
      await stores[0].create(newRun(runId, parentRunId === undefined ? {} : { parentRunId }));
    }
    const claims = await Promise.all(
      ids.slice(7).map((runId) => stores[0].claim(runId, "worker").then(claimed)),
    );
    await Promise.all([
      ...ids.map((runId, index) => stores[index % 2 === 0 ? 0 : 1].requestStop(runId)),
      ...claims.map((claim) => stores[1].finish(claim, cancelled, [delta(claim.runId, "end")])),
      ...ids.map((parentRunId) => stores[1].create(newRun(`under-${parentRunId}`, { parentRunId }))),
    ]);
    const left = await stores[0].list({ status: "pending" });
    expect(
      left.filter(({ runId, stopRequest }) => runId.startsWith("tree") && stopRequest === undefined),
    ).toEqual([]);
  });
});

describe.skipIf(!isThere)("the manager and the store", () => {
  test("share the stop requests: either door reaches both, with all descendants", async () => {
    const store = storeOf();
    const manager = managerOf({ pool: poolOf() });
    for (const [runId, parentRunId] of [["a"], ["b", "a"], ["c", "b"]]) {
      await store.create(newRun(`${runId}`, parentRunId === undefined ? {} : { parentRunId }));
    }
    await manager.register("c");
    const heard = new Promise((resolve) => manager.watch("c", resolve));
    expect(await store.requestStop("a", { reason: { why: "enough" }, by: "user" })).toBe(true);
    expect(await heard).toMatchObject({ runId: "c", reason: { why: "enough" } });
    await manager.cleanup("c");
    expect((await store.get("c"))?.stopRequest, "it is part of the record").toMatchObject({ by: "user" });

    await store.create(newRun("d"));
    await store.create(newRun("e", { parentRunId: "d" }));
    expect(await manager.cancel("d", new Error("no more"))).toBe(true);
    const requests = await store.stopRequests(["d", "e", "none"]);
    expect([...requests.keys()].sort()).toEqual(["d", "e"]);
    expect(requests.get("e")?.reason).toMatchObject({ name: "Error", message: "no more" });
  });

  test("leave an ended run as it is", async () => {
    const store = storeOf();
    const manager = managerOf();
    await store.create(newRun("over"));
    await store.finish(claimed(await store.claim("over", "worker")), cancelled, []);
    expect(await manager.cancel("over", "late")).toBe(false);
    expect(await store.requestStop("over")).toBe(false);
    expect((await store.get("over"))?.stopRequest).toBeUndefined();
  });

  test("count the entry of a dead process for a minute", async () => {
    const manager = managerOf();
    await manager.activeRuns();
    await schema.sql("insert into @registration (run_id, token) values ('orphan', $1)", [randomUUID()]);
    expect([...(await manager.activeRuns()).keys()]).toEqual(["orphan"]);
    await schema.sql("update @registration set seen_at = seen_at - interval '61 seconds'");
    expect(await manager.activeRuns()).toEqual(new Map());
    expect(await manager.cancel("orphan", "halt")).toBe(false);
  });

  test("keep a request for an unknown id for 24 h, and no longer", async () => {
    const store = storeOf();
    const manager = managerOf();
    expect(await store.requestStop("early", { reason: 1 })).toBe(false);
    expect(await manager.cancel("early", 2)).toBe(false);
    expect(await manager.isCancelled("early")).toMatchObject({ reason: 1 });
    await schema.sql("update @stop_request set requested_at = requested_at - interval '25 hours'");
    expect(await manager.isCancelled("early")).toBeUndefined();
    expect((await store.stopRequests(["early"])).size).toBe(0);
    expect(await manager.cancel("early", 3)).toBe(false);
    expect(await manager.isCancelled("early"), "a new one takes its place").toMatchObject({ reason: 3 });
    await schema.sql("update @stop_request set requested_at = requested_at - interval '25 hours'");
    expect((await store.create(newRun("early"))).record.stopRequest).toBeUndefined();
  });

  test("carry a stop between connections in a few milliseconds", async () => {
    const [near, far] = [managerOf({ pool: poolOf() }), managerOf({ pool: poolOf() })] as const;
    const times: number[] = [];
    for (let i = 0; i < 21; i++) {
      await near.register(`quick-${i}`);
      const heard = new Promise<void>((resolve) => near.watch(`quick-${i}`, () => resolve()));
      await sleep(20);
      const at = performance.now();
      await Promise.all([far.cancel(`quick-${i}`), heard]);
      times.push(performance.now() - at);
    }
    expect(times.sort((a, b) => a - b)[10]).toBeLessThan(500);
  });
});

describe.skipIf(!isThere)("a program", () => {
  test("with an open store and manager and nothing to do ends by itself, with close and without", async () => {
    const program = (last: string) => `
      const { PostgresRunStore, PostgresCancellationManager } = await import(
        ${JSON.stringify(join(root, "src/adapters/postgres.ts"))});
      const options = { url: ${JSON.stringify(url)}, schema: ${JSON.stringify(schema.name)} };
      const store = new PostgresRunStore(options), manager = new PostgresCancellationManager(options);
      await store.watch(() => {});
      await manager.register("mine");
      manager.watch("mine", () => {});
      await store.get("mine");
      ${last}
      console.log("done");`;
    expect(await child(program(""))).toBe("done\n");
    expect(await child(program("await manager.close(); await store.close();"))).toBe("done\n");
  });
});
