// What only the Redis manager has: a server that stalls or asks for a password, keys that expire, a package to install.

import { execFile } from "node:child_process";
import * as nodeModule from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { RedisCancellationManager, type RedisCancellationOptions } from "../../src/adapters/redis.ts";
import { until } from "../stop/stage.ts";
import { hasRedisServer, RedisServer } from "./redis-server.ts";

const isMissing = !process.env.CI && !(await hasRedisServer());
if (isMissing) console.warn("Skipped: the Redis manager's own tests, as there is no redis-server to start.");

describe("the options", () => {
  const wrong: Record<string, unknown> = {
    "a URL of something else": { url: "http://127.0.0.1" },
    "a client that is none": { client: {} },
    "a URL and a client": { url: "redis://127.0.0.1", client: { duplicate() {} } },
    "a prefix that is no string": { prefix: 1 },
    "an unknown key": { host: "127.0.0.1" },
  };
  test.each(Object.keys(wrong))("refuse %s at once", (what) => {
    expect(() => new RedisCancellationManager(wrong[what] as object)).toThrow(
      expect.objectContaining({ name: "UsageError", code: "invalid_option" }),
    );
  });

  test("connect to nothing before it is needed, and close what never was open", async () => {
    await new RedisCancellationManager({ url: "redis://127.0.0.1:1" }).close();
  });
});

// Node before 22.15 has no hooks by which a package can be made to be missing.
const hasHooks = "registerHooks" in nodeModule;

test.skipIf(!hasHooks)("a missing ioredis is one error that says what to install", async () => {
  const manager = fileURLToPath(new URL("../../src/adapters/redis.ts", import.meta.url));
  const program = `
    import { registerHooks } from "node:module";
    registerHooks({
      resolve(specifier, context, next) {
        if (specifier !== "ioredis") return next(specifier, context);
        throw Object.assign(new Error("Cannot find package 'ioredis'"), { code: "ERR_MODULE_NOT_FOUND" });
      },
    });
    const { RedisCancellationManager } = await import(${JSON.stringify(manager)});
    const manager = new RedisCancellationManager();
    const faults = new Set();
    manager.watch("a", () => {}, (fault) => faults.add(fault));
    for (const call of ["register", "cancel", "isCancelled"]) {
      await manager[call]("a").catch((error) => faults.add(error));
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    console.log([...faults].map(String).join());`;
  const args = ["--import", "tsx", "--input-type=module", "-e", program];
  const { NODE_OPTIONS: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, args, { env, timeout: 15_000 });
  expect(stdout.trim()).toBe(
    "UsageError: RedisCancellationManager needs the package ioredis: run `npm install ioredis`.",
  );
});

