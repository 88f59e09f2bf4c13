// A worker that dies before or after any of its writes: the next one takes the run up and brings it to its end.

import { type ClaimResult, MemoryRunStore, type RunRecord, type RunStore } from "llmethod";
import { describe, expect, test } from "vitest";
import { allEvents, checkLog } from "./checks.ts";
import { executorFor } from "./executors.ts";
import { finalAnswer, makeStudy } from "./study.ts";

type When = "before" | "after";

/** A store as a worker sees it that dies at its nth write: from then on nothing is ever answered. */
function dyingAt(store: RunStore, nth: number, when: When): { store: RunStore; died: Promise<void> } {
  let writes = 0;
  let isDead = false;
  let die = () => {};
  const died = new Promise<void>((resolve) => {
    die = resolve;
  });
  const forever = () => new Promise<never>(() => {});
  const dying = new Proxy(store, {
    get(target, key) {
      const method: unknown = Reflect.get(target, key);
      if (typeof method !== "function") return method;
      return async (...args: unknown[]) => {
        if (isDead) return forever();
        const isWrite = key === "save" || key === "finish";
        const isLast = isWrite && ++writes === nth;
        if (isLast) {
          isDead = true;
          if (when === "after") await Reflect.apply(method, target, args);
          die();
          return forever();
        }
        return Reflect.apply(method, target, args);
      };
    },
  });
  return { store: dying, died };
}

async function newRun(store: RunStore, runId: string): Promise<void> {
  const input = { args: ["rain"], options: {} };
  await store.create({ runId, functionName: "study", input, priority: 0 });
}

async function ended(store: RunStore, runId: string): Promise<RunRecord> {
  const record = await store.get(runId);
  if (record?.outcome === undefined) throw new Error("the run has not ended");
  return record;
}

/** How many writes a run makes that nobody disturbs. */
async function countWrites(): Promise<number> {
  const store = new MemoryRunStore();
  let writes = 0;
  const counting = new Proxy(store, {
    get(target, key) {
      const method: unknown = Reflect.get(target, key);
      if (key === "save" || key === "finish") writes++;
      return typeof method === "function" ? method.bind(target) : method;
    },
  });
  await newRun(store, "run");
  await executorFor(counting, makeStudy().study, "first").execute("run");
  return writes;
}

describe("a worker that dies at a write", async () => {
  const writes = await countWrites();
  const cases = Array.from({ length: writes }, (_, index) => index + 1).flatMap((nth) =>
    (["before", "after"] as const).map((when) => ({ nth, when })),
  );

  test("has many of them", () => expect(writes).toBeGreaterThan(8));

  test.each(cases)("$when write $nth leaves a run that the next worker ends whole", async ({ nth, when }) => {
    const store = new MemoryRunStore();
    const first = makeStudy();
    const second = makeStudy();
    await newRun(store, "run");
    const { store: dying, died } = dyingAt(store, nth, when);
    executorFor(dying, first.study, "first").execute("run");
    await died;
    const executor = executorFor(store, second.study, "second");
    const result = await executor.execute("run");
    expect(result.kind).toBe("done");
    const record = await ended(store, "run");
    const events = await allEvents(store, "run");
    checkLog(record, events);
    expect(record.status).toBe("completed");
    expect(record.outcome?.value).toBe(finalAnswer);
    expect(record.outcome?.turns).toBe(3);
    expect(record.outcome?.text).toBe(`Let me see. ${finalAnswer}`);
    // The requests of both: three are needed, and the one in flight may have been lost.
    const requests = first.diary.requests + second.diary.requests;
    expect(requests).toBeLessThanOrEqual(4);
    // What has finished in the eyes of the log never runs twice, and what must not run twice never does.
    const executions = [...first.diary.executions, ...second.diary.executions];
    const notes = executions.filter(({ toolName }) => toolName === "note").map(({ callId }) => callId);
    expect(new Set(notes).size).toBe(notes.length);
    const unknown = record.outcome?.patches.filter(({ kind }) => kind === "call-cancelled") ?? [];
    expect(
      notes.length + unknown.filter((patch) => "toolName" in patch && patch.toolName === "note").length,
    ).toBeGreaterThanOrEqual(2);
    if (unknown.length === 0) expect(record.outcome?.usage.totalTokens).toBe(75);
  });

  test.each(cases)(
    "$when write $nth, and is asked to stop while dead: the run ends cancelled without a request",
    async ({ nth, when }) => {
      const store = new MemoryRunStore();
      const first = makeStudy();
      const second = makeStudy();
      await newRun(store, "run");
      const { store: dying, died } = dyingAt(store, nth, when);
      executorFor(dying, first.study, "first").execute("run");
      await died;
      const found = await store.requestStop("run", { reason: "enough", by: "tester" });
      await executorFor(store, second.study, "second").execute("run");
      const record = await ended(store, "run");
      checkLog(record, await allEvents(store, "run"));
      expect(record.status).toBe(found ? "cancelled" : "completed");
      expect(second.diary.requests).toBe(0);
      expect(second.diary.executions).toEqual([]);
      if (found) expect(record.outcome).toMatchObject({ reason: "enough", cause: "cancel" });
      if (found) expect(record.stopRequest).toMatchObject({ reason: "enough", by: "tester" });
    },
  );

  test("and wakes up again can write nothing more, and starts no tool", async () => {
    for (let nth = 1; nth < writes; nth++) {
      const store = new MemoryRunStore();
      const first = makeStudy();
      const second = makeStudy();
      await newRun(store, "run");
      const { store: sleepy, asleep, wake } = sleepingAt(store, nth);
      const late = executorFor(sleepy, first.study, "first").execute("run");
      await asleep;
      await executorFor(store, second.study, "second").execute("run");
      const record = await ended(store, "run");
      const executed = first.diary.executions.length;
      wake();
      expect((await late).kind).toBe("done");
      expect(first.diary.executions).toHaveLength(executed);
      expect(await store.get("run")).toEqual(record);
      checkLog(record, await allEvents(store, "run"));
      expect(record.outcome?.value).toBe(finalAnswer);
    }
  });
});

/** A worker that stops for a while before its nth write, as a process does that is suspended. */
function sleepingAt(store: RunStore, nth: number) {
  let writes = 0;
  let wake = () => {};
  let fallAsleep = () => {};
  const asleep = new Promise<void>((resolve) => {
    fallAsleep = resolve;
  });
  const awake = new Promise<void>((resolve) => {
    wake = resolve;
  });
  const sleepy: RunStore = new Proxy(store, {
    get(target, key) {
      const method: unknown = Reflect.get(target, key);
      if (typeof method !== "function") return method;
      return async (...args: unknown[]): Promise<ClaimResult | unknown> => {
        if ((key === "save" || key === "finish") && ++writes === nth) fallAsleep();
        if (writes >= nth) await awake;
        return Reflect.apply(method, target, args);
      };
    },
  });
  return { store: sleepy, asleep, wake: () => wake() };
}
