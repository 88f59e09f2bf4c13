// The jobs of every queue against the one suite, and what is particular to each.

import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { afterEach, describe, expect, test } from "vitest";
import { BullMQQueue } from "../../src/adapters/bullmq.ts";
import { PgBossQueue } from "../../src/adapters/pg-boss.ts";
import { PostgresRunStore } from "../../src/adapters/postgres.ts";
import type { Delivery, RunQueue } from "../../src/queue.ts";
import { noOwnServer, ownServer, postgresProblem, testSchema, url } from "./postgres-server.ts";
import { type JobsEntry, testJobs } from "./queue-jobs-suite.ts";
import { ownPrefix, redisProblem, redisUrl, removeKeys } from "./queue-redis.ts";
import { eventually, hasJob } from "./queue-stage.ts";
import { hasRedisServer, RedisServer } from "./redis-server.ts";
import { newRun } from "./store-runs.ts";

const noPostgres = await postgresProblem();
const noRedis = await redisProblem();
const noOwnRedis = process.env.CI === undefined && !(await hasRedisServer());

const pgBoss: JobsEntry = {
  name: "pg-boss",
  missing: noPostgres,
  async open(onFault) {
    const { name: schema, sql, drop } = await testSchema();
    return {
      another: () => new PgBossQueue({ url, schema, onFault }),
      async takeAway() {
        await sql("update @job set state = 'retry' where state = 'active'");
      },
      async giveUp() {
        await sql("update @job set state = 'failed', completed_on = now()");
      },
      dispose: drop,
    };
  },
};

const bullmq: JobsEntry = {
  name: "BullMQ",
  missing: noRedis,
  async open(onFault) {
    const prefix = ownPrefix();
    const client = new Redis(redisUrl.href);
    const keys = (pattern: string) => client.keys(`${prefix}:${pattern}`);
    return {
      another: () => new BullMQQueue({ url: redisUrl.href, prefix, lockMs: 2000, onFault }),
      async takeAway() {
        for (const key of await keys("*:lock")) await client.set(key, "somebody", "PX", 500);
      },
      async giveUp() {
        for (const key of await keys("*:prioritized"))
          await client.rename(key, key.replace("prioritized", "failed"));
      },
      async dispose() {
        await removeKeys(prefix);
        client.disconnect();
      },
    };
  },
};

for (const entry of [pgBoss, bullmq]) testJobs(entry);

describe.skipIf(noPostgres !== undefined && process.env.CI === undefined)("a queue on pg-boss", () => {
  const cleanups: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0)) await cleanup();
  });

  test("makes a job in the transaction of its run: both are there, or none", async () => {
    const { name: schema, sql, drop } = await testSchema();
    const store = new PostgresRunStore({ url, schema: `${schema}` });
    const queue = new PgBossQueue({ url, schema: `${schema}_jobs` });
    cleanups.push(
      () => store.close(),
      () => queue.close(),
      async () => {
        await sql(`drop schema if exists "${schema}_jobs" cascade`);
        await drop();
      },
    );
    const failing = store.create(newRun("r"), async (transaction) => {
      await queue.enqueue(newRun("r"), transaction);
      throw new Error("not today");
    });
    await expect(failing).rejects.toThrow("not today");
    expect([await store.get("r"), await hasJob(queue, newRun("r"))]).toEqual([undefined, false]);
    await store.create(newRun("r"), (transaction) => queue.enqueue(newRun("r"), transaction));
    expect(await hasJob(queue, newRun("r"))).toBe(true);
  });

  test("says at once what is wrong with its options", () => {
    const environment = process.env.DATABASE_URL;
    delete process.env.DATABASE_URL;
    cleanups.push(async () => {
      if (environment !== undefined) process.env.DATABASE_URL = environment;
    });
    expect(() => new PgBossQueue()).toThrow(
      'give "url" or "pool", or set the environment variable DATABASE_URL',
    );
    expect(() => new PgBossQueue({ url, schema: "No Schema" })).toThrow('"schema" must be');
    expect(() => new PgBossQueue({ url, onFault: 1 as never })).toThrow('"onFault" must be a function');
    expect(() => new PgBossQueue({ url, colour: "red" } as never)).toThrow("does not know colour");
  });

  test("tells of a database that cannot be reached, and comes up when it can", async () => {
    const queue = new PgBossQueue({ url: "postgres://postgres@127.0.0.1:1/test" });
    cleanups.push(() => queue.close());
    await expect(queue.missing([newRun("r")])).rejects.toThrow("ECONNREFUSED");
    await expect(queue.enqueue(newRun("r"))).rejects.toThrow("ECONNREFUSED");
  });
});

