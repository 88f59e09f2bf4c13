// Part of the suite of run stores. How a store keeps stop requests.

import { describe, expect, test } from "vitest";
import { claimed, newRun, outcome, terminal } from "./store-runs.ts";
import type { TestedStore } from "./store-suite.ts";

export function testStops(opened: () => TestedStore): void {
  describe("a stop request", () => {
    test("is true for a run that has not ended, and stands beside its record", async () => {
      const { store, second } = opened();
      await store.create(newRun("r"));
      expect(await second.requestStop("r", { reason: { why: "halt" }, by: "Ann" })).toBe(true);
      const record = await store.get("r");
      expect(record).toMatchObject({
        status: "pending",
        stopRequest: { reason: { why: "halt" }, by: "Ann" },
      });
      expect(Math.abs((record?.stopRequest?.at ?? 0) - Date.now())).toBeLessThan(60_000);
    });

    test("stays as it came first", async () => {
      const { store, second, running } = opened();
      await running("r");
      expect(await store.requestStop("r", { reason: 1 })).toBe(true);
      expect(await second.requestStop("r", { reason: 2, by: "Bob" })).toBe(true);
      const stop = (await store.get("r"))?.stopRequest;
      expect(stop?.reason).toBe(1);
      expect(stop).not.toHaveProperty("by");
    });

    test("tells no reason from null", async () => {
      const { store } = opened();
      await store.requestStop("none");
      await store.requestStop("null", { reason: null });
      const stops = await store.stopRequests(["none", "null"]);
      expect(stops.get("none")).not.toHaveProperty("reason");
      expect(stops.get("null")?.reason).toBeNull();
    });

    test("for an unknown id is kept: the run is pending with it from the start", async () => {
      const { store, second } = opened();
      expect(await store.requestStop("r", { reason: "early" })).toBe(false);
      expect(await second.requestStop("r", { reason: "again" })).toBe(false);
      const { created, record } = await store.create(newRun("r"));
      expect(created).toBe(true);
      expect(record).toMatchObject({ status: "pending", stopRequest: { reason: "early" } });
      expect(claimed(await store.claim("r", "w"))).toEqual({ runId: "r", attempt: 1 });
    });

    test("reaches all descendants that have not ended, through those that have", async () => {
      const { store, second, running } = opened();
      await running("root");
      const child = await running("child", { parentRunId: "root" });
      await store.create(newRun("grandchild", { parentRunId: "child" }));
      await store.create(newRun("other", { parentRunId: "elsewhere" }));
      await store.finish(child, outcome("completed"), []);
      await store.requestStop("root", { reason: "all" });
      const stops = await second.stopRequests(["root", "child", "grandchild", "other"]);
      expect([...stops.keys()].sort()).toEqual(["grandchild", "root"]);
      expect(stops.get("grandchild")?.reason).toBe("all");
    });

    test("reaches the children of an id that is no stored run", async () => {
      const { store } = opened();
      await store.create(newRun("child", { parentRunId: "foreground" }));
      expect(await store.requestStop("foreground")).toBe(false);
      expect((await store.get("child"))?.stopRequest).toBeDefined();
    });

    test("reaches a child that is created after it", async () => {
      const { store, second, running } = opened();
      await running("root");
      await store.requestStop("root", { reason: "all" });
      const { record } = await second.create(newRun("late", { parentRunId: "root" }));
      expect(record.stopRequest?.reason).toBe("all");
    });

    test("after the end is false and stores nothing", async () => {
      const { store, ended } = opened();
      await ended("r");
      expect(await store.requestStop("r")).toBe(false);
      expect(await store.get("r")).not.toHaveProperty("stopRequest");
      expect((await store.stopRequests(["r"])).size).toBe(0);
    });

    test("stays with the run when it has ended", async () => {
      const { store, running } = opened();
      const claim = await running("r");
      await store.requestStop("r", { reason: "halt" });
      await store.finish(claim, outcome("cancelled"), []);
      expect(await store.get("r")).toMatchObject({ status: "cancelled", stopRequest: { reason: "halt" } });
    });

    test("is never lost in a race with the creation", async () => {
      const { store, second } = opened();
      const runIds = Array.from({ length: 200 }, (_, index) => `race-${index}`);
      await Promise.all(
        runIds.flatMap((runId, index) => {
          const both = [() => store.requestStop(runId), () => second.create(newRun(runId))];
          return (index % 2 === 0 ? both : both.reverse()).map((ask) => ask());
        }),
      );
      expect((await store.stopRequests(runIds)).size).toBe(200);
      expect((await store.list({ limit: 1000 })).every(({ stopRequest }) => stopRequest !== undefined)).toBe(
        true,
      );
    });

    test("in a race with the end tells the truth", async () => {
      const { store, second, running } = opened();
      for (let index = 0; index < 50; index += 1) {
        const runId = `race-${index}`;
        const claim = await running(runId);
        const stop = () => second.requestStop(runId);
        const finish = () => store.finish(claim, outcome("completed"), [terminal(runId, "completed")]);
        const [stopped, finished] =
          index % 2 === 0
            ? await Promise.all([stop(), finish()])
            : await Promise.all([finish(), stop()]).then(([first, then]) => [then, first]);
        expect(finished).toBe(true);
        expect((await store.get(runId))?.stopRequest !== undefined).toBe(stopped);
      }
    });
  });
}
