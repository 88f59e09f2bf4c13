// Runs inside runs: linked without a word of the user, told of in their events, stopped with their parent.

import { type CallOptions, llmChat, prompt, type RunStream, tool } from "llmethod";
import { describe, expect, test } from "vitest";
import { chatOf, taskOf } from "./ask.ts";
import { checkInvariants, ended } from "./checks.ts";
import { calls, talks, waits } from "./own-models.ts";
import { loops, until } from "./stage.ts";

/** A tool that begins a run, and all the runs that it began. */
function beginner(begin: () => RunStream<unknown>) {
  const runs: RunStream<unknown>[] = [];
  const outer = tool({
    name: "outer",
    description: "Begins a run",
    execute: () => {
      const run = begin();
      runs.push(run);
      return run.outcome.then(({ text }) => text);
    },
  });
  return { outer, runs };
}

describe("a run that a tool begins", () => {
  test("carries its parent's run and call in every event, and its own in nobody's", async () => {
    const { outer, runs } = beginner(() => taskOf(talks("Deep.")).stream("Study"));
    const parent = chatOf(calls("outer", "outer"), [outer]).stream("Go");
    const seen = await ended(parent);
    checkInvariants(seen);
    expect(seen.events.every((event) => !("parentRunId" in event))).toBe(true);
    for (const [index, run] of runs.entries()) {
      const inner = await ended(run);
      checkInvariants(inner);
      expect(inner.events.every(({ parentRunId }) => parentRunId === parent.runId)).toBe(true);
      expect(inner.events.every(({ parentCallId }) => parentCallId === `call_${index}`)).toBe(true);
    }
    expect(runs).toHaveLength(2);
  });

  test("is stopped with its parent at any depth, with the same reason and the cause parent", async () => {
    const deep = beginner(() => taskOf(waits()).stream("Dig"));
    const middle = beginner(() => taskOf(calls("outer"), [deep.outer]).stream("Study"));
    const reason = new Error("halt");
    const parent = chatOf(calls("outer"), [middle.outer], { abortGraceMs: 1000 }).stream("Go");
    await until(() => deep.runs[0]?.history.length === 2);
    parent.cancel(reason);
    checkInvariants(await ended(parent));
    for (const run of [...middle.runs, ...deep.runs]) {
      const seen = await ended(run);
      checkInvariants(seen);
      expect(seen.outcome).toMatchObject({ status: "cancelled", cause: "parent" });
      expect(seen.outcome.status === "cancelled" && seen.outcome.reason === reason).toBe(true);
    }
    expect((await parent.outcome).history.at(-1)).toMatchObject({ role: "tool", content: "" });
  });

  test("stops alone where it is cancelled itself: the parent goes on", async () => {
    const inner = beginner(() => taskOf(waits()).stream("Study"));
    const parent = chatOf(calls("outer"), [inner.outer]).stream("Go");
    await until(() => inner.runs[0]?.history.length === 2);
    inner.runs[0]?.cancel("enough");
    const seen = await ended(parent);
    checkInvariants(seen);
    expect(seen.outcome).toMatchObject({ status: "completed", text: "Done." });
    expect(await inner.runs[0]?.outcome).toMatchObject({ status: "cancelled", cause: "cancel" });
  });

  test("stops alone where its tool's time is over: the parent goes on", async () => {
    const inner = beginner(() => taskOf(waits()).stream("Study"));
    const parent = chatOf(calls("outer"), [inner.outer]).stream("Go", { timeout: { tool: 50 } });
    const seen = await ended(parent);
    checkInvariants(seen);
    expect(seen.outcome).toMatchObject({ status: "completed", text: "Done." });
    expect(await inner.runs[0]?.outcome).toMatchObject({
      status: "cancelled",
      cause: "parent",
      reason: { which: "tool" },
    });
  });

  test("is not touched by the end of a parent that completes before it", async () => {
    let inner: RunStream<unknown> | undefined;
    const free = tool({
      name: "free",
      description: "Begins a run and does not wait",
      execute: () => {
        inner = taskOf(waits()).stream("Study");
      },
    });
    expect((await chatOf(calls("free"), [free])("Go")).status).toBe("completed");
    await loops(5);
    expect(inner?.status).toBe("running");
    inner?.cancel();
    await inner?.outcome;
  });

  test("is stopped with its parent also when its tool has returned without waiting for it", async () => {
    let inner: RunStream<unknown> | undefined;
    const free = tool({
      name: "free",
      description: "Begins a run and does not wait",
      execute: () => {
        inner = taskOf(waits()).stream("Study");
      },
    });
    const stuck = tool({
      name: "stuck",
      description: "Waits",
      execute: (_i, { abortSignal }) => abortOf(abortSignal),
    });
    const parent = chatOf(calls("free", "stuck"), [free, stuck]).stream("Go");
    await until(() => inner?.history.length === 2);
    await until(() =>
      parent.history.some((message) => message.role === "tool" && message.content === "done"),
    );
    parent.cancel("halt");
    await parent.outcome;
    await loops(5);
    const { status } = inner ?? {};
    inner?.cancel();
    expect(status).toBe("cancelled");
  });

  test("begun in an awaited prompt is linked too, without a call", async () => {
    let inner: RunStream<unknown> | undefined;
    const ask = llmChat({ model: talks() })((_message: string, _options?: CallOptions) =>
      prompt(async () => {
        inner = taskOf(waits()).stream("Study");
        await inner.outcome;
        return prompt`Be kind.`;
      }),
    );
    const parent = ask.stream("Go");
    await until(() => inner?.history.length === 2);
    parent.cancel("halt");
    expect(await parent.outcome).toMatchObject({ status: "cancelled", turns: 0 });
    if (inner === undefined) throw new Error("no inner run");
    const { outcome, events } = await ended(inner);
    expect(outcome).toMatchObject({ status: "cancelled", cause: "parent", reason: "halt" });
    expect(events.every((event) => event.parentRunId === parent.runId && !("parentCallId" in event))).toBe(
      true,
    );
  });

  test("begun under a stopped tool makes no request", async () => {
    const late = tool({
      name: "late",
      description: "Begins a run after the stop",
      execute: async (_input, { abortSignal }) => {
        await abortOf(abortSignal).catch(() => {});
        return (await taskOf(talks("Deep.")).stream("Study").outcome).status;
      },
    });
    const parent = chatOf(calls("late"), [late]).stream("Go");
    await until(() => parent.history.length === 3);
    parent.cancel("halt");
    const { outcome } = await ended(parent);
    expect(outcome.history.at(-1)).toMatchObject({ content: "cancelled" });
  });

  test("belongs to its own parent where several are at work", async () => {
    const parents = Array.from({ length: 5 }, () => {
      const inner = beginner(() => taskOf(waits()).stream("Study"));
      return { inner, run: chatOf(calls("outer"), [inner.outer]).stream("Go") };
    });
    await until(() => parents.every(({ inner }) => inner.runs[0]?.history.length === 2));
    parents[2]?.run.cancel("halt");
    await parents[2]?.run.outcome;
    expect(parents.map(({ inner }) => inner.runs[0]?.status)).toEqual([
      "running",
      "running",
      "cancelled",
      "running",
      "running",
    ]);
    for (const { run } of parents) run.cancel();
    await Promise.all(parents.map(({ run }) => run.settled));
  });
});

function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
