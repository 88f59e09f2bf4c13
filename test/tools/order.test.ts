// Calls of one turn: side by side or alone, results in call order, events as they arrive; limits; generators.

import type { RunEvent } from "llmethod";
import { llmFunction, prompt, tool } from "llmethod";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { eventsOf, only, useServer } from "../models/local.ts";
import { answer, text, toolCall } from "../support/server.ts";
import { call, loose, play } from "./play.ts";

const local = useServer();
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const wait = (name: string, ms: number, more: object = {}) =>
  loose(
    name,
    async () => {
      await pause(ms);
      return name;
    },
    more,
  );
const told = (events: readonly RunEvent<string>[]) =>
  events.flatMap((event) =>
    event.type === "tool-start" || event.type === "tool-end"
      ? [`${event.type.slice(5)} ${event.toolName}`]
      : [],
  );

describe("calls of one turn", () => {
  it("run side by side: results in call order, events in arrival order", async () => {
    const toolkit = [wait("slow", 90), wait("quick", 10), wait("middle", 50)];
    const before = performance.now();
    const { events, results } = await play(local, toolkit, [call("slow"), call("quick"), call("middle")]);
    expect(results).toEqual(["slow", "quick", "middle"]);
    expect(told(events)).toEqual([
      "start slow",
      "start quick",
      "start middle",
      "end quick",
      "end middle",
      "end slow",
    ]);
    expect(performance.now() - before).toBeLessThan(1000);
    const [quick] = only(events, "tool-end");
    expect(quick?.durationMs).toBeGreaterThanOrEqual(9);
    expect(quick?.durationMs).toBeLessThan(1_000);
  });

  it("all begin before the first ends: 50 of them wait for each other", async () => {
    let open = 0;
    let release = () => {};
    const all = new Promise<void>((resolve) => {
      release = resolve;
    });
    const meet = loose("meet", async () => {
      if (++open === 50) release();
      await all;
    });
    const { results } = await play(
      local,
      [meet],
      Array.from({ length: 50 }, (_, n) => call("meet", {}, `call_${n}`)),
    );
    expect(results).toHaveLength(50);
  });

  it("of a tool that is not parallel run alone, after those before it", async () => {
    const toolkit = [wait("a", 20), wait("alone", 20, { parallel: false }), wait("b", 10)];
    const calls = [
      call("a"),
      call("alone", {}, "1"),
      call("alone", {}, "2"),
      call("b", {}, "3"),
      call("b", {}, "4"),
    ];
    const { events, results } = await play(local, toolkit, calls);
    expect(results).toEqual(["a", "alone", "alone", "b", "b"]);
    expect(told(events)).toEqual([
      "start a",
      "end a",
      "start alone",
      "end alone",
      "start alone",
      "end alone",
      "start b",
      "start b",
      "end b",
      "end b",
    ]);
  });

  it("begin only when all of them were checked", async () => {
    const toolkit = [wait("a", 5)];
    const { events } = await play(local, toolkit, [call("a"), call("b")]);
    expect(told(events)).toEqual(["start a", "start b", "end b", "end a"]);
  });
});

describe("a tool's time", () => {
  it("is limited by its own timeout, which ends that call only", async () => {
    const stuck = loose(
      "stuck",
      (_input, { abortSignal }) =>
        new Promise((_resolve, reject) => {
          abortSignal.addEventListener("abort", () => reject(abortSignal.reason));
        }),
      { timeout: 30 },
    );
    const { results, events, outcome } = await play(
      local,
      [stuck, wait("fine", 60)],
      [call("stuck"), call("fine")],
    );
    expect(results).toEqual([expect.stringMatching(/^Error: .*timed out after 30 ms/), "fine"]);
    expect(only(events, "tool-end")).toMatchObject([
      { toolName: "stuck", status: "error" },
      { toolName: "fine", status: "ok" },
    ]);
    expect(outcome).toMatchObject({ status: "completed", patches: [] });
  });

  it("is limited by the call's timeout where the tool has none", async () => {
    const { results } = await play(local, [wait("slow", 5000)], [call("slow")], { timeout: { tool: 20 } });
    expect(results[0]).toMatch(/timed out after 20 ms.*may have taken effect/s);
  });

  it("comes from the tool first", async () => {
    const { results } = await play(local, [wait("slow", 60, { timeout: 2000 })], [call("slow")], {
      timeout: { tool: 10 },
    });
    expect(results).toEqual(["slow"]);
  });

  it("is over: a result that still comes within the grace is told as late", async () => {
    const late = loose(
      "late",
      async (_input, { abortSignal }) => {
        await new Promise((resolve) => abortSignal.addEventListener("abort", resolve));
        return { saved: true };
      },
      { timeout: 10 },
    );
    const { results, events } = await play(local, [late], [call("late")]);
    expect(results[0]).toMatch(/timed out.*"saved":true/s);
    expect(only(events, "tool-end")).toMatchObject([{ status: "error" }]);
  });

  it("is over: a late result that is no JSON leaves the event JSON-safe", async () => {
    const late = loose(
      "late",
      async (_input, { abortSignal }) => {
        await new Promise((resolve) => abortSignal.addEventListener("abort", resolve));
        return { n: 10n };
      },
      { timeout: 10 },
    );
    const { events } = await play(local, [late], [call("late")]);
    for (const event of events) expect(() => JSON.stringify(event)).not.toThrow();
  });

  it("is told by the signal, whose reason names the limit", async () => {
    let reason: unknown;
    const stuck = loose(
      "stuck",
      (_input, { abortSignal }) =>
        new Promise<void>((resolve) => {
          abortSignal.addEventListener("abort", () => {
            reason = abortSignal.reason;
            resolve();
          });
        }),
      { timeout: 10 },
    );
    await play(local, [stuck], [call("stuck")]);
    expect(reason).toMatchObject({ name: "TimeoutError", which: "tool", ms: 10 });
  });
});

