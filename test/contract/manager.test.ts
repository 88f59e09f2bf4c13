// Every cancellation manager passes the one suite. To add a kind, add it to the list.

import { randomUUID } from "node:crypto";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MemoryCancellationManager } from "llmethod";
import { FileCancellationManager } from "../../src/adapters/file.ts";
import { PostgresCancellationManager } from "../../src/adapters/postgres.ts";
import { RedisCancellationManager } from "../../src/adapters/redis.ts";
import { SqliteCancellationManager } from "../../src/adapters/sqlite.ts";
import { type BreakableManager, describeManager, type Manager, type ManagerKind } from "./manager-suite.ts";
import { noOwnServer, ownServer, postgresProblem, testSchema, url } from "./postgres-server.ts";
import { answers, hasRedisServer, RedisServer, removeKeys } from "./redis-server.ts";

const adapter = (name: string) => fileURLToPath(new URL(`../../src/adapters/${name}.ts`, import.meta.url));

const oneProcess = "it lives in one process and has no other object on its data";

const memory: ManagerKind = {
  name: "memory",
  async open(options = {}) {
    const manager = new MemoryCancellationManager(options);
    return { manager, second: () => manager, async dispose() {} };
  },
  medianMs: 1,
  forgetsDeadMs: 0,
  exceptions: {
    "never removes the entry of a newer run with the same id, nor its request": oneProcess,
    "removes nothing for a manager that has registered nothing": oneProcess,
    "reaches a run of another process at once": oneProcess,
    "reaches a run of this process from another one": oneProcess,
    "forgets the runs of a process that was killed": oneProcess,
    "holds no process open, neither after its runs nor by a watch": oneProcess,
    "gives back every file and socket, and ends the watches and the entries": "it has none",
    "is told to a watch once, and the watch goes on after it": "memory does not go away",
    "lets every call fail within a second, and runs start and end": "memory does not go away",
  },
};

const file: ManagerKind = {
  name: "file",
  async open(options = {}) {
    const { manager, second, recipe, dispose } = await files(options);
    return { manager, second, recipe, dispose };
  },
  breakable: () => files({}),
  medianMs: 250,
  forgetsDeadMs: 2000,
  exceptions: {},
};

async function files(options: object): Promise<BreakableManager & { recipe: object }> {
  const directory = await mkdtemp(join(tmpdir(), "llmethod-manager-"));
  const all = { directory: join(directory, "cancellation"), ...options };
  const make = () => new FileCancellationManager(all);
  return {
    ...several(make, () => rm(directory, { recursive: true, force: true })),
    recipe: { module: adapter("file"), name: "FileCancellationManager", options: all },
    async goDown() {
      await rename(all.directory, `${all.directory}.away`);
      await writeFile(all.directory, "no directory");
    },
    async comeBack() {
      await rm(all.directory);
      await rename(`${all.directory}.away`, all.directory);
    },
  };
}

const redisUrl = process.env.REDIS_URL || "redis://127.0.0.1:6379";

const noRedisProgram =
  process.env.CI || (await hasRedisServer()) ? undefined : "there is no redis-server to start";

const redis: ManagerKind = {
  name: "redis",
  async missing() {
    const { hostname, port } = new URL(redisUrl);
    if (await answers(hostname, Number(port) || 6379)) return undefined;
    return `no Redis answers at ${hostname}:${port || 6379}`;
  },
  async open(options = {}) {
    const prefix = `llmethod-test-${randomUUID()}:`;
    const all = { url: redisUrl, prefix, ...options };
    return {
      ...several(
        () => new RedisCancellationManager(all),
        () => removeKeys(redisUrl, prefix),
      ),
      recipe: { module: adapter("redis"), name: "RedisCancellationManager", options: all },
    };
  },
  async breakable() {
    const server = await RedisServer.start();
    return {
      ...several(
        () => new RedisCancellationManager({ url: server.url }),
        () => server.stop(),
      ),
      goDown: () => server.stop(),
      comeBack: () => server.start(),
    };
  },
  medianMs: 50,
  forgetsDeadMs: 0,
  exceptions: {
    "forgets the runs of a process that was killed":
      "entries expire after a minute; manager-redis.test.ts shows it",
    ...(noRedisProgram === undefined
      ? {}
      : {
          "is told to a watch once, and the watch goes on after it": noRedisProgram,
          "lets every call fail within a second, and runs start and end": noRedisProgram,
        }),
  },
};

const sqlite: ManagerKind = {
  name: "SQLite",
  async open(options = {}) {
    const directory = await mkdtemp(join(tmpdir(), "llmethod-manager-"));
    const all = { path: join(directory, "runs.db"), ...options };
    return {
      ...several(
        () => new SqliteCancellationManager(all),
        () => rm(directory, { recursive: true, force: true }),
      ),
      recipe: { module: adapter("sqlite"), name: "SqliteCancellationManager", options: all },
    };
  },
  medianMs: 250,
  forgetsDeadMs: 500,
  exceptions: {
    "is told to a watch once, and the watch goes on after it":
      "its open file does not go away; see sqlite.test.ts",
    "lets every call fail within a second, and runs start and end": "its open file does not go away",
  },
};

const postgres: ManagerKind = {
  name: "postgres",
  missing: postgresProblem,
  async open(options = {}) {
    const schema = await testSchema();
    const all = { url, schema: schema.name, ...options };
    return {
      ...several(() => new PostgresCancellationManager(all), schema.drop),
      recipe: { module: adapter("postgres"), name: "PostgresCancellationManager", options: all },
    };
  },
  async breakable() {
    const server = await ownServer();
    await server.start();
    return {
      ...several(() => new PostgresCancellationManager({ url: server.url }), server.remove),
      goDown: server.crash,
      comeBack: server.start,
    };
  },
  medianMs: 50,
  forgetsDeadMs: 0,
  exceptions: {
    "forgets the runs of a process that was killed":
      "it takes the minute after which entries expire; see postgres.test.ts",
    ...(noOwnServer === undefined
      ? {}
      : {
          "is told to a watch once, and the watch goes on after it": noOwnServer,
          "lets every call fail within a second, and runs start and end": noOwnServer,
        }),
  },
};

/** The managers that are made, closed together before their data goes. */
function several<M extends Manager & { close(): Promise<void> }>(
  make: () => M,
  removeData: () => Promise<void>,
) {
  const made: M[] = [];
  const next = () => {
    const manager = make();
    made.push(manager);
    return manager;
  };
  return {
    manager: next(),
    second: next,
    async dispose() {
      // A server that is down cannot forget the entries of its managers; they are closed all the same.
      await Promise.allSettled(made.splice(0).map((manager) => manager.close()));
      await removeData();
    },
  };
}

const kinds: readonly ManagerKind[] = [memory, file, redis, sqlite, postgres];
for (const kind of kinds) await describeManager(kind);
