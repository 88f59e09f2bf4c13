// What `.background` stores before it resolves, what it refuses, and to whom it gives the run.

import {
  type CallOptions,
  type ChatRun,
  configure,
  type Json,
  llmChat,
  llmFunction,
  MemoryRunStore,
  prompt,
  type Run,
  runs,
  UsageError,
  withTimeout,
} from "llmethod";
import { describe, expect, test } from "vitest";
import { askOf, chatOf, modelOf, says, taskOf } from "./models.ts";
import { storeKinds, usePlace } from "./place.ts";

const model = modelOf((request) => says(`Heard: ${taskOf(request)}`));

async function refusal(work: () => Promise<unknown>): Promise<UsageError> {
  const error: unknown = await work().catch((reason: unknown) => reason);
  if (error instanceof UsageError) return error;
  throw new Error(`not refused: ${error}`);
}

class Analyst {
  readonly house = "Acme";

  @llmFunction({ model })
  research(question: string, _options?: CallOptions): Run<string> {
    return prompt`${this.house}: ${question}`;
  }

  @llmChat({ model })
  chat(_message: string, _options?: CallOptions): ChatRun {
    return prompt`Be kind.`;
  }

  @llmFunction({ model })
  static summarise(text: string, _options?: CallOptions): Run<string> {
    return prompt`Summarise ${text}`;
  }
}

describe.each(storeKinds)("a submission to the store %s", (kind) => {
  const place = usePlace(kind);

  test("is stored as pending before it resolves, and gives a handle", async () => {
    configure({ worker: false });
    const handle = await askOf(model).background("Why?", { key: "k", priority: 3, metadata: { a: 1 } });
    expect(handle.runId).toMatch(/^[0-9a-f-]{36}$/);
    expect(await place.store.get(handle.runId)).toMatchObject({
      status: "pending",
      attempt: 0,
      functionName: "ask",
      key: "k",
      priority: 3,
      input: { args: ["Why?"], options: { metadata: { a: 1 } } },
    });
    expect(await handle.get()).toEqual(await runs.get(handle.runId));
  });

  test("names methods by their class, and runs them on the instance that has them", async () => {
    const analyst = new Analyst();
    const handles = [
      await analyst.research.background("Why?"),
      await analyst.chat.background("Hello"),
      await Analyst.summarise.background("A text"),
      await withTimeout(analyst.research, 5000).background("How?"),
    ];
    const names = await Promise.all(handles.map(async (handle) => (await handle.get()).functionName));
    expect(names).toEqual(["Analyst.research", "Analyst.chat", "Analyst.summarise", "Analyst.research"]);
    const results = await Promise.all(handles.map((handle): Promise<unknown> => handle.result()));
    expect(results).toMatchObject([
      "Heard: Acme: Why?",
      { text: "Heard: Hello", status: "completed" },
      "Heard: Summarise A text",
      "Heard: Acme: How?",
    ]);
    expect((await handles[3]?.get())?.input.options).toEqual({ timeout: { total: 5000 } });
  });

  test("with an id that is there gives the same run, executed once", async () => {
    const counted = modelOf(() => says("One."));
    const ask = askOf(counted);
    const options = { runId: "one", timeout: 9000, context: { b: [1, null], a: undefined } };
    const handles = await Promise.all([1, 2, 3].map(() => ask.background("Why?", options)));
    expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(["One.", "One.", "One."]);
    await (await ask.background("Why?", options)).wait();
    expect(counted.requests).toHaveLength(1);
    expect((await place.store.get("one"))?.attempt).toBe(1);
  });

  test("with an id that another input has is refused", async () => {
    const ask = askOf(model);
    await ask.background("Why?", { runId: "one" });
    const others = [
      () => ask.background("How?", { runId: "one" }),
      () => ask.background("Why?", { runId: "one", maxTurns: 3 }),
      () => askOf(model, "other").background("Why?", { runId: "one" }),
      () => chatOf(model).background("Why?", { runId: "one" }),
    ];
    for (const other of others) expect(await refusal(other)).toMatchObject({ code: "duplicate_run" });
  });
});

