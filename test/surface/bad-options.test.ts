// What a caller passes wrongly is thrown at the call, before anything runs, and the message says what to pass.
import {
  activeRuns,
  CancellationManager,
  cancelRun,
  configure,
  llmChat,
  llmFunction,
  openai,
  prompt,
  type Run,
  repairHistory,
  setCancellationManager,
  UsageError,
  type UsageErrorCode,
  withTimeout,
} from "llmethod";
import { describe, expect, test } from "vitest";
import { answer, hang, text } from "../support/server.ts";
import { useServer } from "./use-server.ts";

const place = useServer();
const { model } = place;

class Asker {
  @llmFunction({ model })
  ask(...args: readonly unknown[]): Run<string> {
    return prompt`${args.length}`;
  }
}

const { ask } = new Asker();
const chat = llmChat({ model })((..._args: readonly unknown[]) => prompt`You are kind.`);

/** The error of a call that must throw at once, and not as a rejection. */
function thrownBy(call: () => unknown): UsageError {
  try {
    call();
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error("It did not throw.");
}

function expectRefusal(call: () => unknown, code: UsageErrorCode, says: RegExp): void {
  const error = thrownBy(call);
  expect(error).toBeInstanceOf(TypeError);
  expect(error.name).toBe("UsageError");
  expect(error.code).toBe(code);
  expect(error.message).toMatch(says);
}

const signal = new AbortController().signal;
const badOptions: readonly (readonly [string, object, RegExp])[] = [
  ["a controller as signal", { abortSignal: new AbortController() }, /AbortSignal.*controller\.signal/],
  ["null as signal", { abortSignal: null }, /AbortSignal, not null/],
  ["a look-alike as signal", { abortSignal: { aborted: false } }, /AbortSignal, not an object/],
  ["true as signal", { abortSignal: true }, /AbortSignal, not a boolean/],
  ["a negative timeout", { timeout: -1 }, /"timeout" must be a number of milliseconds from 0/],
  ["no number as timeout", { timeout: "5s" }, /"timeout" .*milliseconds.*not a string/],
  ["NaN as timeout", { timeout: Number.NaN }, /"timeout" .*not NaN/],
  ["an endless timeout", { timeout: Number.POSITIVE_INFINITY }, /"timeout" .*not Infinity/],
  ["a timeout too long for a timer", { timeout: 2 ** 31 }, /"timeout" .*2147483647/],
  ["null as timeout", { timeout: null }, /"timeout" .*not null/],
  ["an unknown limit", { timeout: { totl: 5 } }, /does not know totl.*total, turn, firstToken, idle, tool/],
  ["a wrong limit", { timeout: { idle: "5" } }, /"timeout\.idle" .*not a string/],
  ["an empty run id", { runId: "" }, /"runId" must be a string that is not empty/],
  ["a number as run id", { runId: 5 }, /"runId" must be a string.*not a number/],
  ["no turns", { maxTurns: 0 }, /"maxTurns" must be a whole number above 0/],
  ["half a turn", { maxTurns: 1.5 }, /"maxTurns" must be a whole number above 0/],
  ["endless turns", { maxTurns: Number.POSITIVE_INFINITY }, /"maxTurns"/],
  ["an incomplete turn limit", { maxTurns: { limit: 3 } }, /"maxTurns".*atLimit/],
  ["a wrong turn limit", { maxTurns: { limit: 3, atLimit: "stop" } }, /"maxTurns".*"error" \| "answer"/],
  ["a list as metadata", { metadata: ["a"] }, /"metadata" must be a plain JSON object, not an array/],
  ["a date as metadata", { metadata: new Date() }, /"metadata".*not a Date/],
  ["a bigint in metadata", { metadata: { id: 5n } }, /"metadata" must be a plain JSON object/],
  [
    "a signal beside an unknown option",
    { abortSignal: signal, retries: 3 },
    /unknown retries.*Known options/,
  ],
];

describe("call options", () => {
  test.each(badOptions)("refuse %s at once", (_what, options, says) => {
    expectRefusal(() => ask("Why?", options), "invalid_option", says);
    expectRefusal(() => ask.stream("Why?", options), "invalid_option", says);
    expectRefusal(() => chat("Hello", options), "invalid_option", says);
    expect(place.server.requests).toHaveLength(0);
  });

  test("leave no run behind that was refused", async () => {
    expect(() => ask("Why?", { runId: "refused", timeout: -1 })).toThrow(UsageError);
    expect(() => ask("Why?", { runId: "refused", history: [{ role: "robot", content: "" }] })).toThrow();
    expect([...(await activeRuns()).keys()]).toEqual([]);
    place.server.script(answer(text("done")));
    expect(await ask("Why?", { runId: "refused" })).toBe("done");
  });
});

const badHistories: readonly (readonly [string, unknown, UsageErrorCode, RegExp])[] = [
  [
    "is no array",
    { role: "user", content: "Hi" },
    "invalid_history",
    /array of OpenAI chat messages.*an object/,
  ],
  ["is text", "Hi", "invalid_history", /array of OpenAI chat messages.*a string/],
  ["is null", null, "invalid_history", /array of OpenAI chat messages.*null/],
  ["holds text", ["Hi"], "invalid_message", /Message 0 .*object.*not a string/],
  [
    "holds an unknown role",
    [{ role: "robot", content: "Hi" }],
    "invalid_message",
    /unknown role "robot".*user/,
  ],
  ["holds no role", [{ content: "Hi" }], "invalid_message", /Message 0 .*role/],
  [
    "holds a number as content",
    [
      { role: "user", content: "Hi" },
      { role: "user", content: 5 },
    ],
    "invalid_message",
    /Message 1 .*content that is a number/,
  ],
  ["holds a result without an id", [{ role: "tool", content: "5" }], "invalid_message", /tool_call_id/],
  ["holds calls that are none", [{ role: "assistant", tool_calls: [{}] }], "invalid_message", /tool_calls/],
];

describe("a history", () => {
  test.each(badHistories)("that %s is refused at once", (_what, history, code, says) => {
    expectRefusal(() => ask("Why?", { history }), code, says);
    expectRefusal(() => ask.stream("Why?", { history }), code, says);
    expectRefusal(() => chat("Hello", { history }), code, says);
    expectRefusal(() => repairHistory(history as never), code, says);
  });
});

describe("a chat's message", () => {
  test.each([
    ["nothing", undefined, /not undefined/],
    ["a number", 5, /not a number/],
    ["an object", { text: "Hi" }, /not an object/],
    ["an empty list", [], /content parts/],
    ["a list of strings", ["Hi"], /content parts/],
    ["the options alone", { runId: "a" }, /first argument.*user's message/],
  ])("that is %s is refused at once", (_what, message, says) => {
    expectRefusal(() => chat(message), "invalid_message", says);
    expectRefusal(() => chat.stream(message), "invalid_message", says);
  });
});

describe("a run id", () => {
  test("that a living run has is refused, and is free again after its end", async () => {
    place.server.script(answer(hang()), answer(text("done")));
    const first = ask("Why?", { runId: "twice" });
    expectRefusal(() => ask("Why?", { runId: "twice" }), "duplicate_run", /"twice".*own runId/);
    expectRefusal(() => ask.stream("Why?", { runId: "twice" }), "duplicate_run", /"twice"/);
    await place.server.arrival();
    first.cancel();
    await first.outcome;
    expect(await ask("Why?", { runId: "twice" })).toBe("done");
  });

  test("to cancel must be text", async () => {
    await expect(cancelRun("")).rejects.toMatchObject({ code: "invalid_option" });
    await expect(cancelRun(5 as never)).rejects.toMatchObject({ code: "invalid_option" });
  });
});

describe("withTimeout", () => {
  test.each([
    ["an ordinary function", () => Promise.resolve("x"), /LLM function or a chat.*AbortSignal\.timeout/],
    ["a promise", Promise.resolve("x"), /not a Promise/],
    ["nothing", undefined, /not undefined/],
  ])("refuses %s", (_what, fn, says) => {
    expectRefusal(() => withTimeout(fn as never, 5), "invalid_option", says);
  });

  test.each([
    ["text", "5s"],
    ["nothing", undefined],
    ["a negative number", -1],
    ["an unknown limit", { all: 5 }],
  ])("refuses %s as its limit", (_what, limit) => {
    expectRefusal(() => withTimeout(ask, limit as never), "invalid_option", /timeout/);
  });
});

describe("configure", () => {
  test.each([
    ["nothing", undefined, /takes an object/],
    ["a model alone", model, /does not know .*stream/],
    ["an unknown key", { modell: model }, /does not know modell.*model, cancellation/],
    ["a name as model", { model: "gpt-5-mini" }, /"model".*openai\("gpt-5-mini"\)/],
    ["a wrong note", { stopNote: "cut" }, /"stopNote" must be false or a function/],
    ["a wrong grace", { abortGraceMs: -1 }, /"abortGraceMs".*0 or more/],
    ["text as grace", { abortGraceMs: "5" }, /"abortGraceMs".*not a string/],
    ["a wrong fault handler", { onFault: true }, /"onFault" must be a function/],
    ["half a manager", { cancellation: { cancel() {} } }, /lacks register, isCancelled, cleanup/],
  ])("refuses %s", (_what, changes, says) => {
    expectRefusal(() => configure(changes as never), "invalid_option", says);
  });

  test("refuses a cancellation manager that is none", () => {
    expectRefusal(() => setCancellationManager(undefined as never), "invalid_option", /CancellationManager/);
    expectRefusal(
      () => setCancellationManager(CancellationManager as never),
      "invalid_option",
      /extend CancellationManager/,
    );
  });
});

describe("openai", () => {
  test.each([
    ["no name", undefined],
    ["an empty name", ""],
    ["options alone", { apiKey: "sk" }],
  ])("refuses %s", (_what, name) => {
    expectRefusal(() => openai(name as never), "invalid_option", /model's name, such as "gpt-5-mini"/);
  });
});
