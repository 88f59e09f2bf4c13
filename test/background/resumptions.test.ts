// Stops and deaths at any write, in any order, and a resumption after them: the run ends whole, and repeats nothing.

import { configure, MemoryRunStore, type RunStore, runs } from "llmethod";
import { describe, expect, test } from "vitest";
import { allEvents, checkLog } from "./checks.ts";
import { executorFor } from "./executors.ts";
import { finalAnswer, makeStudy } from "./study.ts";

type What = "stop" | "death";

/** A store as one worker sees it, to which something happens at its nth write. */
function eventful(store: MemoryRunStore, nth: number, what: What): { store: RunStore; died: Promise<void> } {
  const { promise: died, resolve: die } = Promise.withResolvers<void>();
  let [writes, isDead] = [0, false];
  const forever = () => new Promise<never>(() => {});
  const proxy: RunStore = new Proxy(store, {
    get(target, key) {
      const method: unknown = Reflect.get(target, key);
      if (typeof method !== "function") return method;
      return async (...args: unknown[]) => {
        if (isDead) return forever();
        const isNow = (key === "save" || key === "finish") && ++writes === nth;
        if (isNow && what === "stop") await store.requestStop("run", { reason: "enough" });
        const result: unknown = await Reflect.apply(method, target, args);
        if (!isNow || what === "stop") return result;
        isDead = true;
        die();
        return forever();
      };
    },
  });
  return { store: proxy, died };
}

/** One attempt after the other, each with its event; then one that nothing happens to. Gives how many were cancelled. */
async function play(happenings: readonly { readonly nth: number; readonly what: What }[]): Promise<number> {
  let cancelled = 0;
  const memory = new MemoryRunStore();
  configure({ store: memory, worker: false });
  const study = makeStudy({ deltaMs: 1, toolMs: 2 });
  await memory.create({
    runId: "run",
    functionName: "study",
    input: { args: ["rain"], options: {} },
    priority: 0,
  });
  for (const [index, { nth, what }] of happenings.entries()) {
    const { store, died } = eventful(memory, nth, what);
    await Promise.race([executorFor(store, study.study, `worker-${index}`).execute("run"), died]);
    const record = await memory.get("run");
    if (record?.status === "completed") break;
    if (record?.outcome === undefined) continue;
    checkLog(record, await allEvents(memory, "run"));
    expect(record.outcome).toMatchObject({ status: "cancelled", cause: "cancel", reason: "enough" });
    cancelled++;
    await runs.resume("run");
  }
  await executorFor(memory, study.study, "last").execute("run");
  let record = await memory.get("run");
  // A stop that was asked for when the worker died comes through now.
  if (record?.status === "cancelled") {
    await runs.resume("run");
    await executorFor(memory, study.study, "very last").execute("run");
    record = await memory.get("run");
  }
  if (record === undefined) throw new Error("the run is gone");
  checkLog(record, await allEvents(memory, "run"));
  expect(record.outcome).toMatchObject({ status: "completed", value: finalAnswer, turns: 3 });
  const notes = study.diary.executions
    .filter(({ toolName }) => toolName === "note")
    .map(({ callId }) => callId);
  expect(new Set(notes).size).toBe(notes.length);
  // A tool that has settled is never begun again: what runs twice was open.
  const again = study.diary.executions.filter(({ toolName }) => toolName === "look").length - 1;
  expect(again).toBeLessThanOrEqual(happenings.length);
  return cancelled;
}

describe("a run that is taken up again", () => {
  const nths = Array.from({ length: 14 }, (_, index) => index + 1);

  test.each(nths)("ends whole after a stop at write %i and a resumption", async (nth) => {
    const cancelled = await play([{ nth, what: "stop" }]);
    if (nth < 9) expect(cancelled).toBe(1);
  });

  test.each(nths)("ends whole after a stop at write %i, a resumption, and a second stop", async (nth) => {
    for (const second of [1, 3, 6]) {
      await play([
        { nth, what: "stop" },
        { nth: second, what: "stop" },
      ]);
    }
  });

  test.each(nths)("ends whole after a stop at write %i, a resumption, and a death", async (nth) => {
    for (const second of [1, 3, 6]) {
      await play([
        { nth, what: "stop" },
        { nth: second, what: "death" },
      ]);
    }
  });

  test.each(nths)("ends whole after a death at write %i, a stop, and another death", async (nth) => {
    for (const [second, third] of [
      [1, 1],
      [2, 1],
      [3, 2],
      [5, 4],
    ] as const) {
      await play([
        { nth, what: "death" },
        { nth: second, what: "stop" },
        { nth: third, what: "death" },
      ]);
    }
  });
});
