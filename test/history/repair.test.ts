// Each way in which a history is repaired, one by one, and what is no history at all.

import { type ChatMessage, llmChat, prompt, repairHistory, UsageError } from "llmethod";
import { describe, expect, it } from "vitest";
import { useServer } from "../models/local.ts";
import { answer, refusalOf, text } from "../support/server.ts";
import { frozen } from "./histories.ts";

const user = (content: string): ChatMessage => ({ role: "user", content });
const said = (content: string): ChatMessage => ({ role: "assistant", content });
const result = (id: string, content: string): ChatMessage => ({ role: "tool", tool_call_id: id, content });
const calls = (
  ids: readonly string[],
  more: { content?: string | null; input?: string } = {},
): ChatMessage => ({
  role: "assistant",
  content: more.content ?? null,
  tool_calls: ids.map((id) => ({
    id,
    type: "function",
    function: { name: "find", arguments: more.input ?? "{}" },
  })),
});

const callOf = (id: string) => ({ id, type: "function", function: { name: "find", arguments: "{}" } });

function repaired(...messages: unknown[]) {
  const { history, patches } = repairHistory(frozen(messages) as ChatMessage[]);
  const refusal = history.length === 0 ? undefined : refusalOf({ model: "m", messages: history });
  expect(refusal?.message).toBeUndefined();
  return { history, patches };
}

const idsOf = (message: ChatMessage | undefined) =>
  message?.role === "assistant" ? message.tool_calls?.map(({ id }) => id) : undefined;

describe("a call without a result", () => {
  it("gets one that says that its outcome is unknown", () => {
    const { history, patches } = repaired(user("hi"), calls(["a", "b"]), result("a", "one"), user("and?"));
    expect(history).toHaveLength(5);
    expect(history[2]).toEqual(result("a", "one"));
    expect(history[3]).toMatchObject({
      role: "tool",
      tool_call_id: "b",
      content: expect.stringMatching(/unknown/),
    });
    expect(patches).toMatchObject([{ kind: "result-added", index: 1, callId: "b", toolName: "find" }]);
  });

  it("at the very end gets one as well", () => {
    const { history, patches } = repaired(calls(["a"], { content: "Let me see" }));
    expect(history).toHaveLength(2);
    expect(history[0]).toEqual(calls(["a"], { content: "Let me see" }));
    expect(patches.map(({ kind }) => kind)).toEqual(["result-added"]);
  });
});

describe("a result", () => {
  it("without its call goes, and the patch keeps what it said", () => {
    const { history, patches } = repaired(user("hi"), result("lost", "precious"), said("ok"));
    expect(history).toEqual([user("hi"), said("ok")]);
    expect(patches).toMatchObject([
      { kind: "result-dropped", index: 1, callId: "lost", content: "precious" },
    ]);
  });

  it("that comes twice goes the second time", () => {
    const { history, patches } = repaired(calls(["a"]), result("a", "one"), result("a", "two"));
    expect(history).toEqual([calls(["a"]), result("a", "one")]);
    expect(patches).toMatchObject([{ kind: "result-dropped", index: 2, content: "two" }]);
  });

  it("before its call goes, as nothing says that it belongs there", () => {
    const { history, patches } = repaired(result("a", "early"), calls(["a"]));
    expect(history).toHaveLength(2);
    expect(patches.map(({ kind }) => kind)).toEqual(["result-dropped", "result-added"]);
  });

  it("behind other messages moves to its call", () => {
    const { history, patches } = repaired(calls(["a"]), user("wait"), result("a", "one"));
    expect(history).toEqual([calls(["a"]), result("a", "one"), user("wait")]);
    expect(patches).toMatchObject([{ kind: "result-moved", index: 2, callId: "a" }]);
  });

  it("with empty content stays, as empty text", () => {
    const { history } = repaired(
      calls(["a", "b"]),
      { ...result("a", ""), content: null },
      { ...result("b", ""), content: [] },
    );
    expect(history.slice(1)).toEqual([result("a", ""), result("b", "")]);
  });

  it("in another order stays valid", () => {
    const { history, patches } = repaired(calls(["a", "b"]), result("b", "2"), result("a", "1"));
    expect(history).toEqual([calls(["a", "b"]), result("a", "1"), result("b", "2")]);
    expect(patches.filter(({ kind }) => kind.endsWith("dropped"))).toEqual([]);
  });
});

