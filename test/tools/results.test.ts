// What a tool may give back, and what the model reads of it.

import { image, type ToolContext } from "llmethod";
import { describe, expect, it } from "vitest";
import { only, useServer } from "../models/local.ts";
import { call, loose, play } from "./play.ts";

const local = useServer();

describe("a result", () => {
  it.each([
    ["a string as it is", 'plain "text"\n', 'plain "text"\n'],
    ["an empty string", "", ""],
    ["a number", 42, "42"],
    ["zero", 0, "0"],
    ["false", false, "false"],
    ["null", null, "null"],
    ["an array", [1, "a", null], '[1,"a",null]'],
    ["an empty array", [], "[]"],
    ["an object", { a: { b: [1] } }, '{"a":{"b":[1]}}'],
    ["a date", new Date(0), '"1970-01-01T00:00:00.000Z"'],
    ["an instance that says its JSON", { toJSON: () => ({ id: 7 }) }, '{"id":7}'],
    ["a text part's look-alike", { type: "text", text: 5 }, '{"type":"text","text":5}'],
    [
      "a file part's look-alike",
      [{ type: "file", file: "report.pdf" }],
      '[{"type":"file","file":"report.pdf"}]',
    ],
    [
      "an image part's look-alike",
      { type: "image_url", image_url: "x.png" },
      '{"type":"image_url","image_url":"x.png"}',
    ],
  ])("is %s", async (_name, output, content) => {
    const { results, events, outcome } = await play(local, [loose("give", () => output)], [call("give")]);
    expect(results).toEqual([content]);
    expect(outcome.status).toBe("completed");
    const [end] = only(events, "tool-end");
    expect(end).toMatchObject({ status: "ok", toolName: "give", callId: "give" });
    expect(end?.output).toEqual(typeof output === "string" ? output : JSON.parse(content));
    expect(end).not.toHaveProperty("error");
  });

  it("of undefined says that it is done", async () => {
    const { results, events } = await play(local, [loose("give", () => {})], [call("give")]);
    expect(results).toEqual(["done"]);
    expect(only(events, "tool-end")).toMatchObject([{ status: "ok", output: null }]);
  });

  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;

  it.each([
    ["a bigint", 10n],
    ["a cycle", cyclic],
    ["a bigint inside", { n: 10n }],
    ["a function", () => {}],
    ["a symbol", Symbol("s")],
  ])("of %s is an error that the model reads", async (_name, output) => {
    const { results, events, outcome } = await play(local, [loose("give", () => output)], [call("give")]);
    expect(results[0]).toMatch(/^Error: .*JSON/);
    expect(only(events, "tool-end")).toMatchObject([{ status: "error" }]);
    expect(outcome).toMatchObject({ status: "completed", value: "done" });
  });

  it("is a promise's value", async () => {
    const { results } = await play(local, [loose("give", async () => ({ later: true }))], [call("give")]);
    expect(results).toEqual(['{"later":true}']);
  });

  it("is a copy: what the tool changes later does not reach the events", async () => {
    const kept = { list: [1] };
    const { events } = await play(local, [loose("give", () => kept)], [call("give")]);
    kept.list.push(2);
    expect(only(events, "tool-end")[0]?.output).toEqual({ list: [1] });
  });

  it("may be large", async () => {
    const big = "x".repeat(2_000_000);
    const { results } = await play(local, [loose("give", () => big)], [call("give")]);
    expect(results).toEqual([big]);
  });

  it("of text parts is the tool message's content", async () => {
    const parts = [
      { type: "text", text: "one" },
      { type: "text", text: "two" },
    ];
    const { results } = await play(local, [loose("give", () => parts)], [call("give")]);
    expect(results).toEqual([parts]);
  });

  it("with an image puts the image into a user message behind all results of the turn", async () => {
    const picture = image("https://example.com/chart.png");
    const toolkit = [
      loose("draw", () => [{ type: "text", text: "A chart" }, picture]),
      loose("give", () => "plain"),
    ];
    const { messages, outcome, results } = await play(local, toolkit, [call("draw"), call("give")]);
    expect(messages.map(({ role }) => role)).toEqual(["user", "assistant", "tool", "tool", "user"]);
    expect(messages.at(-1)).toEqual({ role: "user", content: [picture] });
    expect(results[0]).toMatchObject([{ type: "text", text: "A chart" }, { type: "text" }]);
    expect(outcome.history.slice(0, 5)).toEqual(messages);
  });

  it("of an image alone still has a text in its tool message", async () => {
    const picture = image(new Uint8Array([1, 2, 3]));
    const { messages, results } = await play(local, [loose("draw", () => picture)], [call("draw")]);
    expect(results[0]).toMatchObject([{ type: "text" }]);
    expect(messages.at(-1)).toEqual({ role: "user", content: [picture] });
  });

  it("of two tools with images keeps call order in one message", async () => {
    const pictures = [image("https://example.com/1.png"), image("https://example.com/2.png")];
    const slow = async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      return pictures[0];
    };
    const toolkit = [loose("slow", slow), loose("fast", () => pictures[1])];
    const { messages } = await play(local, toolkit, [call("slow"), call("fast")]);
    expect(messages.at(-1)).toEqual({ role: "user", content: pictures });
  });
});

