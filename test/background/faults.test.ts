// Faults of the store at bad moments: bells that ring while one looks, reads and writes that fail for a while.

import { setTimeout as sleep } from "node:timers/promises";
import { configure, MemoryRunStore, runs } from "llmethod";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { workersOf } from "../../src/worker.ts";
import { allEvents, checkLog } from "./checks.ts";
import { askOf, byTurn, calls, hangs, modelOf, says, toolOf, until } from "./models.ts";

/** A store in memory, some methods of which are replaced; they may call the one that was there. */
function troubled(replaced: (store: MemoryRunStore) => Partial<MemoryRunStore>): MemoryRunStore {
  const store = new MemoryRunStore();
  const own = replaced(store);
  return new Proxy(store, {
    get(target, key) {
      const value: unknown = Reflect.get(own, key) ?? Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

let faults: Error[] = [];
let store: MemoryRunStore;
const use = (made: MemoryRunStore) => {
  store = made;
  configure({ store, worker: {}, onFault: (error) => faults.push(error) });
};
beforeEach(() => {
  faults = [];
});
afterEach(async () => {
  for (const worker of workersOf(store)) await worker.stop({ drainMs: 0 });
});

describe("a store", () => {
  test("that answers slowly about stop requests loses none that comes meanwhile", async () => {
    use(
      troubled((memory) => ({
        async stopRequests(runIds) {
          const found = await memory.stopRequests(runIds);
          await sleep(150);
          return found;
        },
      })),
    );
    const took: number[] = [];
    for (let count = 0; count < 4; count++) {
      const handle = await askOf(modelOf((request) => hangs("Once", request))).background("x");
      await until(async () => (await handle.get()).status === "running");
      // The look that a worker takes when it begins is on its way.
      await sleep(60);
      const at = performance.now();
      await handle.cancel("enough");
      await handle.wait({ timeoutMs: 10_000 });
      took.push(performance.now() - at);
    }
    expect(Math.max(...took)).toBeLessThan(600);
  });

  test("that cannot be written to for a moment loses no event", async () => {
    let left = 3;
    use(
      troubled((memory) => ({
        async save(claim, progress) {
          if (left-- > 0) throw new Error("the disk is full");
          return memory.save(claim, progress);
        },
      })),
    );
    const look = toolOf("look", () => "seen");
    const model = modelOf(
      byTurn(
        () => calls("look"),
        () => says("All is well."),
      ),
    );
    const handle = await askOf(model, "ask", [look]).background("x");
    expect(await handle.result({ timeoutMs: 10_000 })).toBe("All is well.");
    checkLog(await handle.get(), await allEvents(store, handle.runId));
    expect(model.requests).toHaveLength(2);
  });

  test("whose journal cannot be read for a moment does not lose the run", async () => {
    let left = 1;
    use(
      troubled((memory) => ({
        async journal(runId) {
          if (left-- > 0) throw new Error("the disk is gone");
          return memory.journal(runId);
        },
      })),
    );
    configure({ worker: false });
    const ask = askOf(modelOf(() => says("Done.")));
    const handle = await ask.background("x");
    const taken = await store.claim(handle.runId, "a worker that leaves");
    if (taken.kind === "claimed") await store.release(taken.claim);
    configure({ worker: {} });
    await ask.background("y");
    expect(await handle.result({ timeoutMs: 5000 })).toBe("Done.");
  });

  test("that fails to give work does so again later, and the fault is told", async () => {
    let left = 2;
    use(
      troubled((memory) => ({
        async claimNext(owner, options) {
          if (left-- > 0) throw new Error("the store of this test is busy");
          return memory.claimNext(owner, options);
        },
      })),
    );
    const handle = await askOf(modelOf(() => says("Done."))).background("x");
    expect(await handle.result({ timeoutMs: 10_000 })).toBe("Done.");
    expect(faults.map(({ message }) => message)).toEqual([
      "The run store could not be asked for work: the store of this test is busy",
    ]);
  });

  test("that cannot store a run gives no handle", async () => {
    use(
      troubled(() => ({
        async create() {
          throw new Error("no room");
        },
      })),
    );
    await expect(askOf(modelOf(() => says("Done."))).background("x")).rejects.toThrow("no room");
    expect(await runs.list()).toEqual([]);
  });

  test("from which somebody else has taken a run stops it here, and nothing is written over", async () => {
    use(new MemoryRunStore());
    const handle = await askOf(modelOf((request) => hangs("Once", request))).background("x");
    await until(async () => (await handle.get()).lastSeq >= 3);
    await store.claim(handle.runId, "thief");
    const [worker] = workersOf(store);
    await until(async () => {
      await store.requestStop(handle.runId, { reason: "enough" });
      return worker?.active === 0;
    });
    expect(await handle.get()).toMatchObject({ status: "running", owner: "thief", attempt: 2 });
  });

  test("is watched by as many as wait, once, and by nobody when they have left", async () => {
    let [now, most] = [0, 0];
    use(
      troubled((memory) => ({
        async watch(bell) {
          most = Math.max(most, ++now);
          const unwatch = await memory.watch(bell);
          return () => {
            now--;
            unwatch();
          };
        },
      })),
    );
    configure({ worker: false });
    const handle = await askOf(modelOf(() => says("Done."))).background("x");
    const controller = new AbortController();
    const { signal: abortSignal } = controller;
    const waiting = Array.from({ length: 50 }, () => handle.wait({ abortSignal }).catch(() => "left"));
    await until(() => now > 0);
    await sleep(20);
    expect(most).toBe(1);
    controller.abort();
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(["left"]));
    await until(() => now === 0);
  });
});
