// Several processes on one SQLite file: owners that die, writers that take turns, bells that all hear.

import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SqliteRunStore } from "../../src/adapters/sqlite.ts";
import { measure, median, SqliteStage } from "./sqlite-stage.ts";
import { claimed, deltas, newRun, outcome, until } from "./store-runs.ts";

let stage: SqliteStage;
beforeEach(() => {
  stage = new SqliteStage();
});
afterEach(() => stage.close());

const next = (store: SqliteRunStore) => store.claimNext("heir", { functions: ["ask"] });

describe("an owner", () => {
  test("that is killed leaves its run to the next that asks, and no lock file", async () => {
    const store = stage.store();
    await store.create(newRun("r"));
    const child = stage.process();
    await child.store.claimNext("victim", { functions: ["ask"] });
    await child.store.save({ runId: "r", attempt: 1 }, { events: deltas("r", 2), journal: ["kept"] });
    expect(await next(store)).toBeUndefined();
    expect(stage.lockFiles).toHaveLength(1);
    await child.kill();
    const begin = performance.now();
    const taken = await next(store);
    expect(performance.now() - begin).toBeLessThan(1000);
    expect(taken).toMatchObject({ claim: { attempt: 2 }, record: { owner: "heir", lastSeq: 2 } });
    expect(await store.journal("r")).toEqual(["kept"]);
    expect(stage.lockFiles).toHaveLength(1);
  });

  test("that is stopped for a while keeps its run", async () => {
    const store = stage.store();
    const child = stage.process();
    await child.job.hold?.("r");
    child.signal("SIGSTOP");
    expect(await next(store)).toBeUndefined();
    child.signal("SIGCONT");
    expect(await child.store.save({ runId: "r", attempt: 1 }, { events: deltas("r", 1) })).toBe(1);
  });

  test("whose run was taken over by id writes nothing more", async () => {
    const store = stage.store();
    const child = stage.process();
    await child.job.hold?.("r");
    const heir = claimed(await store.claim("r", "heir"));
    expect(await child.job.zombie?.("r", 1)).toBe("lost");
    expect(await child.store.finish({ runId: "r", attempt: 1 }, outcome("completed"), [])).toBe(false);
    expect(await store.save(heir, { events: deltas("r", 1) })).toBe(1);
  });

  test("is known apart from a dead one of the same name", async () => {
    const first = stage.process();
    await first.job.hold?.("r");
    await first.kill();
    const store = stage.store();
    await store.create(newRun("other"));
    await store.claim("other", "holder");
    expect((await next(store))?.claim).toEqual({ runId: "r", attempt: 2 });
  });

  test("that closes its store leaves its runs, also within one process", async () => {
    const first = stage.store();
    const second = stage.store();
    await first.create(newRun("r"));
    await first.claim("r", "w");
    expect(await next(second)).toBeUndefined();
    await first.close();
    expect((await next(second))?.claim).toEqual({ runId: "r", attempt: 2 });
    expect(stage.lockFiles).toHaveLength(1);
    await second.close();
    expect(stage.lockFiles).toEqual([]);
  });

  test("stays alive for others when another thread of its process looks for the dead", async () => {
    const child = stage.process();
    const store = stage.store();
    await store.create(newRun("r"));
    await store.claim("r", "w");
    const program = new URL("sqlite-thread.ts", import.meta.url).href;
    const load =
      'import("tsx/esm/api").then(({ register }) => { register(); return import(workerData.program); });';
    const worker = new Worker(`const { workerData } = require("node:worker_threads"); ${load}`, {
      eval: true,
      workerData: { program, path: stage.path },
      execArgv: [],
    });
    const said = await new Promise((resolve, reject) =>
      worker.once("message", resolve).once("error", reject),
    );
    await worker.terminate();
    expect(said).toBe("none");
    expect(await child.store.claimNext("other", { functions: ["ask"] })).toBeUndefined();
  });

  test("that is lost does not count against the limits", async () => {
    const child = stage.process();
    await child.job.hold?.("r");
    await child.kill();
    const taken = await stage.store().claimNext("heir", {
      functions: ["ask"],
      limits: { perFunction: { ask: 1 } },
    });
    expect(taken?.claim).toEqual({ runId: "r", attempt: 2 });
  });
});

