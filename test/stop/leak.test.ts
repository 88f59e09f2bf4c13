// What is garbage after a run: the heap stays flat on a long-lived signal, and handles can be collected.

import { getEventListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { type CallOptions, cancelRun, type RunStream, tool } from "llmethod";
import { describe, expect, test } from "vitest";
import { chatOf, taskOf } from "./ask.ts";
import { calls, own, talks, waits } from "./own-models.ts";
import { loops } from "./stage.ts";

async function collected(): Promise<void> {
  if (globalThis.gc === undefined) throw new Error("Run with --expose-gc.");
  for (let i = 0; i < 5; i++) {
    await loops(2);
    globalThis.gc();
  }
}

async function heapUsed(): Promise<number> {
  await collected();
  return process.memoryUsage().heapUsed;
}

const quick = tool({ name: "quick", description: "Answers at once", execute: () => "found" });
const chats = {
  talks: chatOf(talks("All ", "said.")),
  waits: chatOf(waits()),
  calls: chatOf(calls("quick", "quick"), [quick]),
};

const works: Record<string, (options: CallOptions) => Promise<unknown>> = {
  "that complete": (options) => chats.talks("Go", options),
  "that complete with tools and every timeout": (options) => {
    const timeout = { total: 60_000, turn: 60_000, firstToken: 60_000, idle: 60_000, tool: 60_000 };
    return chats.calls("Go", { ...options, timeout });
  },
  "that are cancelled": (options) => {
    const run = chats.waits.stream("Go", options);
    setImmediate(() => run.cancel("halt"));
    return run.outcome;
  },
  "that are cancelled by id": (options) => {
    const run = chats.waits.stream("Go", options);
    setImmediate(() => cancelRun(run.runId, "halt"));
    return run.outcome;
  },
  "whose reader leaves": async (options) => {
    for await (const event of chats.waits.stream("Go", options)) if (event.type === "text-delta") break;
  },
};

describe("1,000 runs on one long-lived signal", () => {
  test.each(Object.keys(works))("%s leave the heap flat", { timeout: 60_000 }, async (name) => {
    const work = works[name];
    const { signal } = new AbortController();
    const batch = async (count: number) => {
      for (let i = 0; i < count; i += 50) {
        await Promise.all(Array.from({ length: 50 }, () => work?.({ abortSignal: signal })));
      }
    };
    await batch(1500); // the process remembers the last 1,000 ids: from here on it only replaces them
    const growths: number[] = [];
    for (let round = 0; round < 3; round++) {
      const before = await heapUsed();
      await batch(1000);
      growths.push((await heapUsed()) - before);
    }
    // One run's handle and events are some 5 KB: a leak of them would be 5 MB a round.
    expect(Math.min(...growths)).toBeLessThan(300_000);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  test("nested in one long-lived run leave the heap flat", { timeout: 60_000 }, async () => {
    const growths: number[] = [];
    const inner = taskOf(talks("All said."));
    const many = tool({
      name: "many",
      description: "Begins many runs",
      execute: async () => {
        for (let i = 0; i < 1500; i++) await inner("Go");
        for (let round = 0; round < 3; round++) {
          const before = await heapUsed();
          for (let i = 0; i < 1000; i++) await inner("Go");
          growths.push((await heapUsed()) - before);
        }
        return "done";
      },
    });
    await chatOf(calls("many"), [many])("Go");
    expect(Math.min(...growths)).toBeLessThan(300_000);
  });
});

describe("the handle of a run can be collected", () => {
  const { signal } = new AbortController();
  const slow = tool({ name: "slow", description: "Ignores the stop for a while", execute: () => sleep(60) });
  const runs: Record<string, () => RunStream<unknown>> = {
    "when it has completed": () => chats.talks("Go", { abortSignal: signal }),
    "when it has completed as a stream": () => chats.talks.stream("Go", { abortSignal: signal }),
    "when it was cancelled": () => {
      const run = chats.waits.stream("Go", { abortSignal: signal, timeout: 60_000 });
      setImmediate(() => run.cancel(new Error("halt")));
      return run;
    },
    "when it was cancelled before its start": () => {
      const run = chats.waits("Go", { abortSignal: signal });
      run.cancel();
      return run;
    },
    "when it has failed": () =>
      chatOf(
        own(() => {
          throw new Error("broken");
        }),
      ).stream("Go", { abortSignal: signal }),
    "when the tools that it gave up have ended": () => {
      const run = chatOf(calls("slow"), [slow], { abortGraceMs: 5 }).stream("Go", { abortSignal: signal });
      setTimeout(() => run.cancel("halt"), 10);
      return run;
    },
  };

  test.each(Object.keys(runs))("%s", async (name) => {
    const work = async () => {
      const run = runs[name]?.();
      if (run === undefined) throw new Error("no such case");
      const outcome = await run.outcome;
      await run.settled;
      // V8 keeps the frames of an error, and what they refer to, until its stack is first read.
      for (const error of Object.values(outcome)) if (error instanceof Error) String(error.stack);
      return { handle: new WeakRef(run), outcome };
    };
    const { handle, outcome } = await work();
    await collected();
    expect(handle.deref()).toBeUndefined();
    expect(outcome.runId).not.toBe("");
  });

  test("when a model never ends that ignored the stop, the signal at least holds nothing of the run", async () => {
    const stuck = chatOf(
      own(() => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) })),
    );
    const work = async () => {
      const run = stuck.stream("Go", { abortSignal: signal });
      setImmediate(() => run.cancel("halt"));
      await run.outcome;
      return new WeakRef(run);
    };
    const handle = await work();
    await collected();
    expect(handle.deref()).toBeUndefined();
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});
