// Every kind of timeout, what it counts, and what does not count against it.

import { setTimeout as sleep } from "node:timers/promises";
import { type CallOptions, llmChat, prompt, type Timeouts, tool, withTimeout } from "llmethod";
import { describe, expect, test } from "vitest";
import { chatOf, taskOf } from "./ask.ts";
import { checkInvariants, ended } from "./checks.ts";
import { aborted, calls, delta, finish, own, talks, waits } from "./own-models.ts";
import { ignores, obeys } from "./tools-told.ts";

/** Says a word every so many milliseconds. */
const slow = (ms: number, words = 5) =>
  own(async function* ({ abortSignal }) {
    for (let i = 0; i < words; i++) {
      await sleep(ms);
      if (abortSignal.aborted) return;
      yield delta("word ");
    }
    yield finish();
  });

const silent = own(async function* ({ abortSignal }) {
  await aborted(abortSignal);
  yield finish();
});

const wait = tool({ name: "wait", description: "Waits", execute: (_input, context) => obeys(context) });

describe("a timeout", () => {
  const cases: Record<string, { limits: Timeouts | number; run: () => ReturnType<typeof chatOf> }> = {
    "total, given as a number": { limits: 60, run: () => chatOf(slow(25, 50)) },
    total: { limits: { total: 60 }, run: () => chatOf(slow(25, 50)) },
    "total, while the prompt is awaited": {
      limits: { total: 60 },
      run: () => llmChat({ model: talks() })((_m: string, _o?: CallOptions) => prompt(ignores)),
    },
    turn: { limits: { turn: 60 }, run: () => chatOf(slow(25, 50)) },
    "turn, while a tool runs": { limits: { turn: 60 }, run: () => chatOf(calls("wait"), [wait]) },
    firstToken: { limits: { firstToken: 60 }, run: () => chatOf(silent) },
    idle: { limits: { idle: 60 }, run: () => chatOf(waits()) },
    "idle, before the first event": { limits: { idle: 60 }, run: () => chatOf(silent) },
  };

  test.each(Object.keys(cases))("stops the run and says which it was: %s", async (name) => {
    const { limits = 60, run } = cases[name] ?? {};
    const at = performance.now();
    const stream = run?.().stream("Go", { timeout: limits });
    if (stream === undefined) throw new Error("no such case");
    const seen = await ended(stream);
    expect(performance.now() - at).toBeGreaterThan(50);
    expect(performance.now() - at).toBeLessThan(1000);
    checkInvariants(seen);
    const which = name.split(",")[0];
    expect(seen.outcome).toMatchObject({
      status: "cancelled",
      cause: "timeout",
      reason: { name: "TimeoutError", code: "timeout", which, ms: 60 },
    });
    expect(JSON.parse(JSON.stringify(seen.outcome))).toMatchObject({ reason: { name: "TimeoutError" } });
  });

  test("of a turn counts anew for every turn, and so does that of the first token", async () => {
    let turns = 0;
    const model = own(async function* () {
      await sleep(60);
      if (turns++ < 3) {
        yield { type: "tool-call", callId: `call_${turns}`, toolName: "quick", input: "{}" };
        yield finish("tool-calls");
      } else {
        yield delta("Done.");
        yield finish();
      }
    });
    const quick = tool({ name: "quick", description: "Quick", execute: () => "found" });
    const timeout = { turn: 200, firstToken: 200, idle: 200 };
    expect(await chatOf(model, [quick])("Go", { timeout })).toMatchObject({
      status: "completed",
      text: "Done.",
    });
  });

  test("between events counts anew for every event, and not while tools run", async () => {
    expect((await chatOf(slow(40))("Go", { timeout: { idle: 150 } })).status).toBe("completed");
    const nap = tool({ name: "nap", description: "Sleeps", execute: () => sleep(200) });
    const timeout = { idle: 100, firstToken: 100 };
    expect((await chatOf(calls("nap"), [nap])("Go", { timeout })).status).toBe("completed");
  });

  test("between events does not pass because the reader is slow", async () => {
    const stream = chatOf(talks("one ", "two ", "three")).stream("Go", {
      timeout: { idle: 60, firstToken: 60 },
    });
    for await (const event of stream) if (event.type === "text-delta") await sleep(120);
    expect(await stream.outcome).toMatchObject({ status: "completed", text: "one two three" });
  });

  test("for the first token is over with the first visible event", async () => {
    expect((await chatOf(slow(40))("Go", { timeout: { firstToken: 150 } })).status).toBe("completed");
  });

  test.each(["call option", "tool option"])("of a tool ends its call only: %s", async (place) => {
    const own = place === "tool option" ? { timeout: 50 } : {};
    const named = tool({
      ...own,
      name: "wait",
      description: "Waits",
      execute: (_input, context) => obeys(context),
    });
    const timeout = place === "call option" ? { tool: 50 } : {};
    const seen = await ended(chatOf(calls("wait"), [named]).stream("Go", { timeout }));
    checkInvariants(seen);
    expect(seen.outcome).toMatchObject({ status: "completed", text: "Done.", patches: [] });
    expect(seen.events.filter(({ type }) => type === "tool-end")).toMatchObject([{ status: "error" }]);
  });

  test("of a tool itself comes before that of the call", async () => {
    const named = tool({
      name: "wait",
      description: "Waits",
      timeout: 40,
      execute: (_i, context) => obeys(context),
    });
    const { history } = await chatOf(calls("wait"), [named])("Go", { timeout: { tool: 5000 } });
    expect(JSON.stringify(history)).toContain("timed out after 40 ms");
  });

  test("of a tool that goes on all the same silences its progress", async () => {
    const loud = tool({
      name: "loud",
      description: "Goes on telling",
      timeout: 30,
      execute: async (_input, { emit }) => {
        for (let i = 0; i < 8; i++) {
          emit(i);
          await sleep(20);
        }
      },
    });
    const nap = tool({ name: "nap", description: "Sleeps", execute: () => sleep(150) });
    const seen = await ended(chatOf(calls("loud", "nap"), [loud, nap], { abortGraceMs: 10 }).stream("Go"));
    checkInvariants(seen);
    expect(seen.outcome).toMatchObject({ status: "completed", text: "Done." });
    expect(seen.events.filter(({ type }) => type === "tool-progress").length).toBeGreaterThan(0);
  });

  test("and a stop during a tool's grace give one outcome", async () => {
    const stuck = tool({ name: "wait", description: "Waits", timeout: 30, execute: ignores });
    const run = chatOf(calls("wait"), [stuck], { abortGraceMs: 200 }).stream("Go");
    setTimeout(() => run.cancel("halt"), 80);
    const seen = await ended(run);
    checkInvariants(seen);
    expect(seen.outcome).toMatchObject({ status: "cancelled", reason: "halt" });
  });

  test("of zero milliseconds stops the run at once", async () => {
    const seen = await ended(chatOf(waits()).stream("Go", { timeout: 0 }));
    checkInvariants(seen);
    expect(seen.outcome).toMatchObject({ status: "cancelled", cause: "timeout" });
  });

  test.each([-1, Number.NaN, Infinity, "1s", { total: "1s" }, { whole: 1 }])(
    "of %j is refused",
    (timeout) => {
      expect(() => chatOf(waits())("Go", { timeout: timeout as number })).toThrow(
        expect.objectContaining({ code: "invalid_option" }),
      );
    },
  );
});

