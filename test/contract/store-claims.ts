// Part of the suite of run stores. How a store gives runs to workers, within limits.

import { describe, expect, test } from "vitest";
import { LostClaimError } from "../../src/store.ts";
import { claimed, delta, deltas, newRun, outcome, terminal } from "./store-runs.ts";
import type { TestedStore } from "./store-suite.ts";

export function testClaims(opened: () => TestedStore): void {
  describe("a claim", () => {
    test("makes a pending run a running one, with the next attempt", async () => {
      const { store, second } = opened();
      await store.create(newRun("r"));
      const result = await second.claim("r", "w1");
      expect(result).toMatchObject({ kind: "claimed", claim: { runId: "r", attempt: 1 } });
      const record = await store.get("r");
      expect(result).toMatchObject({ record });
      expect(record).toMatchObject({ status: "running", attempt: 1, owner: "w1" });
      expect(record?.startedAt).toBeGreaterThanOrEqual(record?.createdAt ?? Number.NaN);
    });

    test("is not given for a run that is unknown or has ended", async () => {
      const { store, ended } = opened();
      await ended("r");
      expect(await store.claim("r", "w")).toEqual({ kind: "taken" });
      expect(await store.claim("unknown", "w")).toEqual({ kind: "taken" });
    });

    test("from pending takes no run from anybody", async () => {
      const { store, second, running } = opened();
      const claim = await running("r");
      expect(await second.claim("r", "w2", { from: "pending" })).toEqual({ kind: "taken" });
      expect(await store.save(claim, { events: [delta("r", "x")] })).toBe(1);
    });

    test("from pending is given to one of many", async () => {
      const { store, second } = opened();
      await store.create(newRun("r"));
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          (index % 2 === 0 ? store : second).claim("r", `w${index}`, { from: "pending" }),
        ),
      );
      expect(all.filter(({ kind }) => kind === "claimed")).toHaveLength(1);
      expect((await store.get("r"))?.attempt).toBe(1);
    });

    test("by id does not wait for the delay", async () => {
      const { store } = opened();
      await store.create(newRun("r", { delayMs: 60_000 }));
      expect(await store.claim("r", "w")).toMatchObject({ kind: "claimed" });
    });

    test("that is given back leaves the run pending, for anybody", async () => {
      const { store, second, running } = opened();
      const first = await running("r");
      expect(await store.release(first)).toBe(true);
      expect(await store.get("r")).toMatchObject({ status: "pending", attempt: 1, owner: "worker" });
      expect(await store.release(first)).toBe(false);
      await expect(store.save(first, {})).rejects.toThrow(LostClaimError);
      expect(claimed(await second.claim("r", "w2"))).toEqual({ runId: "r", attempt: 2 });
    });

    test("is void when another has the run: nothing more is written under it", async () => {
      const { store, second, running } = opened();
      const zombie = await running("r");
      await store.save(zombie, { events: deltas("r", 3), journal: ["a"] });
      const heir = claimed(await second.claim("r", "w2"));
      await expect(store.save(zombie, { events: deltas("r", 2), journal: ["z"] })).rejects.toMatchObject({
        name: "LostClaimError",
        code: "lost_claim",
      });
      expect(await store.finish(zombie, outcome("completed"), [terminal("r", "completed")])).toBe(false);
      expect(await store.release(zombie)).toBe(false);
      expect(await second.save(heir, { events: deltas("r", 2), journal: ["b"] })).toBe(5);
      expect(await store.journal("r")).toEqual(["a", "b"]);
      expect((await store.events("r", 0)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
      expect(await store.get("r")).toMatchObject({
        status: "running",
        attempt: 2,
        owner: "w2",
        lastSeq: 5,
      });
    });
  });

  describe("limits", () => {
    test("keep more runs of a function, or of a key, from beginning", async () => {
      const { store, second } = opened();
      const limits = { perFunction: { f: 1 }, perKey: 1 };
      for (const [runId, functionName, key] of [
        ["f1", "f", "k1"],
        ["f2", "f", "k2"],
        ["g1", "g", "k1"],
        ["g2", "g", "k3"],
      ] as const) {
        await store.create(newRun(runId, { functionName, key }));
      }
      const claim = claimed(await store.claim("f1", "w", { limits }));
      expect(await second.claim("f2", "w", { limits })).toEqual({ kind: "busy" });
      expect(await store.claim("g1", "w", { limits })).toEqual({ kind: "busy" });
      expect(await store.claim("g2", "w", { limits })).toMatchObject({ kind: "claimed" });
      await store.finish(claim, outcome("completed"), []);
      expect(await store.claim("f2", "w", { limits })).toMatchObject({ kind: "claimed" });
      expect(await store.claim("g1", "w", { limits })).toMatchObject({ kind: "claimed" });
    });

    test("do not count the run itself when it is taken over", async () => {
      const { store, running } = opened();
      await running("r", { key: "k" });
      const limits = { perFunction: { ask: 1 }, perKey: 1 };
      expect(await store.claim("r", "w2", { limits })).toMatchObject({
        kind: "claimed",
        claim: { attempt: 2 },
      });
    });

    test("hold when many ask at once", async () => {
      const { store, second } = opened();
      const runIds = Array.from({ length: 12 }, (_, index) => `r${index}`);
      for (const runId of runIds) await store.create(newRun(runId, { key: "k" }));
      const claimOf = (limits: object) =>
        Promise.all(
          runIds.map((runId, index) =>
            (index % 2 === 0 ? store : second).claim(runId, "w", { from: "pending", limits }),
          ),
        );
      const first = await claimOf({ perFunction: { ask: 3 } });
      expect(first.filter(({ kind }) => kind === "claimed")).toHaveLength(3);
      const more = await claimOf({ perKey: 5 });
      expect(more.filter(({ kind }) => kind === "claimed")).toHaveLength(2);
    });
  });
}
