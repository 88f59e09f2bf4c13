// The SQLite cancellation manager beside a run store on the same file, and the way of a stop between processes.

import { mkdirSync, rmSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SqliteCancellationManager } from "../../src/adapters/sqlite.ts";
import { measure, median, SqliteStage } from "./sqlite-stage.ts";
import { claimed, newRun, outcome, until } from "./store-runs.ts";

let stage: SqliteStage;
beforeEach(() => {
  stage = new SqliteStage();
});
afterEach(() => stage.close());

describe("a stop by either door", () => {
  test("asked of the manager reaches a stored run and its descendants", async () => {
    const [store, manager] = [stage.store(), stage.manager()];
    await store.create(newRun("parent"));
    await store.create(newRun("child", { parentRunId: "parent" }));
    expect(await manager.cancel("parent", { why: "halt" })).toBe(true);
    expect((await store.get("parent"))?.stopRequest?.reason).toEqual({ why: "halt" });
    expect((await store.get("child"))?.stopRequest?.reason).toEqual({ why: "halt" });
  });

  test("asked of the store reaches a registered run", async () => {
    const [store, manager] = [stage.store(), stage.manager()];
    await manager.register("foreground");
    const heard: unknown[] = [];
    manager.watch("foreground", ({ reason }) => heard.push(reason));
    expect(await store.requestStop("foreground", { reason: "halt" })).toBe(false);
    await until(() => heard.length > 0);
    expect(heard).toEqual(["halt"]);
    expect(await manager.isCancelled("foreground")).toMatchObject({ reason: "halt" });
  });

  test("asked before the run is stored stands in its record from the start", async () => {
    const [store, manager] = [stage.store(), stage.manager()];
    expect(await manager.cancel("later", "early")).toBe(false);
    expect((await store.create(newRun("later"))).record.stopRequest?.reason).toBe("early");
  });

  test("is false for a stored run that has ended, and stores nothing", async () => {
    const [store, manager] = [stage.store(), stage.manager()];
    await store.create(newRun("r"));
    const claim = claimed(await store.claim("r", "w"));
    await store.finish(claim, outcome("completed"), []);
    expect(await manager.cancel("r")).toBe(false);
    expect(await manager.isCancelled("r")).toBeUndefined();
    expect(await store.get("r")).not.toHaveProperty("stopRequest");
  });

  test("stays with a stored run when its registration goes", async () => {
    const [store, manager] = [stage.store(), stage.manager()];
    await store.create(newRun("r"));
    await manager.register("r");
    await manager.cancel("r", "halt");
    await manager.cleanup("r");
    expect((await store.get("r"))?.stopRequest?.reason).toBe("halt");
    expect(await manager.isCancelled("r")).toMatchObject({ reason: "halt" });
  });

  test("stays at pruning where a run is registered, and goes with its age where none is", async () => {
    const store = stage.store();
    const manager = stage.manager({ intentLifetimeMs: 50 });
    await manager.register("at work");
    await manager.cancel("at work", "stay");
    await manager.cancel("unknown", "go");
    await until(() => true, 100);
    await store.prune({ olderThanMs: 0 });
    expect(await manager.isCancelled("at work")).toMatchObject({ reason: "stay" });
    expect(await manager.isCancelled("unknown")).toBeUndefined();
  });
});

describe("the manager between processes", () => {
  test("brings a stop to another process at once", async () => {
    const manager = stage.manager();
    const child = stage.process();
    await child.ready();
    const latencies = await measure(
      20,
      (runId) => child.job.stopTime?.(runId),
      (runId) => manager.cancel(runId),
    );
    expect(median(latencies)).toBeLessThan(250);
  });

  test("says false of a run whose process was killed, and forgets it", async () => {
    const manager = stage.manager();
    const child = stage.process();
    await child.manager.register("r");
    expect([...(await manager.activeRuns())]).toEqual([["r", false]]);
    await child.kill();
    expect((await manager.activeRuns()).size).toBe(0);
    expect(await manager.cancel("r")).toBe(false);
  });

  test("brings a stop to 200 watched runs by one look", async () => {
    const [store, manager] = [stage.store(), stage.manager()];
    const heard = new Set<string>();
    const runIds = Array.from({ length: 200 }, (_, index) => `child-${index}`);
    for (const runId of runIds) {
      await store.create(newRun(runId, { parentRunId: "root" }));
      manager.watch(runId, () => heard.add(runId));
    }
    const child = stage.process();
    await child.store.requestStop("root");
    await until(() => heard.size === 200);
  });
});

describe("the manager object", () => {
  test("tells a watch once that the file cannot be used, and goes on when it can", async () => {
    mkdirSync(stage.path);
    const manager = stage.manager();
    const faults: unknown[] = [];
    const heard: string[] = [];
    manager.watch(
      "r",
      ({ runId }) => heard.push(runId),
      (error) => faults.push(error),
    );
    await until(() => faults.length > 0, 700);
    expect(faults).toEqual([expect.objectContaining({ code: "unwritable" })]);
    rmSync(stage.path, { recursive: true });
    await stage.store().requestStop("r");
    await until(() => heard.length > 0);
    expect(heard).toEqual(["r"]);
    expect(faults).toHaveLength(1);
  });

  test.each([
    [{ path: "" }, /"path" must be/],
    [{ intentLifetimeMs: -1 }, /"intentLifetimeMs" must be/],
    [{ intentLifetimeMs: Number.NaN }, /"intentLifetimeMs" must be/],
  ])("refuses the options %j at once", (options, message) => {
    const make = () => new SqliteCancellationManager(options);
    expect(make).toThrow(message);
    expect(make).toThrow(expect.objectContaining({ code: "invalid_option" }));
  });
});
