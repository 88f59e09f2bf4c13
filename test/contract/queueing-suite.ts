// What a run store keeps that says by itself what to run next: one suite for all of them.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { NewRun, RunLimits, SelfQueueingStore } from "../../src/store.ts";
import { newRun, outcome, until } from "./store-runs.ts";
import type { OpenStore, StoreEntry } from "./store-suite.ts";

export function testQueueing({ name, open }: StoreEntry<SelfQueueingStore>): void {
  describe(`the queue within the run store ${name}`, () => {
    let opened: OpenStore<SelfQueueingStore>;
    let store: SelfQueueingStore;

    beforeEach(async () => {
      opened = await open();
      store = opened.store;
    });
    afterEach(async () => {
      vi.useRealTimers();
      await opened.dispose();
    });

    const create = async (...runs: readonly (readonly [string, Partial<NewRun>?])[]) => {
      for (const [runId, more] of runs) await store.create(newRun(runId, more));
    };
    const next = async (limits?: RunLimits, functions: readonly string[] = ["ask", "f", "g"]) => {
      const options = { functions, ...(limits === undefined ? {} : { limits }) };
      return (await store.claimNext("worker", options))?.claim.runId;
    };
    const all = async (limits?: RunLimits) => {
      const runIds: string[] = [];
      for (;;) {
        const runId = await next(limits);
        if (runId === undefined) return runIds.join();
        runIds.push(runId);
      }
    };

    test("gives the highest priority first, then the oldest, each once", async () => {
      await create(["a"], ["b", { priority: 1 }], ["c", { priority: -1 }], ["d"], ["e", { priority: 1.5 }]);
      expect(await all()).toBe("e,b,a,d,c");
    });

    test("gives the claim and the record", async () => {
      await create(["a"]);
      const taken = await store.claimNext("worker", { functions: ["ask"] });
      expect(taken?.claim).toEqual({ runId: "a", attempt: 1 });
      expect(taken?.record).toEqual(await store.get("a"));
      expect(taken?.record).toMatchObject({ status: "running", owner: "worker" });
    });

    test("gives runs of the worker's functions only", async () => {
      await create(["a", { functionName: "f" }], ["b", { functionName: "g" }]);
      expect(await next({}, [])).toBeUndefined();
      expect(await next({}, ["g", "h"])).toBe("b");
      expect(await next({}, ["g", "h"])).toBeUndefined();
    });

    test("gives a delayed run when its time has come", async () => {
      const begin = performance.now();
      await create(["late", { delayMs: 150, priority: 9 }], ["now"]);
      expect(await all()).toBe("now");
      await until(async () => (await next()) === "late");
      expect(performance.now() - begin).toBeGreaterThan(140);
    });

    test("passes over functions and keys that are at their limit", async () => {
      await create(
        ["f1", { functionName: "f", key: "k" }],
        ["f2", { functionName: "f", key: "m" }],
        ["g1", { functionName: "g", key: "k" }],
        ["g2", { functionName: "g", key: "n" }],
        ["g3", { functionName: "g" }],
      );
      expect(await all({ perFunction: { f: 1 }, perKey: 1 })).toBe("f1,g2,g3");
      const claim = { runId: "f1", attempt: 1 };
      await store.finish(claim, outcome("completed"), []);
      expect(await all({ perFunction: { f: 1 }, perKey: 1 })).toBe("f2,g1");
      expect(await next({ perFunction: { g: 0 } })).toBeUndefined();
    });

    test("gives a run again that was given back, and leaves a running one to its owner", async () => {
      await create(["a"], ["b"]);
      expect(await all()).toBe("a,b");
      await store.release({ runId: "a", attempt: 1 });
      expect(await all()).toBe("a");
      expect((await store.get("a"))?.attempt).toBe(2);
    });

    test("gives a run that is asked to stop, for a worker to end it", async () => {
      await store.requestStop("a", { reason: "early" });
      await create(["a"]);
      const taken = await store.claimNext("worker", { functions: ["ask"] });
      expect(taken?.record.stopRequest?.reason).toBe("early");
    });

    test("keeps a stop request for an unknown id for 24 hours, and one for a stored run for good", async () => {
      const hour = 3_600_000;
      await create(["stored"]);
      await store.requestStop("stored");
      await store.requestStop("unknown");
      await store.requestStop("pruned");
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 23 * hour });
      expect((await store.stopRequests(["stored", "unknown", "pruned"])).size).toBe(3);
      vi.setSystemTime(Date.now() + 2 * hour);
      expect([...(await store.stopRequests(["stored", "unknown", "pruned"])).keys()]).toEqual(["stored"]);
      expect((await store.create(newRun("unknown"))).record).not.toHaveProperty("stopRequest");
      await store.prune({ olderThanMs: 0 });
      expect(await store.requestStop("pruned", { reason: "new" })).toBe(false);
      expect((await store.stopRequests(["pruned"])).get("pruned")?.reason).toBe("new");
    });

    test("gives each run to one of many workers", async () => {
      const stores = [store, opened.second(), opened.second()];
      for (let index = 0; index < 30; index += 1) await create([`r${index}`]);
      const taken = await Promise.all(
        Array.from({ length: 45 }, (_, index) =>
          stores[index % 3]?.claimNext(`w${index}`, { functions: ["ask"] }),
        ),
      );
      const runIds = taken.flatMap((one) => (one === undefined ? [] : [one.claim.runId]));
      expect(runIds).toHaveLength(30);
      expect(new Set(runIds).size).toBe(30);
    });
  });
}
