// How lost jobs are found again, with a queue that loses what it is told to.

import { configure, MemoryRunStore, type QueuedRun, type RunQueue } from "llmethod";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Reconciler } from "../../src/reconciler.ts";
import type { NewRun } from "../../src/store.ts";

const everyMs = 1000;

let store: MemoryRunStore;
let faults: string[] = [];
let reconcilers: Reconciler[] = [];
/** The runs that were asked for, look by look. */
let asked: (readonly QueuedRun[])[] = [];
let enqueued: QueuedRun[] = [];
let jobs = new Set<string>();
let fail: (() => Promise<void>) | undefined;

const queue: RunQueue = {
  joinsTransaction: false,
  async enqueue(run) {
    await fail?.();
    enqueued.push(run);
    jobs.add(run.runId);
  },
  async missing(runs) {
    asked.push(runs);
    await fail?.();
    return runs.filter(({ runId }) => !jobs.has(runId));
  },
  dequeue: async () => {},
  work: () => Promise.reject(new Error("nobody works here")),
  close: async () => {},
};

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"], now: 1_700_000_000_000 });
  // The first look comes after a tenth of the time.
  vi.spyOn(Math, "random").mockReturnValue(0.1);
  store = new MemoryRunStore();
  faults = [];
  reconcilers = [];
  asked = [];
  enqueued = [];
  jobs = new Set();
  fail = undefined;
  configure({ store, onFault: ({ message }) => faults.push(message) });
});
afterEach(() => {
  for (const reconciler of reconcilers) reconciler.stop();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

function begin(): Reconciler {
  const reconciler = new Reconciler(store, queue, everyMs);
  reconcilers.push(reconciler);
  reconciler.start();
  return reconciler;
}

/** Goes on to the first look, or from one to the next. */
const first = () => vi.advanceTimersByTimeAsync(everyMs / 10);
const next = () => vi.advanceTimersByTimeAsync(everyMs);

async function create(runId: string, more: Partial<NewRun> = {}): Promise<void> {
  await store.create({
    runId,
    functionName: "ask",
    input: { args: [], options: {} },
    priority: 0,
    ...more,
  });
}

const enqueuedIds = () => enqueued.map(({ runId }) => runId);

describe("a reconciler", () => {
  test("puts back, with its priority, what had no job at two looks in a row", async () => {
    await create("lost", { priority: 3 });
    await create("there");
    jobs.add("there");
    begin();
    await first();
    expect([asked.length, enqueued]).toEqual([1, []]);
    await next();
    expect(enqueued).toEqual([{ runId: "lost", functionName: "ask", priority: 3, delayMs: 0 }]);
    await next();
    await next();
    expect(enqueued).toHaveLength(1);
  });

  test("leaves what had a job between two looks without one", async () => {
    await create("r");
    begin();
    await first();
    jobs.add("r");
    await next();
    jobs.delete("r");
    await next();
    expect(enqueued).toEqual([]);
    await next();
    expect(enqueuedIds()).toEqual(["r"]);
  });

  test("puts back a run at work whose job is lost, and none that has ended", async () => {
    await create("running");
    await create("ended");
    await store.claim("running", "dead");
    const result = await store.claim("ended", "worker");
    if (result.kind !== "claimed") throw new Error("the run was not claimed");
    const outcome = { text: "", history: [], patches: [], turns: 0 };
    const usage = { inputTokens: 0, outputTokens: 0, totalTokens: 0 };
    await store.finish(result.claim, { ...outcome, usage, status: "completed" }, []);
    begin();
    await first();
    await next();
    expect(enqueuedIds()).toEqual(["running"]);
  });

  test("puts a run back with what is left of its delay, and with none where it was taken up before", async () => {
    await create("delayed", { delayMs: 60_000 });
    await create("late", { delayMs: 500 });
    await create("given back", { delayMs: 60_000 });
    const result = await store.claim("given back", "worker");
    if (result.kind === "claimed") await store.release(result.claim);
    begin();
    await first();
    await next();
    const delays = Object.fromEntries(enqueued.map(({ runId, delayMs }) => [runId, delayMs]));
    expect(delays).toEqual({ delayed: 60_000 - 1100, late: 0, "given back": 0 });
  });

  test("lets no run wait longer than its delay where its clock is behind the store's", async () => {
    await create("r", { delayMs: 5000 });
    vi.setSystemTime(Date.now() - 3_600_000);
    begin();
    await first();
    await next();
    expect(enqueued[0]?.delayMs).toBe(5000);
  });

  test("asks for 500 runs at once", async () => {
    for (let index = 0; index < 1100; index += 1) {
      await create(`r${index}`);
      if (index !== 7 && index !== 1077) jobs.add(`r${index}`);
    }
    begin();
    await first();
    expect(asked.map(({ length }) => length)).toEqual([500, 500, 100]);
    await next();
    expect(enqueuedIds()).toEqual(["r1077", "r7"]);
  });

  test("looks first after a part of the time that is chosen at random", async () => {
    await create("r");
    vi.mocked(Math.random).mockReturnValueOnce(0.25).mockReturnValueOnce(0.75);
    begin();
    begin();
    const looks: number[] = [];
    for (let tenth = 0; tenth < 20; tenth += 1) {
      await vi.advanceTimersByTimeAsync(everyMs / 20);
      looks.push(asked.length);
    }
    expect(looks.filter((count) => count === 0)).toHaveLength(4);
    expect(looks.filter((count) => count === 1)).toHaveLength(10);
    expect(looks.at(-1)).toBe(2);
  });

  test("tells of a queue that cannot be asked, and goes on looking", async () => {
    await create("r");
    fail = () => Promise.reject(new Error("the queue is away"));
    begin();
    await first();
    await next();
    expect(faults.join()).toContain("Lost jobs could not be looked for");
    fail = undefined;
    await next();
    await next();
    expect(enqueuedIds()).toEqual(["r"]);
  });

  test("begins no look before the last one has ended", async () => {
    await create("r");
    const gate = Promise.withResolvers<void>();
    fail = () => gate.promise;
    begin();
    await first();
    await next();
    await next();
    expect(asked).toHaveLength(1);
    gate.resolve();
    fail = undefined;
    await next();
    expect(enqueuedIds()).toEqual(["r"]);
  });

  test("puts nothing back when it is stopped, be it in the middle of a look", async () => {
    await create("r");
    const reconciler = begin();
    await first();
    const gate = Promise.withResolvers<void>();
    fail = () => gate.promise;
    await next();
    expect(asked).toHaveLength(2);
    reconciler.stop();
    gate.resolve();
    await next();
    await next();
    expect([asked.length, enqueued]).toEqual([2, []]);
  });
});
