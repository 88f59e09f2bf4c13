// Foreign code that keeps to no rule: models, validators, nested runs. A run ends all the same, and says the truth.
import { setTimeout as sleep } from "node:timers/promises";
import { cancelRun, llmChat, llmFunction, type Model, openai, prompt, tool, withRetry } from "llmethod";
import { scriptedModel } from "llmethod/testing";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { soon } from "./stage.ts";
import { watchTimers } from "./timer-watch.ts";

const model = (events: readonly unknown[]): Model => ({
  name: "odd",
  async *stream() {
    for (const event of events) yield event as never;
  },
});
const chatOf = (own: Model, toolkit: Parameters<typeof llmChat>[0] = {}) =>
  llmChat({ ...toolkit, model: own })((_message: string) => prompt`s`);

describe("a model whose events are not of the form", () => {
  test.each([
    ["an input that is no text", { type: "tool-call", callId: "1", toolName: "t", input: {} }, /"input"/],
    ["no tool's name", { type: "tool-call", callId: "1", input: "{}" }, /"toolName"/],
    ["a number as id", { type: "tool-input-delta", callId: 1, toolName: "t", delta: "x" }, /"callId"/],
    ["no delta", { type: "text-delta" }, /"delta"/],
    ["an unknown type", { type: "text", delta: "x" }, /"text".*text-delta/],
    ["a type of every object", { type: "constructor" }, /"constructor".*text-delta/],
    ["nothing", null, /null/],
  ])("ends the run as an error: %s", async (_what, event, message) => {
    const run = chatOf(model([{ type: "text-delta", delta: "So " }, event])).stream("Go");
    const outcome = await run.outcome;
    expect(outcome).toMatchObject({ status: "error", text: "So ", error: { name: "UsageError" } });
    expect(outcome.status === "error" && outcome.error.message).toMatch(message);
  });

  test("may ask for a tool without saying its input, in a script", async () => {
    const now = tool({ name: "now", description: "The time", execute: () => "noon" });
    const scripted = scriptedModel([{ calls: [{ name: "now" }] }, "It is noon."]);
    expect((await chatOf(scripted, { toolkit: [now] })("?")).text).toBe("It is noon.");
  });
});

test("a model that never waits cannot starve the timers", async () => {
  const endless: Model = {
    name: "endless",
    async *stream() {
      for (let count = 0; count < 3_000_000; count++) yield { type: "text-delta", delta: "x" };
    },
  };
  const outcome = await llmChat({ model: endless })(
    (_message: string, _options?: { timeout: number }) => prompt`s`,
  )("Go", { timeout: 30 });
  expect(outcome.status).toBe("cancelled");
});

describe("a nested run whose tool ignores the stop", () => {
  const nested = () => {
    let isDone = false;
    const pay = tool({
      name: "pay",
      description: "Pays",
      execute: async () => {
        await sleep(600);
        isDone = true;
      },
    });
    const inner = llmFunction({
      model: scriptedModel([{ text: "Paying. ", calls: [{ name: "pay" }] }]),
      toolkit: [pay],
    })(() => prompt`i`);
    const outer = tool({ name: "outer", description: "Outer", execute: () => inner() });
    const run = chatOf(scriptedModel([{ calls: [{ name: "outer" }] }]), { toolkit: [outer] }).stream("Go");
    return { run, isDone: () => isDone };
  };

  test("makes the outer call unknown too, with the name of what may have taken effect", async () => {
    const { run } = nested();
    setTimeout(() => run.cancel("halt"), 50);
    const { history, patches } = await run.outcome;
    expect(patches).toMatchObject([{ kind: "call-cancelled", toolName: "outer", state: "unknown" }]);
    expect(history.at(-1)?.content).toMatch(
      /outcome unknown[\s\S]*Paying\.[\s\S]*may have taken effect: pay/,
    );
    await run.settled;
  });

  test("keeps the outer run from settling before that tool has ended", async () => {
    const { run, isDone } = nested();
    setTimeout(() => run.cancel("halt"), 50);
    await run.outcome;
    expect(isDone()).toBe(false);
    await run.settled;
    expect(isDone()).toBe(true);
  });
});