describe("a submission", () => {
  const place = usePlace("memory");
  const echo = llmFunction({ model, name: "echo" })((_value: Json, _options?: CallOptions) => prompt`Hi`);

  class Box {
    readonly inside = 1;
  }
  const round: Record<string, unknown> = {};
  round.again = { round };

  test.each<[string, unknown, string]>([
    ["a Date", { when: [new Date(0)] }, "args[0].when[0] is a Date"],
    ["a function", { done: () => {} }, "args[0].done is a function"],
    ["undefined in an array", [1, undefined], "args[0][1] is undefined"],
    ["a hole in an array", new Array(2), "args[0][0] is undefined"],
    ["a cycle", round, "args[0].again.round is part of itself"],
    ["an instance of a class", { box: new Box() }, "args[0].box is a Box"],
    ["NaN", { n: Number.NaN }, "args[0].n is NaN"],
    ["Infinity", [Number.POSITIVE_INFINITY], "args[0][0] is Infinity"],
    ["a bigint", 1n, "args[0] is a bigint"],
    ["a Map", new Map(), "args[0] is a Map"],
    ["a symbol", Symbol("s"), "args[0] is a symbol"],
  ])("refuses %s, and names its place", async (_what, value, where) => {
    const error = await refusal(() => echo.background(value as Json));
    expect(error.code).toBe("not_json");
    expect(error.message).toContain(`echo.background: ${where}`);
    expect(await place.store.list()).toEqual([]);
  });

  test("refuses options that are no JSON", async () => {
    const error = await refusal(() => echo.background("x", { context: { now: new Date() } }));
    expect(error).toMatchObject({ code: "not_json" });
    expect(error.message).toContain("options.context.now is a Date");
  });

  test("takes arguments that are JSON as they are", async () => {
    const value = { a: [1, "two", null, { deep: [true] }], empty: {}, left: undefined, "": -1.5 };
    const { runId } = await echo.background(value);
    const { left: _, ...kept } = value;
    expect((await place.store.get(runId))?.input.args).toEqual([kept as Json]);
  });

  test("refuses an abortSignal, and says how such a run is stopped", async () => {
    const { signal: abortSignal } = new AbortController();
    // As JavaScript may call it: the type has no such option.
    const background = echo.background as unknown as (...args: unknown[]) => Promise<unknown>;
    const error = await refusal(() => Reflect.apply(background, echo, ["x", { abortSignal }]));
    expect(error).toMatchObject({ code: "invalid_option" });
    expect(error.message).toContain("runs.cancel");
  });

  test("refuses a function without a name", async () => {
    const unnamed = llmFunction({ model })((_task: string, _options?: CallOptions) => prompt`Hi`);
    const error = await refusal(() => unnamed.background("x"));
    expect(error).toMatchObject({ code: "unknown_function" });
    expect(error.message).toContain("name");
  });

  test("refuses a function that no worker has which this process was told to start", async () => {
    await place.worker([askOf(model)]);
    const error = await refusal(() => echo.background("x"));
    expect(error).toMatchObject({ code: "unknown_function" });
    expect(error.message).toContain("echo");
    expect(await place.store.list()).toEqual([]);
  });

  test.each<[string, Record<string, unknown>]>([
    ["an empty key", { key: "" }],
    ["a key that is no string", { key: 7 }],
    ["a priority that is no whole number", { priority: 1.5 }],
    ["a priority that is too high", { priority: 1001 }],
    ["a negative delay", { delayMs: -1 }],
    ["an endless delay", { delayMs: Number.POSITIVE_INFINITY }],
    ["a timeout that is no number", { timeout: "5s" }],
    ["a timeout with an unknown limit", { timeout: { all: 5 } }],
    ["an empty id", { runId: "" }],
    ["a turn limit of 0", { maxTurns: 0 }],
  ])("refuses %s", async (_what, options) => {
    expect(await refusal(() => echo.background("x", options))).toMatchObject({ code: "invalid_option" });
    expect(await place.store.list()).toEqual([]);
  });

  test("refuses a store that cannot queue by itself, where no queue is there", async () => {
    const memory = new MemoryRunStore();
    const store = new Proxy(memory, {
      has: (target, key) => key !== "claimNext" && key in target,
      get(target, key) {
        const value: unknown = key === "claimNext" ? undefined : Reflect.get(target, key);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    configure({ store });
    const error = await refusal(() => echo.background("x"));
    expect(error).toMatchObject({ code: "invalid_option" });
    expect(error.message).toContain("queue");
    expect(await memory.list()).toEqual([]);
  });

  test("refuses a chat's message that is none, before anything is stored", async () => {
    const chat = chatOf(model);
    expect(await refusal(() => chat.background(7 as never))).toMatchObject({ code: "invalid_message" });
    expect(await place.store.list()).toEqual([]);
  });
});
