// Every way for a tool call to fail goes back to the model as its result, and no run ends by it.

import { llmFunction, prompt, tool } from "llmethod";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { eventsOf, only, useServer } from "../models/local.ts";
import { answer, finish, text, toolCall } from "../support/server.ts";
import { call, loose, play } from "./play.ts";

const local = useServer();

describe("a call that cannot be made", () => {
  const add = tool({
    name: "add",
    description: "Adds",
    input: z.object({ a: z.number(), b: z.object({ c: z.array(z.int()) }).optional() }),
    execute: () => {
      throw new Error("never called");
    },
  });

  it("of an unknown tool tells the tools that there are", async () => {
    const { results, events } = await play(local, [add], [call("subtract")]);
    expect(results[0]).toMatch(/no tool "subtract".*add/s);
    expect(only(events, "tool-start")).toMatchObject([{ toolName: "subtract" }]);
    expect(only(events, "tool-end")).toMatchObject([{ toolName: "subtract", status: "error" }]);
  });

  it.each(["__proto__", "constructor", "toString", "hasOwnProperty"])(
    "of %s is unknown too",
    async (name) => {
      const { results, outcome } = await play(local, [add], [call(name)]);
      expect(results[0]).toMatch(`no tool "${name}"`);
      expect(outcome.status).toBe("completed");
    },
  );

  it("with input that does not fit tells every issue with its path", async () => {
    const { results, events } = await play(local, [add], [call("add", { a: "one", b: { c: [1, 2.5] } })]);
    expect(results[0]).toMatch(/- a: .*\n- b\.c\.1: /);
    expect(only(events, "tool-end")).toMatchObject([
      { status: "error", error: expect.stringContaining("- a: ") },
    ]);
    expect(only(events, "tool-start")).toMatchObject([{ input: { a: "one", b: { c: [1, 2.5] } } }]);
  });

  it.each(['{"a": 1', "not json", "{'a': 1}", '{"a": 1}}'])(
    "with the arguments %s is not repaired",
    async (input) => {
      const { results, events, outcome } = await play(local, [add], [call("add", input)]);
      expect(results[0]).toMatch(/not valid JSON/);
      expect(only(events, "tool-start")).toMatchObject([{ input }]);
      const sent = outcome.history[1];
      const given = sent?.role === "assistant" ? sent.tool_calls?.[0] : undefined;
      const kept = given?.type === "function" ? JSON.parse(given.function.arguments) : undefined;
      expect(kept).toEqual({ invalid_arguments: input });
    },
  );

  it.each(["[1]", "5", "null", '"text"'])("with arguments that are no object: %s", async (input) => {
    const { results } = await play(local, [add], [call("add", input)]);
    expect(results[0]).toMatch(/^Error: /);
  });

  it("in a turn with good ones leaves those alone", async () => {
    const toolkit = [add, loose("fine", () => "ok")];
    const { results } = await play(local, toolkit, [
      call("fine", {}, "1"),
      call("add", "oops"),
      call("nope"),
      call("fine", {}, "2"),
    ]);
    expect(results).toEqual(["ok", expect.stringMatching(/JSON/), expect.stringMatching(/no tool/), "ok"]);
  });

  it("because its schema throws is an error result as well", async () => {
    const strange = tool({
      name: "strange",
      description: "Its schema throws",
      input: z.object({
        a: z.number().transform((): number => {
          throw new Error("the schema broke");
        }),
      }),
      execute: () => "never",
    });
    const { results, outcome } = await play(
      local,
      [strange, loose("fine", () => "ok")],
      [call("strange", { a: 1 }), call("fine")],
    );
    expect(outcome.status).toBe("completed");
    expect(results).toEqual([expect.stringMatching(/^Error: .*the schema broke/s), "ok"]);
  });
});

describe("a call that may be made", () => {
  it("with empty arguments gets an empty object", async () => {
    for (const input of ["", "  ", "{}"]) {
      local.server.reset();
      const { results } = await play(local, [loose("look", (given) => given)], [call("look", input)]);
      expect(results).toEqual(["{}"]);
    }
  });

  it("of a tool without input ignores what the model sends along", async () => {
    const now = tool({ name: "now", description: "The time", execute: (input) => input });
    const { results } = await play(local, [now], [call("now", { zone: "utc" })]);
    expect(results).toEqual(["{}"]);
  });

  it("gets the validated input: defaults, transforms, nulls for optionals", async () => {
    const convert = tool({
      name: "convert",
      description: "Converts",
      input: z.object({
        n: z.int().default(3),
        t: z.string().transform((t) => t.length),
        o: z.string().optional(),
      }),
      execute: (input) => input,
    });
    const { results } = await play(local, [convert], [call("convert", { t: "four", o: null })]);
    expect(JSON.parse(String(results[0]))).toEqual({ n: 3, t: 4 });
  });

  it("of a tool named constructor works", async () => {
    const toolkit = [loose("constructor", () => "built"), loose("__proto__", () => "proto")];
    const { results } = await play(local, toolkit, [call("constructor"), call("__proto__")]);
    expect(results).toEqual(["built", "proto"]);
  });
});