describe("withTimeout", () => {
  test("limits a chat and keeps its type and its stream", async () => {
    const quick = withTimeout(chatOf(waits()), 60);
    const reply = await quick("Go");
    expect(reply).toMatchObject({ status: "cancelled", text: "Once" });
    const seen = await ended(quick.stream("Go"));
    checkInvariants(seen);
    expect(seen.outcome).toMatchObject({ cause: "timeout", reason: { which: "total", ms: 60 } });
  });

  test("limits a function, whose await rejects", async () => {
    await expect(withTimeout(taskOf(waits()), 60)("Go")).rejects.toMatchObject({
      name: "AbortError",
      cause: { name: "TimeoutError", which: "total" },
    });
  });

  test("takes limits by name, and the smaller of two counts", async () => {
    const limited = withTimeout(chatOf(waits()), { idle: 60, total: 5000 });
    expect(await limited.stream("Go").outcome).toMatchObject({ reason: { which: "idle", ms: 60 } });
    const own = limited.stream("Go", { timeout: { idle: 5000, total: 30 } });
    expect(await own.outcome).toMatchObject({ reason: { which: "total", ms: 30 } });
    const nested = withTimeout(withTimeout(chatOf(waits()), 40), 5000);
    expect(await nested.stream("Go").outcome).toMatchObject({ reason: { which: "total", ms: 40 } });
  });

  test("leaves a run alone that ends in time, and can be wrapped again", async () => {
    const twice = withTimeout(withTimeout(chatOf(talks("All.")), 5000), { idle: 5000 });
    expect(await twice("Go")).toMatchObject({ status: "completed", text: "All." });
  });

  test("refuses what is no LLM function", () => {
    const plain = (() => Promise.resolve("x")) as unknown as ReturnType<typeof taskOf>;
    expect(() => withTimeout(plain, 60)).toThrow(expect.objectContaining({ code: "invalid_option" }));
  });
});
