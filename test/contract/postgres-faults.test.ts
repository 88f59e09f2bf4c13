/** A PostgreSQL that breaks: connections that are ended, a pool that is full, a server that is down or crashes. */
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  PostgresCancellationManager,
  type PostgresOptions,
  PostgresRunStore,
} from "../../src/adapters/postgres.ts";
import type { Claim, NewEvent } from "../../src/store.ts";
import {
  noOwnServer,
  ownServer,
  postgresProblem,
  type TestSchema,
  testSchema,
  url,
} from "./postgres-server.ts";
import { claimed, delta, newRun, outcome, until } from "./store-runs.ts";

const problem = await postgresProblem();
const isThere = problem === undefined || process.env.CI !== undefined;
if (!isThere) console.warn(`A PostgreSQL that breaks is not tested: ${problem}.`);
if (noOwnServer !== undefined) console.warn(`A PostgreSQL that crashes is not tested: ${noOwnServer}.`);

let schema: TestSchema;
let opened: { close(): Promise<void> }[] = [];
let uncaught: unknown[] = [];
const note = (error: unknown) => uncaught.push(error);

beforeEach(async () => {
  uncaught = [];
  process.on("uncaughtException", note);
  process.on("unhandledRejection", note);
  if (isThere) schema = await testSchema();
});

afterEach(async () => {
  const closed = await Promise.allSettled(opened.map((one) => one.close()));
  opened = [];
  if (isThere) await schema.drop();
  expect(closed.filter(({ status }) => status === "rejected")).toEqual([]);
  process.off("uncaughtException", note);
  process.off("unhandledRejection", note);
  expect(uncaught).toEqual([]);
});

function open<One extends { close(): Promise<void> }>(one: One): One {
  opened.push(one);
  return one;
}

/** The address, with a name by which the server knows the connections of this test. */
function marked(): string {
  const address = new URL(url);
  address.searchParams.set("application_name", schema.name);
  return address.href;
}

const storeOf = (options: PostgresOptions = { url: marked() }) =>
  open(new PostgresRunStore({ schema: schema.name, ...options }));

async function running(store: PostgresRunStore, runId: string): Promise<Claim> {
  await store.create(newRun(runId));
  return claimed(await store.claim(runId, "worker"));
}

/** The server's processes of this test's stores, told by the name that the address gives them. */
function backends(what: string, condition: string): Promise<object[]> {
  return schema.sql(`select ${what} from pg_stat_activity where application_name = $1 and ${condition}`, [
    schema.name,
  ]);
}

async function terminate(condition: string): Promise<number> {
  return (await backends("pg_terminate_backend(pid)", condition)).length;
}

const listens = "query like 'listen %'";

describe.skipIf(!isThere)("a connection that is ended by the server", () => {
  test("while it listens is made again, followed by a bell for anything", async () => {
    const store = storeOf();
    await store.get("none");
    const bells: (string | undefined)[] = [];
    const end = await store.watch((runId) => bells.push(runId));
    await store.create(newRun("before"));
    await until(() => bells.includes("before"));
    const manager = open(new PostgresCancellationManager({ url: marked(), schema: schema.name }));
    const stop = new Promise((resolve) => manager.watch("before", resolve));
    expect(await terminate(listens), "the store and the manager share one").toBe(1);
    await until(() => bells.includes(undefined));
    await until(async () => (await backends("pid", listens)).length === 1);
    await until(async () => {
      await store.create(newRun(`after-${bells.length}`));
      return bells.some((runId) => runId?.startsWith("after"));
    });
    await storeOf({ url }).requestStop("before", { reason: "halt" });
    expect(await stop).toMatchObject({ reason: "halt" });
    end();
  });

  test("while it is idle is replaced unnoticed", async () => {
    const store = storeOf();
    for (let round = 0; round < 5; round++) {
      await Promise.all(["a", "b", "c"].map((runId) => store.create(newRun(runId))));
      expect(await terminate(`not ${listens}`)).toBeGreaterThan(0);
      expect((await store.get("a"))?.runId).toBe("a");
    }
  });

  test("within a transaction undoes it, and the next try does it once", async () => {
    const store = storeOf();
    await schema.sql(`create schema if not exists "${schema.name}"`);
    await schema.sql("create table @job (run_id text)");
    let tries = 0;
    const { created } = await store.create(newRun("shared"), async (transaction) => {
      const client = transaction as pg.PoolClient;
      await client.query(`insert into "${schema.name}".job values ('shared')`);
      if (++tries > 1) return;
      const [own] = (await client.query("select pg_backend_pid() as pid")).rows;
      await schema.sql("select pg_terminate_backend($1)", [own.pid]);
      // Nobody waits for an answer of this connection when it breaks.
      await sleep(100);
    });
    expect([created, tries]).toEqual([true, 2]);
    expect(await schema.sql("select run_id from @job")).toEqual([{ run_id: "shared" }]);
  });

  test("again and again costs no event and doubles none", async () => {
    const store = storeOf();
    const claim = await running(store, "tough");
    let isSaving = true;
    let ended = 0;
    const storm = (async () => {
      while (isSaving) {
        ended += await terminate(`not ${listens}`);
        await sleep(15);
      }
    })();
    for (let i = 0; i < 150; i++) {
      await store.save(claim, { events: [delta("tough", `${i}`)], journal: [i] });
      await sleep(1);
    }
    isSaving = false;
    await storm;
    expect(await store.finish(claim, outcome("completed"), [delta("tough", "end")])).toBe(true);
    const events = await store.events("tough", 0);
    expect(events.map((event) => [event.seq, "delta" in event && event.delta])).toEqual([
      ...Array.from({ length: 150 }, (_, index) => [index + 1, `${index}`]),
      [151, "end"],
    ]);
    expect(await store.journal("tough")).toEqual(Array.from({ length: 150 }, (_, index) => index));
    expect(ended).toBeGreaterThan(3);
  });
});