describe("what a tool is given", () => {
  it("is its ids, its name, the call's context and a signal", async () => {
    const seen: ToolContext[] = [];
    const context = { user: { id: 7 } };
    const toolkit = [loose("look", (_input, given) => void seen.push(given))];
    const { outcome } = await play(local, toolkit, [call("look", {}, "call_9")], { context, runId: "run-9" });
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({ runId: "run-9", callId: "call_9", toolName: "look" });
    expect(seen[0]?.context).toBe(context);
    expect(seen[0]?.abortSignal).toBeInstanceOf(AbortSignal);
    expect(seen[0]?.abortSignal.aborted).toBe(false);
    expect(outcome.runId).toBe("run-9");
  });

  it("is the same call id that the events and the history name, for each call", async () => {
    const seen: string[] = [];
    const toolkit = [loose("look", (_input, { callId }) => void seen.push(callId))];
    const { events, messages } = await play(local, toolkit, [call("look", {}, "a"), call("look", {}, "b")]);
    expect(seen).toEqual(["a", "b"]);
    expect(only(events, "tool-start").map(({ callId }) => callId)).toEqual(seen);
    expect(messages.flatMap((item) => (item.role === "tool" ? [item.tool_call_id] : []))).toEqual(seen);
  });
});

describe("emit", () => {
  it("sends progress between the start and the end", async () => {
    const toolkit = [
      loose("work", (_input, { emit }) => {
        emit({ percent: 50 });
        emit("half");
        emit(null);
        return "ok";
      }),
    ];
    const { events } = await play(local, toolkit, [call("work")]);
    const types = events
      .map(({ type }) => type)
      .filter((type) => type.startsWith("tool-") && type !== "tool-input-delta");
    expect(types).toEqual(["tool-start", "tool-progress", "tool-progress", "tool-progress", "tool-end"]);
    expect(only(events, "tool-progress").map(({ data }) => data)).toEqual([{ percent: 50 }, "half", null]);
  });

  it("copies what it is given", async () => {
    const state = { percent: 0 };
    const toolkit = [
      loose("work", async (_input, { emit }) => {
        for (state.percent of [1, 2, 3]) emit(state);
      }),
    ];
    const { events } = await play(local, toolkit, [call("work")]);
    expect(only(events, "tool-progress").map(({ data }) => data)).toEqual([
      { percent: 1 },
      { percent: 2 },
      { percent: 3 },
    ]);
  });

  it("refuses what is no JSON, as an error of the tool", async () => {
    const { events, results } = await play(
      local,
      [loose("work", (_input, { emit }) => emit(10n))],
      [call("work")],
    );
    expect(only(events, "tool-progress")).toEqual([]);
    expect(results[0]).toMatch(/emit/);
  });

  it("is silent once the call is over", async () => {
    let late = (_data: unknown) => {};
    const toolkit = [
      loose("work", (_input, { emit }) => {
        late = emit;
      }),
      loose(
        "next",
        async () => {
          late("too late");
          await new Promise((resolve) => setTimeout(resolve, 5));
        },
        { parallel: false },
      ),
    ];
    const { events } = await play(local, toolkit, [call("work"), call("next")]);
    expect(only(events, "tool-progress")).toEqual([]);
  });
});
