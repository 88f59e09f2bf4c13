// A stop of a run whose worker is dead, while no other worker lives: the store knows it, so the run is over at once.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configure, runs } from "llmethod";
import { SqliteRunStore } from "llmethod/sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { allEvents, checkLog } from "./checks.ts";
import { executorFor } from "./executors.ts";
import { until } from "./models.ts";
import { makeStudy } from "./study.ts";

let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "llmethod-"));
});

afterEach(async () => {
  await runs.close();
  rmSync(directory, { recursive: true, force: true });
});

test("it ends cancelled, with its tool's outcome unknown, and its log whole", async () => {
  const path = join(directory, "runs.db");
  const store = new SqliteRunStore({ path });
  // The dead worker of this test lives on in this process, and complains of its closed store.
  const faults: Error[] = [];
  configure({ store, worker: false, onFault: (fault) => faults.push(fault) });
  const { study } = makeStudy({ toolMs: 60_000 });
  const handle = await study.background("rain");

  // A worker that dies: what it had is closed under it.
  const theirs = new SqliteRunStore({ path });
  const executor = executorFor(theirs, study, "them");
  const lost = executor.execute(handle.runId).catch(() => {});
  await until(async () => (await store.journal(handle.runId)).length >= 3);
  expect((await handle.get()).status).toBe("running");
  await theirs.close();

  expect(await handle.cancel("enough")).toBe(true);
  const record = await handle.get();
  expect(record).toMatchObject({ status: "cancelled", outcome: { reason: "enough", cause: "cancel" } });
  const states = record.outcome?.patches.map((patch) => ("state" in patch ? patch.state : patch.kind));
  expect(states).toEqual(["unknown", "unknown"]);
  checkLog(record, await allEvents(store, handle.runId));
  void lost; // it finds its store closed, and that is all that becomes of it
  for (const fault of faults) expect(fault.message).toMatch(/closed/);
});

test("a run at work is left to its worker", async () => {
  const store = new SqliteRunStore({ path: join(directory, "runs.db") });
  configure({ store, worker: {} });
  const { study, diary } = makeStudy({ toolMs: 60_000 });
  const handle = await study.background("rain");
  await until(() => diary.executions.length === 2);
  expect(await handle.cancel("enough")).toBe(true);
  const record = await handle.wait({ timeoutMs: 5000 });
  expect(record).toMatchObject({ status: "cancelled", attempt: 1 });
  const states = record.outcome?.patches.map((patch) => ("state" in patch ? patch.state : patch.kind));
  expect(states).toEqual(["stopped", "stopped"]);
});