describe.skipIf(!isThere)("an answer that is lost on its way", () => {
  test("is found out: what the server has done is not done twice", async () => {
    const way = await Way.open();
    const store = storeOf({ url: way.url, listen: false });
    try {
      await store.get("none");
      way.cutAt("COMMIT");
      expect(await store.create(newRun("far"))).toMatchObject({ created: true });
      way.cutAt("COMMIT");
      const result = await store.claim("far", "worker", { from: "pending" });
      expect(result).toMatchObject({ kind: "claimed", claim: { attempt: 1 } });
      const claim = claimed(result);
      await store.save(claim, { events: [delta("far", "first")] });
      way.cutAt("SELECT 1");
      expect(await store.save(claim, { events: [delta("far", "second")], journal: [1] })).toBe(2);
      way.cutAt("SELECT 1");
      expect(await store.finish(claim, outcome("error"), [delta("far", "third")])).toBe(true);
      way.cutAt("SELECT 1");
      expect(await store.reopen("far", delta("far", "fourth"))).toBe(true);
      const events = await store.events("far", 0);
      expect(events.map((event) => "delta" in event && event.delta)).toEqual(["first", "second", "fourth"]);
      expect(await store.journal("far")).toEqual([1]);
      expect(way.cuts).toBe(5);
    } finally {
      await store.close();
      way.close();
    }
  });
});

describe.skipIf(!isThere)("a pool of one's own", () => {
  test("that is full makes nobody deaf, and says so in time", async () => {
    const pool = new pg.Pool({ connectionString: marked(), max: 1, connectionTimeoutMillis: 300 });
    const store = storeOf({ pool });
    const bells: (string | undefined)[] = [];
    await store.get("none");
    const end = await store.watch((runId) => bells.push(runId));
    const held = await pool.connect();
    await expect(store.get("none")).rejects.toThrow(/timeout/);
    await storeOf().create(newRun("heard"));
    await until(() => bells.includes("heard"));
    held.release();
    expect((await store.get("heard"))?.runId).toBe("heard");
    end();
    await store.close();
    expect((await pool.query("select 1 as one")).rows, "it is not ended").toEqual([{ one: 1 }]);
    await pool.end();
  });

  test("may have no listener of its own for broken connections", async () => {
    const pool = new pg.Pool({ connectionString: marked(), max: 2 });
    const store = storeOf({ pool });
    await store.get("none");
    await terminate(`not ${listens}`);
    await sleep(100);
    expect(await store.get("none")).toBeUndefined();
    await store.close();
    await pool.end();
  });
});

describe.skipIf(!isThere)("without LISTEN", () => {
  test("everybody looks once a second, and no connection listens", async () => {
    const store = storeOf({ url: marked(), listen: false });
    const manager = open(
      new PostgresCancellationManager({ url: marked(), schema: schema.name, listen: false }),
    );
    const bells: (string | undefined)[] = [];
    const end = await store.watch((runId) => bells.push(runId));
    await manager.register("watched");
    const heard = new Promise((resolve) => manager.watch("watched", resolve));
    await sleep(50);
    const at = performance.now();
    await storeOf({ url }).requestStop("watched", { reason: "halt" });
    expect(await heard).toMatchObject({ reason: "halt" });
    expect(performance.now() - at).toBeLessThan(3000);
    await until(() => bells.length > 0);
    expect(new Set(bells)).toEqual(new Set([undefined]));
    end();
    expect(await backends("pid", listens)).toEqual([]);
  });
});

