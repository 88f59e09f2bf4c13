// What compatible servers leave out or do differently, and the model takes all the same.

import type { ModelEvent } from "llmethod";
import { llmFunction, prompt, tool } from "llmethod";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { answer, chunk, done, finishReason, json, raw, text, toolCall } from "../support/server.ts";
import { ask, textOf, useServer } from "./local.ts";

const local = useServer();

/** A stream of these deltas, with the finish reason of calls, as a bare compatible server sends it. */
const deltas = (...list: readonly object[]) =>
  answer(
    ...list.map((delta) => chunk({ choices: [{ index: 0, delta, finish_reason: null }] })),
    finishReason("tool_calls"),
    done(),
  );

const calls = (events: readonly ModelEvent[]) =>
  events.flatMap((event) => (event.type === "tool-call" ? [[event.toolName, event.input]] : []));

const ids = (events: readonly ModelEvent[]) =>
  events.flatMap((event) => (event.type === "tool-call" ? [event.callId] : []));

describe("tool calls", () => {
  it("come without indexes", async () => {
    local.server.script(
      deltas(
        { tool_calls: [{ id: "a", function: { name: "one", arguments: '{"x"' } }] },
        { tool_calls: [{ function: { arguments: ":1}" } }] },
        { tool_calls: [{ id: "b", function: { name: "two", arguments: "{}" } }] },
      ),
    );
    const events = await ask(local.model());
    expect(calls(events)).toEqual([
      ["one", '{"x":1}'],
      ["two", "{}"],
    ]);
    expect(ids(events)).toEqual(["a", "b"]);
  });

  it("come without ids, and each gets one of its own", async () => {
    local.server.script(
      deltas(
        { tool_calls: [{ index: 0, function: { name: "one", arguments: "{}" } }] },
        { tool_calls: [{ index: 1, function: { name: "two", arguments: "{" } }] },
        { tool_calls: [{ index: 1, function: { arguments: "}" } }] },
      ),
    );
    const events = await ask(local.model());
    expect(calls(events)).toEqual([
      ["one", "{}"],
      ["two", "{}"],
    ]);
    const given = ids(events);
    expect(new Set(given).size).toBe(2);
    for (const id of given) expect(id).toMatch(/^[\w-]{1,40}$/);
  });

  it("come without indexes and ids, whole in one delta each", async () => {
    local.server.script(
      deltas(
        { tool_calls: [{ function: { name: "one", arguments: "{}" } }] },
        { tool_calls: [{ id: null, function: { name: "one", arguments: '{"x":2}' } }] },
      ),
    );
    expect(calls(await ask(local.model()))).toEqual([
      ["one", "{}"],
      ["one", '{"x":2}'],
    ]);
  });

  it("come all at index 0 with ids that differ", async () => {
    local.server.script(
      deltas(
        { tool_calls: [{ index: 0, id: "a", function: { name: "one", arguments: '{"x":1}' } }] },
        { tool_calls: [{ index: 0, id: "b", function: { name: "two", arguments: '{"x":2}' } }] },
        { tool_calls: [{ index: 0, id: "c", function: { name: "one", arguments: '{"x":3}' } }] },
      ),
    );
    const events = await ask(local.model());
    expect(calls(events)).toEqual([
      ["one", '{"x":1}'],
      ["two", '{"x":2}'],
      ["one", '{"x":3}'],
    ]);
    expect(ids(events)).toEqual(["a", "b", "c"]);
  });

  it("come all at index 0, with arguments in fragments that name no id", async () => {
    local.server.script(
      deltas(
        { tool_calls: [{ index: 0, id: "a", function: { name: "one", arguments: "" } }] },
        { tool_calls: [{ index: 0, function: { arguments: '{"x":1}' } }] },
        { tool_calls: [{ index: 0, id: "b", function: { name: "two", arguments: "" } }] },
        { tool_calls: [{ index: 0, function: { arguments: '{"x"' } }] },
        { tool_calls: [{ index: 0, function: { arguments: ":2}" } }] },
      ),
    );
    expect(calls(await ask(local.model()))).toEqual([
      ["one", '{"x":1}'],
      ["two", '{"x":2}'],
    ]);
  });

  it("come with the id and the name repeated in every fragment", async () => {
    local.server.script(
      deltas(
        { tool_calls: [{ index: 0, id: "a", function: { name: "one", arguments: '{"x"' } }] },
        { tool_calls: [{ index: 0, id: "a", function: { name: "one", arguments: ":1}" } }] },
      ),
    );
    expect(calls(await ask(local.model()))).toEqual([["one", '{"x":1}']]);
  });

  it("come interleaved", async () => {
    local.server.script(
      deltas(
        { tool_calls: [{ index: 0, id: "a", function: { name: "one", arguments: '{"x"' } }] },
        { tool_calls: [{ index: 1, id: "b", function: { name: "two", arguments: '{"y"' } }] },
        { tool_calls: [{ index: 0, function: { arguments: ":1}" } }] },
        { tool_calls: [{ index: 1, function: { arguments: ":2}" } }] },
      ),
    );
    const seen = new Map<string, string>();
    const run = llmFunction({
      model: local.model(),
      toolkit: ["one", "two"].map((name) =>
        tool({
          name,
          description: name,
          input: z.looseObject({}),
          execute: (input) => seen.set(name, JSON.stringify(input)).size,
        }),
      ),
    })(() => prompt`Go`);
    local.server.script(answer(text("ok")));
    expect(await run()).toBe("ok");
    expect(Object.fromEntries(seen)).toEqual({ one: '{"x":1}', two: '{"y":2}' });
  });

  it("come with two equal ids at two indexes, and are told apart", async () => {
    local.server.script(
      deltas(
        { tool_calls: [{ index: 0, id: "a", function: { name: "one", arguments: '{"x":1}' } }] },
        { tool_calls: [{ index: 1, id: "a", function: { name: "two", arguments: '{"x":2}' } }] },
      ),
    );
    expect(calls(await ask(local.model()))).toEqual([
      ["one", '{"x":1}'],
      ["two", '{"x":2}'],
    ]);
  });

  it("come with arguments as an object instead of its text", async () => {
    local.server.script(
      deltas({ tool_calls: [{ index: 0, id: "a", function: { name: "one", arguments: { x: [1] } } }] }),
    );
    expect(calls(await ask(local.model()))).toEqual([["one", '{"x":[1]}']]);
  });

  it("come in the form before tools, as a function_call", async () => {
    local.server.script(
      deltas({ function_call: { name: "one", arguments: '{"x"' } }, { function_call: { arguments: ":1}" } }),
    );
    expect(calls(await ask(local.model()))).toEqual([["one", '{"x":1}']]);
  });

  it("come with the finish reason stop", async () => {
    local.server.script(
      answer(toolCall({ id: "a", name: "one", arguments: "{}" }), finishReason("stop"), done()),
    );
    expect((await ask(local.model())).at(-1)).toMatchObject({ finishReason: "tool-calls" });
  });
});