describe("a generator as a tool", () => {
  it("tells its yields as progress and its return as the result", async () => {
    const steps = loose("steps", async function* () {
      yield { at: 1 };
      await pause(5);
      yield { at: 2 };
      return "arrived";
    });
    const { events, results } = await play(local, [steps], [call("steps")]);
    expect(only(events, "tool-progress").map(({ data }) => data)).toEqual([{ at: 1 }, { at: 2 }]);
    expect(results).toEqual(["arrived"]);
  });

  it("may be synchronous", async () => {
    const steps = loose("steps", function* () {
      yield 1;
      return { sum: 1 };
    });
    const { events, results } = await play(local, [steps], [call("steps")]);
    expect(only(events, "tool-progress").map(({ data }) => data)).toEqual([1]);
    expect(results).toEqual(['{"sum":1}']);
  });

  it("may return nothing", async () => {
    const { results } = await play(
      local,
      [
        loose("steps", async function* () {
          yield "x";
        }),
      ],
      [call("steps")],
    );
    expect(results).toEqual(["done"]);
  });

  it("that throws is an error result, after its progress", async () => {
    const steps = loose("steps", async function* () {
      yield "so far";
      throw new Error("no further");
    });
    const { events, results } = await play(local, [steps], [call("steps")]);
    expect(only(events, "tool-progress")).toHaveLength(1);
    expect(results).toEqual(["Error: no further"]);
  });

  it("is closed where it yields what is no JSON", async () => {
    let closed = false;
    const steps = loose("steps", async function* () {
      try {
        yield 10n;
      } finally {
        closed = true;
      }
    });
    const { results } = await play(local, [steps], [call("steps")]);
    expect(results[0]).toMatch(/^Error: /);
    expect(closed).toBe(true);
  });

  it("is closed at its next yield when its time is over", async () => {
    let closed = false;
    const steps = loose(
      "steps",
      async function* () {
        try {
          for (let n = 0; ; n++) {
            await pause(5);
            yield n;
          }
        } finally {
          closed = true;
        }
      },
      { timeout: 30 },
    );
    const { results } = await play(local, [steps], [call("steps")]);
    expect(results[0]).toMatch(/timed out/);
    expect(closed).toBe(true);
  });

  it("that only iterates is data, not a generator", async () => {
    const { results } = await play(local, [loose("set", () => [...new Set([1, 2])])], [call("set")]);
    expect(results).toEqual(["[1,2]"]);
  });
});

describe("an LLM function inside a tool", () => {
  it("is a run of its own, whose answer is the tool's result and whose events name their parent", async () => {
    const model = local.model();
    const inner = llmFunction({ model, name: "inner" })((topic: string) => prompt`About ${topic}`);
    const parents: unknown[] = [];
    const ask = tool({
      name: "ask",
      description: "Asks",
      input: z.object({ topic: z.string() }),
      execute: async ({ topic }) => {
        const stream = inner.stream(topic);
        for await (const event of stream) parents.push([event.parentRunId, event.parentCallId]);
        return (await stream.outcome).text;
      },
    });
    local.server.script(
      answer(toolCall({ id: "c1", name: "ask", arguments: '{"topic":"sea"}' })),
      answer(text("It is deep")),
      answer(text("done")),
    );
    const outer = llmFunction({ model, toolkit: [ask] })(() => prompt`Go`).stream();
    const events = await eventsOf(outer);
    expect(only(events, "tool-end")).toMatchObject([{ status: "ok", output: "It is deep" }]);
    expect(parents.length).toBeGreaterThan(3);
    for (const parent of parents) expect(parent).toEqual([outer.runId, "c1"]);
    expect((await outer.outcome).text).toBe("done");
  });

  it("that fails is an error result", async () => {
    const model = local.model();
    const inner = llmFunction({ model, returns: z.object({ a: z.int() }) })(() => prompt`Inner`);
    const ask = loose("ask", () => inner());
    local.server.script(
      answer(toolCall({ id: "c1", name: "ask", arguments: "{}" })),
      ...["x", "y", "z"].map((said) => answer(text(said))),
      answer(text("done")),
    );
    const outcome = await llmFunction({ model, toolkit: [ask] })(() => prompt`Go`)().outcome;
    expect(outcome).toMatchObject({ status: "completed", value: "done" });
    expect(outcome.history.find(({ role }) => role === "tool")?.content).toMatch(/^Error: .*does not fit/s);
  });
});