describe("a server that is down", () => {
  test("fails calls at once, and a watch hears of it once", async () => {
    const address = "postgres://postgres@127.0.0.1:1/none";
    const store = open(new PostgresRunStore({ url: address }));
    const manager = open(new PostgresCancellationManager({ url: address }));
    const faults: unknown[] = [];
    manager.watch(
      "watched",
      () => {},
      (error) => faults.push(error),
    );
    const at = performance.now();
    for (const call of [
      () => store.create(newRun("a")),
      () => store.get("a"),
      () => manager.register("a"),
      () => manager.cancel("a"),
      () => manager.isCancelled("a"),
    ]) {
      await expect(call()).rejects.toThrow(/ECONNREFUSED/);
    }
    const end = await store.watch(() => {});
    end();
    expect(performance.now() - at).toBeLessThan(3000);
    await sleep(2500);
    expect(faults).toHaveLength(1);
    await manager.close().catch(() => {});
  });

  test("without an answer fails calls within about a second", async () => {
    const silent = createServer(() => {}).listen(0, "127.0.0.1");
    await new Promise((resolve) => silent.once("listening", resolve));
    const address = silent.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const store = open(new PostgresRunStore({ url: `postgres://postgres@127.0.0.1:${port}/none` }));
    const at = performance.now();
    await expect(store.get("a")).rejects.toThrow(/timeout/);
    expect(performance.now() - at).toBeLessThan(3000);
    await store.close();
    silent.close();
  });
});

describe.skipIf(noOwnServer !== undefined)("a server that crashes", () => {
  test("and starts again has lost nothing that was saved, and writes that were under way are done once", async () => {
    const server = await ownServer();
    await server.start();
    const store = new PostgresRunStore({ url: server.url });
    try {
      const claim = await running(store, "survivor");
      const bells: (string | undefined)[] = [];
      const end = await store.watch((runId) => bells.push(runId));
      let restart: Promise<void> | undefined;
      for (let i = 0; i < 60; i++) {
        if (i === 20) restart = sleep(3).then(server.crash).then(server.start);
        await saved(store, claim, delta("survivor", `${i}`));
      }
      await restart;
      const events = await store.events("survivor", 0);
      expect(events.map((event) => "delta" in event && event.delta)).toEqual(
        Array.from({ length: 60 }, (_, index) => `${index}`),
      );
      expect(bells).toContain(undefined);
      bells.length = 0;
      await until(async () => {
        await store.create(newRun(`later-${bells.length}`));
        return bells.some((runId) => runId?.startsWith("later"));
      });
      end();
    } finally {
      await store.close();
      await server.remove();
    }
  }, 60_000);
});

/** Saves it, at last. An error is one where nothing was written, so it may be tried again. */
async function saved(store: PostgresRunStore, claim: Claim, event: NewEvent): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await store.save(claim, { events: [event] });
      return;
    } catch (error) {
      if (tries > 500) throw error;
      await sleep(20);
    }
  }
}

/** A way to the server that breaks where it is told to: after the server has answered, before the answer arrives. */
class Way {
  cuts = 0;
  #text: string | undefined;
  readonly #server: Server;

  private constructor() {
    const { hostname, port } = new URL(url);
    this.#server = createServer((near) => {
      const far = connect(Number(port) || 5432, hostname || "127.0.0.1");
      const cut = () => {
        near.destroy();
        far.destroy();
      };
      near.on("data", (chunk) => far.write(chunk));
      far.on("data", (chunk) => {
        if (this.#text === undefined || !chunk.includes(this.#text)) return void near.write(chunk);
        this.#text = undefined;
        this.cuts++;
        cut();
      });
      for (const socket of [near, far]) socket.on("error", cut).on("close", cut);
    });
  }

  static async open(): Promise<Way> {
    const way = new Way();
    await once(way.#server.listen(0, "127.0.0.1"), "listening");
    return way;
  }

  get url(): string {
    const address = this.#server.address();
    const changed = new URL(url);
    changed.hostname = "127.0.0.1";
    changed.port = String(typeof address === "object" && address !== null ? address.port : 0);
    return changed.href;
  }

  /** Cuts at the next answer that holds this text. */
  cutAt(text: string): void {
    this.#text = text;
  }

  close(): void {
    this.#server.close();
  }
}
