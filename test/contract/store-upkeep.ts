// Part of the suite of run stores. How a store removes what is old and tells of what is new.

import { describe, expect, test } from "vitest";
import { claimed, delta, deltas, newRun, outcome, rung, until } from "./store-runs.ts";
import type { TestedStore } from "./store-suite.ts";

export function testUpkeep(opened: () => TestedStore): void {
  describe("pruning", () => {
    test("removes ended runs that are old enough, with all that belongs to them", async () => {
      const { store, second, running } = opened();
      const claim = await running("old");
      await store.save(claim, { events: deltas("old", 3), journal: [1] });
      await store.requestStop("old");
      await store.finish(claim, outcome("cancelled"), []);
      await running("running");
      await store.create(newRun("pending"));
      await until(() => true, 20);
      expect(await store.prune({ olderThanMs: 60_000 })).toBe(0);
      expect(await second.prune({ olderThanMs: 0 })).toBe(1);
      expect((await store.list()).map(({ runId }) => runId)).toEqual(["pending", "running"]);
      expect(await store.events("old", 0)).toEqual([]);
      expect(await store.journal("old")).toEqual([]);
      expect((await store.create(newRun("old"))).record).not.toHaveProperty("stopRequest");
    });

    test("of events keeps the records: readers see that the log begins later", async () => {
      const { store, running, ended } = opened();
      await ended("r", "error");
      await running("running");
      await until(() => true, 20);
      expect(await store.prune({ olderThanMs: 0, what: "events" })).toBe(1);
      expect(await store.prune({ olderThanMs: 0, what: "events" })).toBe(0);
      expect(await store.get("r")).toMatchObject({
        status: "error",
        firstSeq: 2,
        lastSeq: 1,
        outcome: outcome("error"),
      });
      expect(await store.events("r", 0)).toEqual([]);
      expect(await store.reopen("r", delta("r", "reopened"))).toBe(true);
      expect(await store.get("r")).toMatchObject({ firstSeq: 1, lastSeq: 1 });
      expect(await store.events("r", 0)).toEqual([{ ...delta("r", "reopened"), seq: 1 }]);
    });

    test("removes many", async () => {
      const { store, ended } = opened();
      for (let index = 0; index < 120; index += 1) await ended(`r${index}`);
      await until(() => true, 20);
      expect(await store.prune({ olderThanMs: 0 })).toBe(120);
      expect(await store.list()).toEqual([]);
    });
  });

  describe("the bell", () => {
    test("rings after every change, whichever object made it", async () => {
      const { store, second } = opened();
      for (const [runId, writer] of [
        ["own", store],
        ["other", second],
      ] as const) {
        const bells = await rung(store);
        const expectBell = () => bells.expect(runId);
        await writer.create(newRun(runId));
        await expectBell();
        const claim = claimed(await writer.claim(runId, "w"));
        await writer.save(claim, { events: deltas(runId, 1) });
        await expectBell();
        await writer.requestStop(runId);
        await expectBell();
        await writer.release(claim);
        await expectBell();
        const again = claimed(await writer.claim(runId, "w"));
        await writer.finish(again, outcome("cancelled"), []);
        await expectBell();
        await writer.reopen(runId, delta(runId, "x"));
        await expectBell();
        bells.end();
      }
    });

    test("rings for a stopped child", async () => {
      const { store, second } = opened();
      await store.create(newRun("child", { parentRunId: "root" }));
      const bells = await rung(second);
      await store.requestStop("root");
      await bells.expect("child");
      bells.end();
    });

    test("is still when it was ended, and rings on for others", async () => {
      const { store } = opened();
      const first = await rung(store);
      const other = await rung(store);
      first.end();
      first.end();
      await store.create(newRun("r"));
      await other.expect("r");
      expect(first.heard).toEqual([]);
      other.end();
    });

    test("is still when the store was closed", async () => {
      const { store, second } = opened();
      const bells = await rung(second);
      await second.close();
      await store.create(newRun("r"));
      await until(() => true, 100);
      expect(bells.heard).toEqual([]);
      await second.close();
    });
  });
}