describe("a stream", () => {
  it("holds content that is null", async () => {
    local.server.script(
      answer(
        chunk({ choices: [{ index: 0, delta: { role: "assistant", content: null, tool_calls: null } }] }),
        text("Hi"),
      ),
    );
    expect(textOf(await ask(local.model()))).toBe("Hi");
  });

  it("holds chunks without choices, and choices without a delta", async () => {
    local.server.script(
      answer(chunk({ choices: [] }), chunk({ id: "x" }), chunk({ choices: [{ index: 0 }] }), text("Hi")),
    );
    expect(textOf(await ask(local.model()))).toBe("Hi");
  });

  it("names no finish reason but says [DONE]", async () => {
    local.server.script(answer(text("Hi"), done()));
    expect((await ask(local.model())).at(-1)).toMatchObject({ type: "finish", finishReason: "stop" });
  });

  it("names a finish reason but never says [DONE]", async () => {
    const end = { choices: [{ index: 0, delta: { content: "Hi" }, finish_reason: "stop" }] };
    local.server.script(answer(raw(`data: ${JSON.stringify(end)}\n\n`)));
    const events = await ask(local.model());
    expect(textOf(events)).toBe("Hi");
    expect(events.at(-1)).toMatchObject({ type: "finish", finishReason: "stop" });
  });

  it("tells its usage in the last choice's own chunk", async () => {
    const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
    const end = { choices: [{ index: 0, delta: { content: "Hi" }, finish_reason: "stop" }], usage };
    local.server.script(answer(raw(`data: ${JSON.stringify(end)}\n\ndata: [DONE]\n\n`)));
    expect((await ask(local.model())).at(-1)).toEqual({
      type: "finish",
      finishReason: "stop",
      usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 },
    });
  });

  it("names its reasoning either way", async () => {
    local.server.script(
      answer(
        chunk({ choices: [{ index: 0, delta: { reasoning_content: "one " } }] }),
        chunk({ choices: [{ index: 0, delta: { reasoning: "two" } }] }),
        text("Hi"),
      ),
    );
    const events = await ask(local.model());
    expect(events.filter(({ type }) => type === "reasoning-delta")).toMatchObject([
      { delta: "one " },
      { delta: "two" },
    ]);
  });
});

describe("a body that is no stream", () => {
  it("is read whole, with its calls and its usage", async () => {
    local.server.script(
      json({
        choices: [
          {
            index: 0,
            message: {
              role: "assistant",
              content: "Let me see",
              tool_calls: [
                { id: "a", type: "function", function: { name: "one", arguments: '{"x":1}' } },
                { id: "b", type: "function", function: { name: "two", arguments: "{}" } },
              ],
            },
            finish_reason: "tool_calls",
          },
        ],
        usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
      }),
    );
    const events = await ask(local.model());
    expect(textOf(events)).toBe("Let me see");
    expect(calls(events)).toEqual([
      ["one", '{"x":1}'],
      ["two", "{}"],
    ]);
    expect(events.at(-1)).toMatchObject({ finishReason: "tool-calls", usage: { totalTokens: 5 } });
  });

  it("is a refusal where it says so", async () => {
    local.server.script(
      json({ choices: [{ message: { content: null, refusal: "No." }, finish_reason: "stop" }] }),
    );
    expect((await ask(local.model())).at(-1)).toMatchObject({ finishReason: "refusal" });
  });
});