describe("several processes on one file", () => {
  test("may make it at the same time", async () => {
    const children = await stage.processes(5);
    await Promise.all(children.map((child, index) => child.store.create(newRun(`r${index}`))));
    expect(await stage.store().list()).toHaveLength(5);
  });

  test("write at once without one refusal: each run is done once, each event has its number", async () => {
    const store = stage.store();
    const runIds = Array.from({ length: 120 }, (_, index) => `r${index}`);
    for (const runId of runIds) await store.create(newRun(runId));
    await store.create(newRun("shared", { functionName: "shared" }));
    const { attempt } = claimed(await store.claim("shared", "all"));
    const children = await stage.processes(4);
    const [done] = await Promise.all([
      Promise.all(children.map((child) => child.job.work?.(10) as Promise<string[]>)),
      ...children.map((child) => child.job.share?.(attempt, 100)),
    ]);
    expect(done.flat().sort()).toEqual([...runIds].sort());
    for (const runId of runIds) expect(await store.get(runId)).toMatchObject({ attempt: 1, lastSeq: 10 });
    const events = await store.events("shared", 0);
    expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: 800 }, (_, index) => index + 1));
  });

  test("open and close it as they like while others write", async () => {
    const children = await stage.processes(4);
    await Promise.all(children.map((child) => child.job.churn?.(25)));
    expect(await stage.store().list()).toHaveLength(100);
  });

  test("lose no stop request in a race with the creation of its run", async () => {
    const store = stage.store();
    const runIds = Array.from({ length: 1000 }, (_, index) => `race-${index}`);
    const [child] = await stage.processes(1);
    const stopping = child?.job.stop?.(runIds) as Promise<boolean[]>;
    for (const runId of runIds) await store.create(newRun(runId));
    const answers = await stopping;
    expect(answers).toHaveLength(1000);
    expect((await store.stopRequests(runIds)).size).toBe(1000);
    for (const [index, runId] of runIds.entries()) {
      const record = await store.get(runId);
      const cameFirst = (record?.stopRequest?.at ?? 0) < (record?.createdAt ?? 0);
      if (cameFirst) expect(answers[index]).toBe(false);
    }
  });

  test("are told the truth about a stop in a race with the end of its run", async () => {
    const store = stage.store();
    const runIds = Array.from({ length: 300 }, (_, index) => `race-${index}`);
    for (const runId of runIds) {
      await store.create(newRun(runId));
      await store.claim(runId, "w");
    }
    const [stopping, ending] = await stage.processes(2);
    const [answers] = await Promise.all([
      stopping?.job.stop?.(runIds) as Promise<boolean[]>,
      ending?.job.finish?.(runIds),
    ]);
    for (const [index, runId] of runIds.entries()) {
      const record = await store.get(runId);
      expect(record?.status).toBe("completed");
      expect(record?.stopRequest !== undefined).toBe(answers[index]);
    }
  });

  test("hear the bell at once", async () => {
    const store = stage.store();
    const child = stage.process();
    await child.ready();
    const latencies = await measure(
      20,
      (runId) => child.job.bellTime?.(runId),
      (runId) => store.requestStop(runId),
    );
    expect(median(latencies)).toBeLessThan(100);
  });

  test("hear the bell also where no file can be watched", async () => {
    const store = stage.store();
    const child = stage.process({ WITHOUT_WATCH: "1" });
    await child.ready();
    const latencies = await measure(
      4,
      (runId) => child.job.bellTime?.(runId),
      (runId) => store.requestStop(runId),
    );
    expect(median(latencies)).toBeLessThan(2000);
  });

  test("end by themselves with everything open, and print nothing", async () => {
    const child = stage.process();
    await child.job.hold?.("r");
    expect(await child.leave()).toBe(0);
    expect(child.stderr).toBe("");
    expect((await next(stage.store()))?.claim.attempt).toBe(2);
  });

  test("keep what was written when one is killed while it writes", async () => {
    const store = stage.store();
    for (let round = 0; round < 3; round += 1) {
      const runId = `r${round}`;
      await store.create(newRun(runId));
      const child = stage.process();
      await child.ready();
      const work = child.job.work?.(100_000).catch(() => {});
      await until(async () => ((await store.get(runId))?.lastSeq ?? 0) > 20);
      await child.kill();
      await work;
      const { lastSeq = 0 } = (await store.get(runId)) ?? {};
      expect(await store.events(runId, 0, 1_000_000)).toHaveLength(lastSeq);
      expect(await store.journal(runId)).toHaveLength(lastSeq);
      const taken = await next(store);
      expect(taken?.claim.runId).toBe(runId);
      if (taken !== undefined) await store.finish(taken.claim, outcome("completed"), []);
    }
  });
});