describe("call ids", () => {
  it("that are equal in one message are told apart, with their results in order", () => {
    const { history, patches } = repaired(calls(["a", "a"]), result("a", "1"), result("a", "2"));
    expect(idsOf(history[0])).toEqual(["a", "a_2"]);
    expect(history.slice(1)).toEqual([result("a", "1"), result("a_2", "2")]);
    expect(patches).toMatchObject([{ kind: "call-renamed", index: 0, callId: "a", newCallId: "a_2" }]);
  });

  it("that come again in a later turn are told apart", () => {
    const { history, patches } = repaired(calls(["a"]), result("a", "1"), calls(["a"]), result("a", "2"));
    expect(history.map(idsOf)).toEqual([["a"], undefined, ["a_2"], undefined]);
    expect(history[3]).toEqual(result("a_2", "2"));
    expect(patches).toHaveLength(1);
  });

  it("that are empty get one", () => {
    const { history } = repaired(calls(["", ""]), result("", "1"), result("", "2"));
    expect(new Set(idsOf(history[0])).size).toBe(2);
    expect(history.slice(1).map(({ content }) => content)).toEqual(["1", "2"]);
  });

  it("that are longer than OpenAI takes are shortened, on both sides", () => {
    const long = "call_".padEnd(60, "x");
    const { history, patches } = repaired(
      calls([long, `${long}y`]),
      result(long, "1"),
      result(`${long}y`, "2"),
    );
    expect(history.slice(1).map(({ content }) => content)).toEqual(["1", "2"]);
    expect(patches.map(({ kind }) => kind)).toEqual(["call-renamed", "call-renamed"]);
  });

  it("take a renaming's name into account when it is taken", () => {
    const { history } = repaired(
      calls(["a", "a_2", "a"]),
      result("a", "1"),
      result("a_2", "2"),
      result("a", "3"),
    );
    expect(idsOf(history[0])).toEqual(["a", "a_2", "a_3"]);
    expect(history.slice(1).map(({ content }) => content)).toEqual(["1", "2", "3"]);
  });
});

describe("arguments", () => {
  it.each(['{"cut": tr', "plain words", "[1]", "7"])("that are no JSON object are wrapped: %s", (input) => {
    const { history, patches } = repaired(calls(["a"], { input }), result("a", "1"));
    const call = history[0]?.role === "assistant" ? history[0].tool_calls?.[0] : undefined;
    const kept = call?.type === "function" ? JSON.parse(call.function.arguments) : undefined;
    expect(kept).toEqual({ invalid_arguments: input });
    expect(patches).toMatchObject([{ kind: "arguments-replaced", index: 0, callId: "a", arguments: input }]);
  });

  it("that are empty are an empty object", () => {
    const { history } = repaired(calls(["a"], { input: "" }), result("a", "1"));
    expect(history[0]).toEqual(calls(["a"]));
  });
});

describe("an empty message", () => {
  it.each([
    ["an assistant without content", { role: "assistant", content: null }],
    ["an assistant with empty content", { role: "assistant", content: "" }],
    ["an assistant with no parts and no calls", { role: "assistant", content: [], tool_calls: [] }],
    ["an assistant that only has a role", { role: "assistant" }],
    ["a user without content", { role: "user", content: null }],
    ["a user without parts", { role: "user", content: [] }],
  ])("goes: %s", (_name, message) => {
    const { history, patches } = repaired(user("hi"), message, said("ok"));
    expect(history).toEqual([user("hi"), said("ok")]);
    expect(patches).toMatchObject([{ kind: "message-dropped", index: 1, role: message.role }]);
  });

  it("with an empty list of calls beside its text loses the list only", () => {
    const { history } = repaired({ ...said("hello"), tool_calls: [] });
    expect(history).toEqual([said("hello")]);
  });

  it("with calls beside no parts keeps its calls", () => {
    const { history } = repaired({ ...calls(["a"]), content: [] }, result("a", "1"));
    expect(idsOf(history[0])).toEqual(["a"]);
  });

  it("with a refusal or sound stays", () => {
    const messages = [
      { role: "assistant", content: null, refusal: "No." },
      { role: "assistant", content: null, audio: { id: "audio_1" } },
    ];
    expect(repaired(...messages)).toEqual({ history: messages, patches: [] });
  });
});

describe("old and foreign forms", () => {
  it("a function_call and its result become a tool call", () => {
    const { history } = repaired(
      user("hi"),
      { role: "assistant", content: null, function_call: { name: "find", arguments: '{"x":1}' } },
      { role: "function", name: "find", content: "found" },
      { role: "assistant", content: null, function_call: { name: "find", arguments: '{"x":2}' } },
      { role: "function", name: "find", content: "again" },
    );
    expect(history.map(({ role }) => role)).toEqual(["user", "assistant", "tool", "assistant", "tool"]);
    expect(history[2]?.content).toBe("found");
    expect(history[4]?.content).toBe("again");
    expect(new Set([...(idsOf(history[1]) ?? []), ...(idsOf(history[3]) ?? [])]).size).toBe(2);
  });

  it("a function's result without its call goes", () => {
    const { history, patches } = repaired(user("hi"), { role: "function", name: "find", content: "found" });
    expect(history).toEqual([user("hi")]);
    expect(patches).toMatchObject([{ kind: "result-dropped", content: "found" }]);
  });

  it("a function's result goes to the call of its own name", () => {
    const { history } = repaired(
      { role: "assistant", content: null, function_call: { name: "find", arguments: "{}" } },
      { role: "assistant", content: null, function_call: { name: "add", arguments: "{}" } },
      { role: "function", name: "find", content: "found" },
      { role: "function", name: "add", content: "added" },
    );
    expect(history.map(({ content }) => content)).toEqual([null, "found", null, "added"]);
  });

  it("a call of a custom tool reads as a function call with its input", () => {
    const { history } = repaired(
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "a", type: "custom", custom: { name: "sql", input: 'select "x"' } }],
      },
      result("a", "1 row"),
    );
    const call = history[0]?.role === "assistant" ? history[0].tool_calls?.[0] : undefined;
    expect(call).toEqual({
      id: "a",
      type: "function",
      function: { name: "sql", arguments: '{"input":"select \\"x\\""}' },
    });
    expect(history[1]).toEqual(result("a", "1 row"));
  });

  it("a provider's own data on an assistant message stays there", () => {
    const message = { role: "assistant", content: "hi", provider_data: { items: [{ id: "rs_1" }] } };
    expect(repairHistory([message as ChatMessage])).toEqual({ history: [message], patches: [] });
  });

  it("a half of an emoji, as a cut text leaves it, goes", () => {
    const { history } = repaired(said("smile \ud83d"), user("\ude00 back"));
    for (const { content } of history) expect(String(content).isWellFormed()).toBe(true);
  });
});

