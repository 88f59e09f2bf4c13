// Part of the suite of run stores. How a store keeps what workers write, to the end and after it.

import { describe, expect, test } from "vitest";
import { LostClaimError } from "../../src/store.ts";
import { claimed, delta, deltas, newRun, outcome, terminal } from "./store-runs.ts";
import type { TestedStore } from "./store-suite.ts";

export function testWriting(opened: () => TestedStore): void {
  describe("what a worker saves", () => {
    test("comes back as it was, numbered from 1 without a gap", async () => {
      const { store, second, running } = opened();
      const claim = await running("r");
      expect(await store.save(claim, { events: deltas("r", 2) })).toBe(2);
      expect(await store.save(claim, { journal: [{ z: 1, a: 2 }, null] })).toBe(2);
      expect(await store.save(claim, {})).toBe(2);
      expect(await store.save(claim, { events: [delta("r", 'ü 👋 \u0000 "')], journal: ["last"] })).toBe(3);
      const events = await second.events("r", 0);
      expect(events).toEqual([
        { ...delta("r", "0"), seq: 1 },
        { ...delta("r", "1"), seq: 2 },
        { ...delta("r", 'ü 👋 \u0000 "'), seq: 3 },
      ]);
      expect(JSON.stringify(await second.journal("r"))).toBe('[{"z":1,"a":2},null,"last"]');
      expect(await store.get("r")).toMatchObject({ firstSeq: 1, lastSeq: 3 });
    });

    test("is numbered without a gap when several saves are under way", async () => {
      const { store, second, running } = opened();
      const claim = await running("r");
      const seqs = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          (index % 2 === 0 ? store : second).save(claim, { events: deltas("r", 5) }),
        ),
      );
      expect([...seqs].sort((a, b) => a - b)).toEqual(
        Array.from({ length: 20 }, (_, index) => (index + 1) * 5),
      );
      expect((await store.events("r", 0)).map(({ seq }) => seq)).toEqual(
        Array.from({ length: 100 }, (_, index) => index + 1),
      );
    });

    test("is written as a whole or not at all", async () => {
      const { store, running } = opened();
      const claim = await running("r");
      await store.save(claim, { events: deltas("r", 1) });
      const broken = Object.assign(delta("r", "x"), { delta: 1n });
      const progress = { journal: ["x"], events: [delta("r", "x"), broken] };
      await expect(store.save(claim, progress)).rejects.toThrow();
      expect(await store.events("r", 0)).toHaveLength(1);
      expect(await store.journal("r")).toEqual([]);
      expect(await store.save(claim, { events: deltas("r", 1) })).toBe(2);
    });

    test("is read in pages, from any event on", async () => {
      const { store, second, running } = opened();
      const claim = await running("r");
      await store.save(claim, { events: deltas("r", 1200) });
      const seqs = async (after: number, limit?: number) =>
        (await second.events("r", after, limit)).map(({ seq }) => seq);
      expect(await seqs(0)).toHaveLength(1000);
      expect((await seqs(1000))[0]).toBe(1001);
      expect(await seqs(1198)).toEqual([1199, 1200]);
      expect(await seqs(500, 2)).toEqual([501, 502]);
      expect(await seqs(1200)).toEqual([]);
      expect(await store.events("unknown", 0)).toEqual([]);
      expect(await store.journal("unknown")).toEqual([]);
    });
  });

  describe("the end of a run", () => {
    test("is kept with its last events, and is final", async () => {
      const { store, second, running } = opened();
      const claim = await running("r");
      await store.save(claim, { events: deltas("r", 1) });
      const end = { ...outcome("completed"), value: { answer: ["ü", null] } };
      expect(await store.finish(claim, end, [delta("r", "last"), terminal("r", "completed")])).toBe(true);
      const record = await second.get("r");
      expect(record).toMatchObject({
        status: "completed",
        outcome: end,
        lastSeq: 3,
        attempt: 1,
        owner: "worker",
      });
      expect(record?.outcome).toEqual(end);
      expect(record?.endedAt).toBeGreaterThanOrEqual(record?.startedAt ?? Number.NaN);
      expect((await store.events("r", 2)).map(({ type }) => type)).toEqual(["run-completed"]);

      expect(await store.finish(claim, outcome("error"), [terminal("r", "error")])).toBe(false);
      expect(await store.release(claim)).toBe(false);
      await expect(store.save(claim, { events: deltas("r", 1) })).rejects.toThrow(LostClaimError);
      expect(await store.get("r")).toEqual(record);
      expect(await store.events("r", 3)).toEqual([]);
    });

    test("is one end where two are under way", async () => {
      const { store, second, running } = opened();
      const claim = await running("r");
      const ends = await Promise.all([
        store.finish(claim, outcome("completed"), [terminal("r", "completed")]),
        second.finish(claim, outcome("error"), [terminal("r", "error")]),
      ]);
      expect([...ends].sort()).toEqual([false, true]);
      const record = await store.get("r");
      expect(record).toMatchObject({ lastSeq: 1, status: ends[0] ? "completed" : "error" });
      expect(record?.outcome?.status).toBe(record?.status);
    });
  });

  describe("reopening", () => {
    test.each(["cancelled", "error"] as const)(
      "makes a run that ended as %s pending again",
      async (status) => {
        const { store, second, running } = opened();
        const first = await running("r");
        await store.save(first, { events: deltas("r", 2), journal: ["kept"] });
        await store.requestStop("r");
        await store.finish(first, outcome(status), [terminal("r", status)]);
        expect(await second.reopen("r", delta("r", "reopened"))).toBe(true);
        const record = await store.get("r");
        expect(record).toMatchObject({ status: "pending", attempt: 1, lastSeq: 3 });
        for (const gone of ["outcome", "stopRequest", "endedAt"]) expect(record).not.toHaveProperty(gone);
        expect(await store.events("r", 2)).toEqual([{ ...delta("r", "reopened"), seq: 3 }]);
        expect(await store.finish(first, outcome("completed"), [])).toBe(false);
        const again = claimed(await store.claim("r", "w2"));
        expect(again.attempt).toBe(2);
        expect(await store.save(again, { events: deltas("r", 1) })).toBe(4);
        expect(await store.journal("r")).toEqual(["kept"]);
      },
    );

    test("is for runs that were stopped or failed only", async () => {
      const { store, running, ended } = opened();
      await ended("completed");
      await store.create(newRun("pending"));
      await running("running");
      for (const runId of ["completed", "pending", "running", "unknown"]) {
        expect(await store.reopen(runId, delta(runId, "x"))).toBe(false);
      }
      expect((await store.events("completed", 0)).map(({ type }) => type)).toEqual(["run-completed"]);
    });
  });
}
