// Part of the suite of run stores. How a store takes runs in and lists them.

import { describe, expect, test } from "vitest";
import type { Json } from "../../src/json.ts";
import type { RunStore } from "../../src/store.ts";
import { claimed, newRun } from "./store-runs.ts";
import type { TestedStore } from "./store-suite.ts";

export function testCreating(opened: () => TestedStore): void {
  describe("creating a run", () => {
    test("stores it as pending, with all that was given", async () => {
      const { store, second } = opened();
      const run = newRun("r", { key: "k", priority: 3, parentRunId: "p", parentCallId: "c", delayMs: 5 });
      const { created, record } = await store.create(run);
      expect(created).toBe(true);
      expect(record).toEqual({
        ...run,
        status: "pending",
        attempt: 0,
        firstSeq: 1,
        lastSeq: 0,
        createdAt: record.createdAt,
      });
      expect(Math.abs(record.createdAt - Date.now())).toBeLessThan(60_000);
      expect(await second.get("r")).toEqual(record);
    });

    test("keeps a run's delay until it is taken up", async () => {
      const { store, second } = opened();
      await store.create(newRun("none", { delayMs: 0 }));
      await store.create(newRun("r", { delayMs: 60_000 }));
      expect((await second.list()).map(({ delayMs }) => delayMs)).toEqual([60_000, undefined]);
      const claim = claimed(await store.claim("r", "worker"));
      expect(await store.get("r")).not.toHaveProperty("delayMs");
      await store.release(claim);
      expect(await store.get("r")).not.toHaveProperty("delayMs");
    });

    test("gives what is there where the id is known, and changes nothing", async () => {
      const { store, second } = opened();
      const { record } = await store.create(newRun("r"));
      const other = newRun("r", { functionName: "other", key: "k", priority: 9 });
      expect(await second.create(other)).toEqual({ created: false, record });
      expect(await store.get("r")).toEqual(record);
    });

    test("creates one run where many ask for the same id at once", async () => {
      const { store, second } = opened();
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? store : second).create(newRun("r"))),
      );
      expect(all.filter(({ created }) => created)).toHaveLength(1);
      expect(await store.list()).toHaveLength(1);
    });

    test("keeps a copy: later changes of the input or of a record do not reach the store", async () => {
      const { store } = opened();
      const list = [1];
      const { record } = await store.create(newRun("r", { input: { args: [list], options: {} } }));
      list.push(2);
      (record.input.args[0] as Json[]).push(3);
      expect((await store.get("r"))?.input.args).toEqual([[1]]);
    });

    test("brings any JSON back as it was, with the order of its keys", async () => {
      const { store, second } = opened();
      const text = "quotes \" ' ; -- \\ \n \u0000 ü 你好 👋 \u2028 %s $1 ?";
      const value = {
        z: 1,
        a: [null, true, 1e-7, -0.5, 12345678901234],
        [text]: text,
        nested: { y: {}, b: [] },
      };
      await store.create(
        newRun("r", { functionName: text.replace("\u0000", ""), input: { args: [value], options: value } }),
      );
      const record = await second.get("r");
      expect(record?.functionName).toBe(text.replace("\u0000", ""));
      expect(JSON.stringify(record?.input)).toBe(JSON.stringify({ args: [value], options: value }));
    });

    test("finds runs by ids of any kind", async () => {
      const { store, second } = opened();
      const runIds = ["a/b", "a'b", "ü 👋", "x".repeat(500), "A", "a", "null", "../a"];
      for (const runId of runIds) await store.create(newRun(runId));
      for (const runId of runIds) expect((await second.get(runId))?.runId).toBe(runId);
      await store.requestStop("A");
      expect([...(await store.stopRequests(runIds)).keys()]).toEqual(["A"]);
    });

    test("calls `also` for a new run only", async () => {
      const { store } = opened();
      let calls = 0;
      const also = async () => {
        calls += 1;
      };
      await store.create(newRun("r"), also);
      await store.create(newRun("r"), also);
      expect(calls).toBe(1);
    });

    test("rejects where `also` does", async () => {
      const { store } = opened();
      const refused = store.create(newRun("r"), () => Promise.reject(new Error("no queue")));
      await expect(refused).rejects.toThrow("no queue");
    });
  });

  describe("listing runs", () => {
    test("gives the newest first, and knows no unknown run", async () => {
      const { store, second } = opened();
      for (const runId of ["b", "a", "c"]) await store.create(newRun(runId));
      expect((await second.list()).map(({ runId }) => runId)).toEqual(["c", "a", "b"]);
      expect(await store.get("unknown")).toBeUndefined();
    });

    test("filters by status, function, key and parent, by each and by all", async () => {
      const { store, running, ended } = opened();
      await store.create(newRun("1", { functionName: "f", key: "k", parentRunId: "p" }));
      await store.create(newRun("2", { functionName: "g", key: "k" }));
      await running("3", { functionName: "f" });
      await ended("4", "error");
      const ids = async (filter: Parameters<RunStore["list"]>[0]) =>
        (await store.list(filter)).map(({ runId }) => runId).join();
      expect(await ids({ status: "pending" })).toBe("2,1");
      expect(await ids({ status: ["running", "error"] })).toBe("4,3");
      expect(await ids({ status: [] })).toBe("");
      expect(await ids({ functionName: "f" })).toBe("3,1");
      expect(await ids({ key: "k" })).toBe("2,1");
      expect(await ids({ parentRunId: "p" })).toBe("1");
      expect(await ids({ status: "pending", functionName: "f", key: "k", parentRunId: "p" })).toBe("1");
      expect(await ids({ status: "running", key: "k" })).toBe("");
    });

    test("pages through runs that were made in one moment, each once", async () => {
      const { store } = opened();
      const runIds = Array.from({ length: 23 }, (_, index) => `run-${index}`);
      for (const runId of runIds) await store.create(newRun(runId));
      const seen: string[] = [];
      for (;;) {
        const before = seen.at(-1);
        const page = await store.list({ limit: 10, ...(before === undefined ? {} : { before }) });
        seen.push(...page.map(({ runId }) => runId));
        if (page.length < 10) break;
      }
      expect(seen).toEqual(runIds.reverse());
      expect(await store.list({ before: "unknown" })).toEqual([]);
    });
  });
}