describe("what OpenAI does not take", () => {
  const calling = (call: object) => ({ role: "assistant", content: null, tool_calls: [call] });
  const named = (name: string) => calling({ id: "a", type: "function", function: { name, arguments: "{}" } });
  const image = { type: "image_url", image_url: { url: "https://example.com/a.png" } };

  it.each([
    ["the index of a streamed call", [calling({ ...callOf("a"), index: 0 }), result("a", "1")]],
    [
      "what an SDK adds to a call",
      [
        calling({ ...callOf("a"), function: { name: "find", arguments: "{}", parsed_arguments: {} } }),
        result("a", "1"),
      ],
    ],
    ["a call without a type", [calling({ id: "a", function: { name: "find", arguments: "{}" } })]],
    ["a call's name with a space", [named("my tool"), result("a", "1")]],
    ["a call without a name", [named(""), result("a", "1")]],
    ["a call's name that is too long", [named("x".repeat(80)), result("a", "1")]],
    ["an image in a tool's result", [calls(["a"]), { role: "tool", tool_call_id: "a", content: [image] }]],
    ["no parts beside a refusal", [{ role: "assistant", content: [], refusal: "No." }]],
    ["null for calls and refusal", [{ ...said("hi"), tool_calls: null, refusal: null, function_call: null }]],
  ])("comes back in a form that it takes: %s", (_name, messages) => {
    expect(repaired(...messages).history.length).toBeGreaterThan(0);
  });
});

describe("what is no history", () => {
  it.each([null, "text", 5, {}, { length: 1 }, new Map()])("is refused: %j", (messages) => {
    const repair = () => repairHistory(messages as ChatMessage[]);
    expect(repair).toThrow(UsageError);
    expect(repair).toThrow(expect.objectContaining({ code: "invalid_history" }));
    expect(repair).toThrow(TypeError);
  });

  it.each([
    ["a string", "hello"],
    ["null", null],
    ["an array", []],
    ["an unknown role", { role: "robot", content: "x" }],
    ["no role", { content: "x" }],
    ["a role named like a property", { role: "constructor", content: "x" }],
    ["content that is a number", { role: "user", content: 5 }],
    ["content that is an object", { role: "user", content: { text: "x" } }],
    ["parts without a type", { role: "user", content: [{ text: "x" }] }],
    ["a result without an id", { role: "tool", content: "x" }],
    ["a function's result without a name", { role: "function", content: "x" }],
    ["calls that are no array", { role: "assistant", tool_calls: { a: 1 } }],
    ["a call without a function", { role: "assistant", tool_calls: [{ id: "a", type: "function" }] }],
    [
      "a call whose arguments are no text",
      {
        role: "assistant",
        tool_calls: [{ id: "a", type: "function", function: { name: "f", arguments: {} } }],
      },
    ],
    ["a function_call that is none", { role: "assistant", function_call: "find" }],
  ])("has no such message: %s", (_name, message) => {
    const repair = () => repairHistory([user("hi"), message as ChatMessage]);
    expect(repair).toThrow(UsageError);
    expect(repair).toThrow(expect.objectContaining({ code: "invalid_message" }));
    expect(repair).toThrow(/Message 1 /);
  });

  it("is told at the call, before anything is sent", () => {
    const chat = llmChat({ model: local.model() })((_message: string, _options?: object) => prompt`Hi`);
    expect(() => chat("hi", { history: [{ role: "robot" }] })).toThrow(/unknown role "robot"/);
    expect(local.server.requests).toHaveLength(0);
  });
});

const local = useServer();

describe("a broken history in a call", () => {
  it("is repaired before it is sent, its patches are told, and the given array stays as it was", async () => {
    local.server.script(answer(text("ok")));
    const history = frozen([user("hi"), calls(["a"]), user("hello?")]);
    const chat = llmChat({ model: local.model() })((_message: string, _options?: object) => prompt`Be kind`);
    const reply = await chat("more", { history });
    expect(reply.patches).toMatchObject([{ kind: "result-added", index: 1, callId: "a" }]);
    expect(reply.history).toHaveLength(6);
    expect(reply.history.slice(0, 2)).toEqual(history.slice(0, 2));
  });
});