describe.skipIf(isMissing)("on a server of its own", () => {
  let server: RedisServer;
  let look: Redis;
  const made: RedisCancellationManager[] = [];

  beforeAll(async () => {
    server = await RedisServer.start();
    look = new Redis(server.url);
  });
  beforeEach(() => look.flushall());
  afterEach(async () => {
    await Promise.all(made.splice(0).map((manager) => manager.close()));
  });
  afterAll(async () => {
    look.disconnect();
    await server.stop();
  });

  const open = (options: RedisCancellationOptions = { url: server.url }) => {
    const manager = new RedisCancellationManager(options);
    made.push(manager);
    return manager;
  };

  test("every key expires, and entries within a minute", async () => {
    const manager = open({ url: server.url, intentLifetimeMs: 5000 });
    await manager.register("a");
    await manager.cancel("a");
    await manager.cancel("unknown");
    const keys = (await look.keys("*")).sort();
    expect(keys).toEqual(["llmethod:run:a", "llmethod:runs", "llmethod:stop:a", "llmethod:stop:unknown"]);
    const times = await Promise.all(keys.map((key) => look.pttl(key)));
    for (const time of times) expect(time).toBeGreaterThan(0);
    for (const time of times) expect(time).toBeLessThanOrEqual(60_000);
    expect(times[3]).toBeLessThanOrEqual(5000);
  });

  test("an entry that was not renewed counts no more", async () => {
    const manager = open();
    await manager.register("lost");
    await manager.register("live");
    await look.zadd("llmethod:run:lost", 1, ...(await look.zrange("llmethod:run:lost", 0, -1)));
    await look.zadd("llmethod:runs", 1, "lost");
    expect(await manager.cancel("lost")).toBe(false);
    expect([...(await manager.activeRuns()).keys()]).toEqual(["live"]);
  });

  test("no KEYS, no SCAN: only a handful of commands for a run", async () => {
    const manager = open();
    await manager.register("warm");
    await look.config("RESETSTAT");
    await manager.register("a");
    manager.watch("a", () => {});
    await manager.isCancelled("a");
    await manager.cleanup("a");
    await manager.activeRuns();
    const stats = await look.info("commandstats");
    const names = [...stats.matchAll(/cmdstat_([^:]+):calls=(\d+)/g)].map(([, name]) => name);
    expect(names).not.toContain("keys");
    expect(names).not.toContain("scan");
    expect(stats.match(/cmdstat_eval:calls=(\d+)/)?.[1]).toBe("3");
  });

  test("a manager has two connections, whatever it watches", async () => {
    const before = await clients();
    const manager = open();
    for (let i = 0; i < 100; i++) manager.watch(`run-${i}`, () => {});
    await manager.register("a");
    await sleep(200);
    expect((await clients()) - before).toBe(2);
    await manager.close();
    await sleep(100);
    expect(await clients()).toBe(before);
  });

  test("a subscriber whose connection is cut hears again, and of what it missed", async () => {
    const manager = open();
    const heard: unknown[] = [];
    const told: unknown[] = [];
    await manager.register("a");
    for (const runId of ["a", "b"]) {
      manager.watch(
        runId,
        (request) => heard.push(request),
        (fault) => told.push(fault),
      );
    }
    await sleep(200);
    await look.call("CLIENT", "KILL", "TYPE", "pubsub");
    await open().cancel("a", "missed");
    await until(() => heard.length === 1, "the missed request");
    await sleep(1500);
    await open().cancel("b", "heard");
    await until(() => heard.length === 2);
    expect(told.length).toBe(2);
  });

  test("a server that stalls makes calls fail in time, and is used again", async () => {
    const manager = open();
    await manager.register("a");
    const told: unknown[] = [];
    const heard: unknown[] = [];
    manager.watch(
      "a",
      (request) => heard.push(request),
      (fault) => told.push(fault),
    );
    await sleep(100);
    server.signal("SIGSTOP");
    try {
      const start = performance.now();
      await expect(manager.isCancelled("a")).rejects.toThrow("no answer within 500 ms");
      expect(performance.now() - start).toBeLessThan(900);
      await until(() => told.length === 1, "the outage to be told");
      await sleep(1500);
    } finally {
      server.signal("SIGCONT");
    }
    await sleep(1500);
    expect(told.length).toBe(1);
    await open().cancel("a", "after all");
    await until(() => heard.length === 1);
  });

  test("a registration that failed is made up for, once the server is there", async () => {
    const late = await RedisServer.start();
    await late.stop();
    const manager = open({ url: late.url });
    const heard: unknown[] = [];
    await expect(manager.register("early")).rejects.toThrow(`Redis at 127.0.0.1:${late.port} cannot be used`);
    manager.watch("early", (request) => heard.push(request));
    await late.start();
    try {
      await sleep(2500);
      const other = open({ url: late.url });
      expect([...(await other.activeRuns()).keys()]).toEqual(["early"]);
      expect(await other.cancel("early", "now")).toBe(true);
      await until(() => heard.length === 1);
      await manager.cleanup("early");
      expect((await other.activeRuns()).size).toBe(0);
    } finally {
      await late.stop();
    }
  });

  test("a cleanup that failed is made up for, once the server is there", async () => {
    const own = await RedisServer.start();
    const manager = open({ url: own.url });
    await manager.register("over");
    await manager.cancel("over", "old");
    own.signal("SIGSTOP");
    await expect(manager.cleanup("over")).rejects.toThrow("cannot be used");
    own.signal("SIGCONT");
    await manager.register("next");
    await manager.cleanup("next");
    expect(await manager.isCancelled("over")).toBeUndefined();
    await own.stop();
  });

  test("a listener that throws keeps no other from hearing", async () => {
    const manager = open();
    const heard: string[] = [];
    await manager.register("a");
    const fail = () => {
      throw new Error("a broken listener");
    };
    manager.watch("a", fail, (fault) => heard.push(String(fault)));
    manager.watch("a", () => heard.push("called"));
    await manager.cancel("a");
    await until(() => heard.length === 2);
    expect(heard).toEqual(["Error: a broken listener", "called"]);
  });

  test("a client of one's own is used, and left open", async () => {
    const client = new Redis(server.url, { keyPrefix: "mine:" });
    const manager = open({ client });
    const second = open({ client: client.duplicate() });
    const stranger = open();
    const heard: unknown[] = [];
    await manager.register("a");
    manager.watch("a", (request) => heard.push(request));
    await sleep(200);
    expect(await stranger.cancel("a", "another's")).toBe(false);
    expect(await second.cancel("a", "mine")).toBe(true);
    await until(() => heard.length === 1);
    expect(heard).toMatchObject([{ reason: "mine" }]);
    const listeners = client.listenerCount("ready");
    await manager.close();
    expect(client.listenerCount("ready")).toBe(listeners - 1);
    expect(await client.ping()).toBe("PONG");
    client.disconnect();
  });

  test("databases of one server do not hear each other", async () => {
    const heard: unknown[] = [];
    const first = open({ url: `${server.url}/1` });
    await first.register("a");
    first.watch("a", (request) => heard.push(request));
    await sleep(200);
    expect(await open({ url: `${server.url}/2` }).cancel("a")).toBe(false);
    await sleep(200);
    expect(heard).toEqual([]);
  });

  test("a value that is no request is a fault told once, and stops nothing", async () => {
    const manager = open();
    const told: unknown[] = [];
    const heard: unknown[] = [];
    manager.watch(
      "a",
      (request) => heard.push(request),
      (fault) => told.push(fault),
    );
    await look.set("llmethod:stop:a", "{");
    await until(() => told.length > 0);
    await sleep(1500);
    expect(told).toEqual([
      expect.objectContaining({ message: expect.stringContaining("The key llmethod:stop:a") }),
    ]);
    expect(heard).toEqual([]);
  });

  test("errors hold no password", async () => {
    await look.config("SET", "requirepass", "sesame");
    try {
      const error = await open({ url: server.url.replace("//", "//:wrong-secret@") })
        .register("a")
        .catch((fault: Error) => fault);
      expect(String(error)).toMatch(/cannot be used: WRONGPASS/);
      expect(JSON.stringify([String(error), (error as Error).stack])).not.toContain("wrong-secret");
    } finally {
      await look.config("SET", "requirepass", "");
    }
  });

  async function clients(): Promise<number> {
    return String(await look.client("LIST"))
      .trim()
      .split("\n").length;
  }
});
