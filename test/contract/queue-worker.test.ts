// What a worker asks of its queue: one subscription for all its functions, and a new attempt where it was refused.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { StoredFunction } from "../../src/attempt.ts";
import { MemoryRunStore, type QueueWorker, type RunQueue, type WorkOptions } from "../../src/index.ts";
import { Worker } from "../../src/worker.ts";
import { until } from "./store-runs.ts";

let subscriptions: WorkOptions[] = [];
/** What became of the subscription, in its order. */
let told: string[] = [];
let gate: (() => Promise<void>) | undefined;
let store: MemoryRunStore;
let worker: Worker;

const subscription: QueueWorker = {
  add: (functions) => void told.push(`add ${functions.join()}`),
  pause: async () => void told.push("pause"),
  stop: async () => void told.push("stop"),
};
const queue: RunQueue = {
  joinsTransaction: false,
  enqueue: async () => {},
  missing: async () => [],
  dequeue: async () => {},
  async work(_execute, options) {
    subscriptions.push(options);
    await gate?.();
    return subscription;
  },
  close: async () => {},
};

const fn = (functionName: string): StoredFunction => ({
  functionName,
  spec: () => {
    throw new Error("no run is delivered here");
  },
});

beforeEach(() => {
  subscriptions = [];
  told = [];
  gate = undefined;
  store = new MemoryRunStore();
  worker = new Worker(store, queue, { concurrency: 3 }, false);
});
afterEach(async () => {
  await worker.stop({ drainMs: 0 });
  await store.close();
});

describe("a worker at a queue", () => {
  test("has one subscription, to which functions are added that come later", async () => {
    await worker.serve([fn("f"), fn("g")]);
    await worker.serve([fn("g"), fn("h")]);
    await worker.serve([fn("f")]);
    expect(subscriptions).toMatchObject([{ functions: ["f", "g"], concurrency: 3 }]);
    expect(told).toEqual(["add h"]);
  });

  test("has one subscription also where functions come while it is made", async () => {
    const opened = Promise.withResolvers<void>();
    gate = () => opened.promise;
    const serving = [worker.serve([fn("f")]), worker.serve([fn("g")]), worker.serve([fn("h")])];
    opened.resolve();
    await Promise.all(serving);
    expect(subscriptions).toHaveLength(1);
    const served = [...(subscriptions[0]?.functions ?? []), ...told.map((line) => line.replace("add ", ""))];
    expect(served.join().split(",").sort()).toEqual(["f", "g", "h"]);
  });

  test("tries again with the next functions, or the same, where its subscription was refused", async () => {
    gate = () => Promise.reject(new Error("the queue is away"));
    await expect(worker.serve([fn("f")])).rejects.toThrow("the queue is away");
    await expect(worker.serve([fn("f")])).rejects.toThrow("the queue is away");
    gate = undefined;
    await worker.serve([fn("g")]);
    await worker.serve([fn("f")]);
    expect(subscriptions.map(({ functions }) => functions)).toEqual([["f"], ["f"], ["f", "g"]]);
    expect(told).toEqual([]);
  });

  test("leaves a subscription that is just being made", async () => {
    const opened = Promise.withResolvers<void>();
    gate = () => opened.promise;
    const serving = worker.serve([fn("f")]);
    await until(() => subscriptions.length === 1);
    const leaving = worker.stop({ drainMs: 0 });
    opened.resolve();
    await Promise.all([serving, leaving]);
    expect(told).toEqual(["pause", "stop"]);
  });

  test("makes no subscription when it is leaving", async () => {
    const serving = worker.serve([fn("f")]);
    await worker.stop({ drainMs: 0 });
    await serving;
    await worker.serve([fn("g")]);
    expect(subscriptions).toEqual([]);
  });
});