test("a tool's timeout keeps the text of the nested run", async () => {
  const inner = llmFunction({ model: scriptedModel([{ text: "part ", hang: true }]) })(() => prompt`i`);
  const slow = tool({ name: "slow", description: "Slow", timeout: 60, execute: () => inner() });
  const reply = await chatOf(scriptedModel([{ calls: [{ name: "slow" }] }, "Done."]), { toolkit: [slow] })(
    "Go",
  );
  expect(reply.history[2]?.content).toMatch(/timed out after 60 ms[\s\S]*Its text so far: part/);
});

test("a check of the input that never ends has the tool's time", async () => {
  const input = z.object({}).refine(() => new Promise<boolean>(() => {}));
  const never = tool({ name: "never", description: "x", timeout: 50, input, execute: () => "no" });
  const reply = await chatOf(scriptedModel([{ calls: [{ name: "never" }] }, "Done."]), { toolkit: [never] })(
    "Go",
  );
  expect(reply.history[2]?.content).toMatch(/check of the arguments failed.*timeout of 50 ms/);
});

test("a stop during such a check leaves no timer that would hold the process", async () => {
  using watch = watchTimers();
  const input = z.object({}).refine(() => new Promise<boolean>(() => {}));
  const never = tool({ name: "never", description: "x", timeout: 60_000, input, execute: () => "no" });
  const run = chatOf(scriptedModel([{ calls: [{ name: "never" }] }]), { toolkit: [never] }).stream("Go");
  setTimeout(() => run.cancel("halt"), 30);
  expect((await run.outcome).patches).toMatchObject([{ state: "not-started" }]);
  expect(watch.left).toEqual([]);
});

test("a tool two runs deep may stop the outermost run and wait for it", async () => {
  const halt = tool({
    name: "halt",
    description: "x",
    execute: () => cancelRun("outermost", "halt", { wait: true }),
  });
  const inner = llmFunction({ model: scriptedModel([{ calls: [{ name: "halt" }] }]), toolkit: [halt] })(
    () => prompt`i`,
  );
  const outer = tool({ name: "outer", description: "x", execute: () => inner() });
  const chat = llmChat({ model: scriptedModel([{ calls: [{ name: "outer" }] }]), toolkit: [outer] })(
    (_message: string, _options?: { runId: string }) => prompt`s`,
  );
  const run = chat.stream("Go", { runId: "outermost" });
  expect((await run.outcome).status).toBe("cancelled");
  expect(await soon(run.settled)).toBeUndefined();
});

describe("what would be lost silently is refused", () => {
  const chat = llmChat({ model: scriptedModel([]) })((_message: string, _options?: object) => prompt`s`);
  test.each([
    ["a signal by another name", { signal: new AbortController().signal }],
    ["a misspelt option beside another", { timeout: 50, runID: "x" }],
  ])("in a chat's options: %s", (_what, options) => {
    expect(() => chat("x", options)).toThrow(/unknown (signal|runID).*Known options/);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, -1, 1.5])("as maxRetries: %s", (maxRetries) => {
    expect(() => withRetry(scriptedModel([]), { maxRetries })).toThrow(/"maxRetries" must be a whole number/);
    expect(() => openai("m", { maxRetries })).toThrow(/"maxRetries" must be a whole number/);
  });

  test("as an option of openai, and as its base URL", async () => {
    expect(() => openai("m", { apikey: "k" } as never)).toThrow(/does not know apikey/);
    const run = chatOf(openai("m", { baseURL: "localhost", apiKey: "k" }))("Go");
    await expect(run).rejects.toThrow(/baseURL in openai\(…\) is no URL: localhost/);
  });
});