describe("a tool that throws", () => {
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;

  it.each([
    ["an error", new Error("the disk is full"), "Error: the disk is full"],
    ["an error without a message", new RangeError(), "Error: RangeError"],
    ["a string", "just so", "Error: just so"],
    ["undefined", undefined, "Error: undefined"],
    ["null", null, "Error: null"],
    ["a number", 7, "Error: 7"],
    ["an object", { code: 5 }, 'Error: {"code":5}'],
    ["a cyclic object", cyclic, "Error: [object Object]"],
    [
      "a cyclic object without a prototype",
      Object.assign(Object.create(null), cyclic),
      expect.stringMatching(/^Error: /),
    ],
    ["a symbol", Symbol("odd"), "Error: Symbol(odd)"],
    ["an abort error of its own", new DOMException("gave up", "AbortError"), "Error: gave up"],
  ])("%s tells it to the model", async (_name, thrown, content) => {
    const toolkit = [
      loose("throws", () => {
        throw thrown;
      }),
      loose("rejects", () => Promise.reject(thrown)),
    ];
    const { results, events, outcome } = await play(local, toolkit, [call("throws"), call("rejects")]);
    expect(results).toEqual([content, content]);
    expect(only(events, "tool-end").map(({ status }) => status)).toEqual(["error", "error"]);
    expect(outcome).toMatchObject({ status: "completed", patches: [] });
  });
});

describe("arguments that were cut off by the output limit", () => {
  it("are never executed, and neither are the calls before them", async () => {
    let executed = 0;
    const toolkit = [loose("act", () => ++executed)];
    local.server.script(
      answer(
        toolCall({ id: "a", name: "act", arguments: "{}" }),
        toolCall({ id: "b", name: "act", arguments: '{"all": tru' }),
        finish("length"),
      ),
    );
    const stream = llmFunction({ model: local.model(), toolkit })(() => prompt`Go`).stream();
    const events = await eventsOf(stream);
    const outcome = await stream.outcome;
    expect(outcome).toMatchObject({ status: "error", error: { code: "length" } });
    expect(executed).toBe(0);
    expect(only(events, "tool-start")).toEqual([]);
    expect(outcome.patches).toMatchObject([
      { kind: "call-cancelled", callId: "a", state: "not-started" },
      { kind: "call-dropped", toolName: "act" },
    ]);
  });

  it("are not executed where they happen to be whole JSON", async () => {
    let executed = 0;
    local.server.script(answer(toolCall({ id: "a", name: "act", arguments: "{}" }), finish("length")));
    const toolkit = [loose("act", () => ++executed)];
    const outcome = await llmFunction({ model: local.model(), toolkit })(() => prompt`Go`)().outcome;
    expect(outcome.status).toBe("error");
    expect(executed).toBe(0);
  });

  it("are not executed where the content filter cut them", async () => {
    let executed = 0;
    local.server.script(
      answer(toolCall({ id: "a", name: "act", arguments: '{"x' }), finish("content_filter")),
    );
    const toolkit = [loose("act", () => ++executed)];
    const outcome = await llmFunction({ model: local.model(), toolkit })(() => prompt`Go`)().outcome;
    expect(outcome).toMatchObject({ status: "error", error: { code: "content_filter" } });
    expect(executed).toBe(0);
    expect(outcome.patches).toMatchObject([{ kind: "call-dropped", toolName: "act" }]);
  });
});

describe("call ids that the model repeats", () => {
  it("in one turn are told apart, and every call runs", async () => {
    const seen: unknown[] = [];
    const toolkit = [loose("look", (input, { callId }) => void seen.push([input, callId]))];
    const { events, outcome, results } = await play(local, toolkit, [
      call("look", { n: 1 }, "same"),
      call("look", { n: 2 }, "same"),
    ]);
    expect(results).toHaveLength(2);
    expect(seen.map((item) => (item as unknown[])[0])).toEqual([{ n: 1 }, { n: 2 }]);
    expect(new Set(only(events, "tool-start").map(({ callId }) => callId)).size).toBe(2);
    expect(outcome.status).toBe("completed");
  });

  it("in later turns are told apart", async () => {
    local.server.script(
      ...[1, 2, 3].map((n) => answer(toolCall({ id: "same", name: "look", arguments: `{"n":${n}}` }))),
      answer(text("done")),
    );
    const seen: string[] = [];
    const toolkit = [loose("look", (_input, { callId }) => void seen.push(callId))];
    const outcome = await llmFunction({ model: local.model(), toolkit })(() => prompt`Go`)().outcome;
    expect(outcome.status).toBe("completed");
    expect(seen).toEqual(["same", "same_2", "same_3"]);
  });

  it("of the given history are told apart", async () => {
    const first = await play(local, [loose("look", () => 1)], [call("look", {}, "same")]);
    local.server.reset();
    const second = await play(local, [loose("look", () => 2)], [call("look", {}, "same")], {
      history: first.outcome.history,
    });
    expect(only(second.events, "tool-start")).toMatchObject([{ callId: "same_2" }]);
  });

  it("and that are longer than OpenAI takes are cut", async () => {
    const id = "call_".padEnd(64, "x");
    const { outcome } = await play(local, [loose("look", () => 1)], [call("look", {}, id)]);
    expect(outcome.status).toBe("completed");
  });
});