describe("when the server is lost in the middle", () => {
  /** A run is at work while it happens, and ends while the server is away. */
  const outlast = async (queue: RunQueue, crash: () => Promise<void>, start: () => Promise<void>) => {
    const gate = Promise.withResolvers<void>();
    const begun: string[] = [];
    const work = async (runId: string): Promise<Delivery> => {
      begun.push(runId);
      if (runId === "held") await gate.promise;
      return { kind: "done" };
    };
    await queue.enqueue(newRun("held"));
    await queue.work(work, { functions: ["ask"], concurrency: 2 });
    await eventually(() => begun.length === 1);
    await crash();
    await expect(queue.enqueue(newRun("early"))).rejects.toThrow();
    gate.resolve();
    await start();
    const enqueued = () =>
      queue.enqueue(newRun("next")).then(
        () => true,
        () => false,
      );
    await eventually(enqueued);
    await eventually(() => begun.includes("next"));
    await eventually(async () => !(await hasJob(queue, newRun("held"))));
    await queue.close();
  };

  test.skipIf(noOwnServer !== undefined)(
    "a worker of pg-boss goes on when PostgreSQL is back",
    async () => {
      const server = await ownServer();
      await server.start();
      try {
        const queue = new PgBossQueue({ url: server.url, onFault: () => {} });
        await outlast(queue, server.crash, server.start);
      } finally {
        await server.remove();
      }
    },
    60_000,
  );

  test.skipIf(noOwnRedis)(
    "a worker of BullMQ goes on when Redis is back, even where it has forgotten everything",
    async () => {
      await using server = await RedisServer.start();
      const queue = new BullMQQueue({ url: server.url, lockMs: 1000, onFault: () => {} });
      await outlast(
        queue,
        () => server.stop(),
        () => server.start(),
      );
    },
    60_000,
  );
});

describe("a queue on BullMQ", () => {
  test("says at once what is wrong with its options", () => {
    expect(() => new BullMQQueue({ url: "http://x" })).toThrow('"url" must be a Redis URL');
    expect(() => new BullMQQueue({ prefix: "" })).toThrow('"prefix" must be a string');
    expect(() => new BullMQQueue({ lockMs: 10 })).toThrow('"lockMs" must be a number of milliseconds');
    expect(() => new BullMQQueue({ onFault: 1 as never })).toThrow('"onFault" must be a function');
    expect(() => new BullMQQueue({ colour: "red" } as never)).toThrow("does not know colour");
  });

  test("tells soon of a server that cannot be reached", async () => {
    const queue = new BullMQQueue({ url: "redis://127.0.0.1:1", onFault: () => {} });
    const begin = performance.now();
    await expect(queue.enqueue(newRun("r"))).rejects.toThrow("Redis at 127.0.0.1:1 cannot be used");
    expect(performance.now() - begin).toBeLessThan(2000);
    await queue.close();
  });

  test("names itself to a call during which it is closed", async () => {
    const queue = new BullMQQueue({ url: "redis://127.0.0.1:1", onFault: () => {} });
    await expect(queue.missing([newRun("r")])).rejects.toThrow("Redis at 127.0.0.1:1 cannot be used");
    const missing = queue.missing([newRun("r")]);
    await queue.close();
    await expect(missing).rejects.toThrow("This BullMQQueue was closed.");
  });
});

const adapters = join(import.meta.dirname, "../../src/adapters");

/** What a program of its own prints; it must end by itself. */
async function printed(program: string): Promise<string> {
  const args = ["--import", "tsx", "--input-type=module", "-e", program];
  const { NODE_OPTIONS: _, ...env } = process.env;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { env, timeout: 15_000 });
  expect(stderr).toBe("");
  return stdout.trim();
}

describe("a program with a queue", () => {
  const program = (imports: string, made: string, then: string) => `
    import * as hooks from "node:module";
    hooks.registerHooks({
      resolve(specifier, context, next) {
        if (specifier !== globalThis.missing) return next(specifier, context);
        throw Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" });
      },
    });
    const { PgBossQueue, BullMQQueue } = await import(${JSON.stringify(join(adapters, imports))});
    const queue = ${made};
    const run = { runId: "r", functionName: "f", priority: 0 };
    ${then}`;
  const use = `
    await queue.enqueue(run);
    const begun = Promise.withResolvers();
    const timer = setTimeout(() => {}, 10_000);
    await queue.work(async (runId) => { begun.resolve(runId); return { kind: "done" }; }, { functions: ["f"], concurrency: 2 });
    console.log(await begun.promise);
    clearTimeout(timer);`;
  const say = "await queue.missing([run]).catch(({ message }) => console.log(message)); await queue.close();";

  test.skipIf(noPostgres !== undefined && process.env.CI === undefined)(
    "on pg-boss ends by itself, though nothing was closed",
    async () => {
      const { name, drop } = await testSchema();
      const made = `new PgBossQueue(${JSON.stringify({ url, schema: name })})`;
      expect(await printed(program("pg-boss.ts", made, use))).toBe("r");
      await drop();
    },
  );

  test.skipIf(noRedis !== undefined && process.env.CI === undefined)(
    "on BullMQ ends by itself, though nothing was closed",
    async () => {
      const prefix = ownPrefix();
      const made = `new BullMQQueue(${JSON.stringify({ url: redisUrl.href, prefix })})`;
      expect(await printed(program("bullmq.ts", made, use))).toBe("r");
      await removeKeys(prefix);
    },
  );

  test("is told with one error what to install where a package is missing", async () => {
    const boss = `(globalThis.missing = "pg-boss", new PgBossQueue({ url: "postgres://127.0.0.1:1/x" }))`;
    expect(await printed(program("pg-boss.ts", boss, say))).toBe(
      "PgBossQueue needs the npm package pg-boss: run `npm install pg-boss`.",
    );
    const needs = "BullMQQueue needs the npm packages bullmq and ioredis: run `npm install bullmq ioredis`.";
    for (const missing of ["bullmq", "ioredis"]) {
      const bull = `(globalThis.missing = "${missing}", new BullMQQueue({ url: "redis://127.0.0.1:1" }))`;
      expect(await printed(program("bullmq.ts", bull, say))).toBe(needs);
    }
  });
});
