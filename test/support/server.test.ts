// Proves the local OpenAI server itself, since every other test trusts what it says.

import { setTimeout as sleep } from "node:timers/promises";
import OpenAI from "openai";
import type { ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  answer,
  argumentsOf,
  checkpoint,
  chunk,
  coalesced,
  cut,
  delay,
  drop,
  finish,
  finishReason,
  hang,
  hangBeforeHeaders,
  httpError,
  json,
  noUsage,
  type OpenAiServer,
  raw,
  reasoning,
  refusal,
  slowHeaders,
  sseError,
  startServer,
  text,
  toolCall,
} from "./server.ts";

const hello: ChatCompletionCreateParamsStreaming = {
  model: "gpt-test",
  messages: [{ role: "user", content: "Hello" }],
  stream: true,
};

let server: OpenAiServer;
let client: OpenAI;

beforeEach(async () => {
  server = await startServer();
  client = new OpenAI({ apiKey: "sk-test", baseURL: server.url, maxRetries: 0 });
});

afterEach(() => server.close());

async function chunksOf(params = hello, options?: { signal: AbortSignal }) {
  const chunks: OpenAI.ChatCompletionChunk[] = [];
  for await (const part of await client.chat.completions.create(params, options)) chunks.push(part);
  return chunks;
}

const textOf = (chunks: readonly OpenAI.ChatCompletionChunk[]) =>
  chunks.map((part) => part.choices[0]?.delta.content ?? "").join("");

describe("a streamed answer", () => {
  test("carries its deltas, its finish reason and the usage that was asked for", async () => {
    server.script(answer(text("Hel", "lo"), finish("stop", { prompt_tokens: 7 })));
    const chunks = await chunksOf({ ...hello, stream_options: { include_usage: true } });
    expect(chunks.map((part) => part.choices[0]?.delta.content)).toEqual([
      "",
      "Hel",
      "lo",
      undefined,
      undefined,
    ]);
    expect(chunks[0]?.choices[0]?.delta.role).toBe("assistant");
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe("stop");
    expect(chunks.at(-1)?.usage).toMatchObject({ prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 });
    await server.requests[0]?.answered;
    expect(await server.requests[0]?.closed).toMatchObject({ early: false });
    server.verify();
  });

  test("sends no usage where none was asked for, or where the script has none", async () => {
    server.script(answer(text("a")), answer(text("a"), finish("length", noUsage)));
    const unasked = await chunksOf();
    const untold = await chunksOf({ ...hello, stream_options: { include_usage: true } });
    expect([...unasked, ...untold].every((part) => !part.usage)).toBe(true);
    expect(untold.at(-1)?.choices[0]?.finish_reason).toBe("length");
  });

  test("counts cached and reasoning tokens", async () => {
    const cached = { prompt_tokens_details: { cached_tokens: 3 } };
    server.script(answer(reasoning("12345678"), text("1234"), finish("stop", cached)));
    const usage = (await chunksOf({ ...hello, stream_options: { include_usage: true } })).at(-1)?.usage;
    expect(usage?.prompt_tokens_details?.cached_tokens).toBe(3);
    expect(usage?.completion_tokens).toBe(3);
    expect(usage?.completion_tokens_details?.reasoning_tokens).toBe(2);
  });

  test("sends tool calls as OpenAI does: id and name first, then fragments only", async () => {
    server.script(
      answer(
        toolCall({ id: "call_a", name: "find", arguments: ['{"q":', "1}"] }),
        toolCall({ id: "call_b", name: "read", arguments: "" }),
        argumentsOf(1, "{}"),
      ),
    );
    const chunks = await chunksOf();
    const calls = chunks.flatMap((part) => part.choices[0]?.delta.tool_calls ?? []);
    expect(chunks[0]?.choices[0]?.delta).toMatchObject({ role: "assistant", content: null });
    expect(calls).toEqual([
      { index: 0, id: "call_a", type: "function", function: { name: "find", arguments: "" } },
      { index: 0, function: { arguments: '{"q":' } },
      { index: 0, function: { arguments: "1}" } },
      { index: 1, id: "call_b", type: "function", function: { name: "read", arguments: "" } },
      { index: 1, function: { arguments: "" } },
      { index: 1, function: { arguments: "{}" } },
    ]);
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe("tool_calls");
  });

  test("is understood by the SDK's own accumulator", async () => {
    server.script(answer(text("Let me"), toolCall({ id: "call_a", name: "find", arguments: ["{", "}"] })));
    const { stream: _, ...params } = hello;
    const final = await client.chat.completions.stream(params).finalChatCompletion();
    expect(final.choices[0]?.message).toMatchObject({
      content: "Let me",
      tool_calls: [{ id: "call_a", function: { name: "find", arguments: "{}" } }],
    });
  });

  test("carries refusals, raw bytes and chunks of any kind", async () => {
    server.script(answer(refusal("I ", "cannot"), finish("stop")));
    const refused = await chunksOf();
    expect(refused.map((part) => part.choices[0]?.delta.refusal ?? "").join("")).toBe("I cannot");
    server.script(answer(raw(": a comment\n\n"), chunk({ choices: [], odd: true }), raw("data: [DONE]\n\n")));
    expect(await chunksOf()).toEqual([{ choices: [], odd: true }]);
  });

  test("can break: an error event, a cut body, no [DONE], a destroyed socket", async () => {
    server.script(
      answer(text("a"), sseError({ message: "The server had an error", type: "server_error" })),
      answer(text("a"), cut()),
      answer(text("a"), finishReason("stop")),
      answer(text("a"), drop()),
    );
    await expect(chunksOf()).rejects.toThrow("The server had an error");
    const cutOff = await chunksOf();
    expect(textOf(cutOff)).toBe("a");
    expect(cutOff.every((part) => part.choices[0]?.finish_reason === null)).toBe(true);
    expect((await chunksOf()).at(-1)?.choices[0]?.finish_reason).toBe("stop");
    await expect(chunksOf()).rejects.toThrow();
    for (const request of server.requests) expect((await request.closed).early).toBe(false);
    expect(server.earlyCloses).toBe(0);
  });

  test("may be coalesced into few writes", async () => {
    const wait = checkpoint();
    server.script(coalesced(answer(text("a", "b"), wait.step, text("c", "d"))));
    const all = chunksOf();
    await wait.reached;
    wait.open();
    expect(textOf(await all)).toBe("abcd");
  });
});

describe("an answer in one piece", () => {
  const { stream: _, ...whole } = hello;

  test("gathers the same script into one JSON body", async () => {
    server.script(
      answer(text("Hel", "lo"), toolCall({ id: "call_a", name: "find", arguments: ["{", "}"] }), delay(1)),
    );
    const completion = await client.chat.completions.create(whole);
    expect(completion.choices[0]).toMatchObject({
      finish_reason: "tool_calls",
      message: {
        role: "assistant",
        content: "Hello",
        tool_calls: [{ id: "call_a", type: "function", function: { name: "find", arguments: "{}" } }],
      },
    });
    expect(completion.usage?.total_tokens).toBeGreaterThan(0);
  });

  test("is any status, header or body that the script names", async () => {
    server.script(
      httpError(429, { message: "Rate limit reached", code: "rate_limit_exceeded" }, { "retry-after": "2" }),
      json({ id: "x" }),
      slowHeaders(20, json({ id: "y" })),
    );
    const error = await client.chat.completions.create(whole).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(OpenAI.RateLimitError);
    expect(error).toMatchObject({ status: 429, code: "rate_limit_exceeded", type: "requests" });
    expect((error as InstanceType<typeof OpenAI.RateLimitError>).headers?.get("retry-after")).toBe("2");
    expect(await client.chat.completions.create(whole)).toMatchObject({ id: "x" });
    const start = performance.now();
    expect(await client.chat.completions.create(whole)).toMatchObject({ id: "y" });
    expect(performance.now() - start).toBeGreaterThan(18);
  });
});

describe("a client that leaves", () => {
  test.each([
    ["before the headers", () => hangBeforeHeaders()],
    ["while the headers are slow", () => slowHeaders(60_000, answer())],
    ["before the first chunk", () => answer(hang())],
    ["in the middle of the text", () => answer(text("a"), hang())],
    ["while the stream is delayed", () => answer(text("a"), delay(60_000))],
    [
      "inside a tool call's arguments",
      () => answer(toolCall({ id: "c", name: "f", arguments: ['{"', hang(), "}"] })),
    ],
  ])("is seen within a few milliseconds %s", async (_name, script) => {
    server.script(script());
    const controller = new AbortController();
    const all = chunksOf(hello, { signal: controller.signal }).catch(() => "aborted");
    const request = await server.arrival();
    await sleep(20);
    const aborted = performance.now();
    controller.abort();
    const { at, early } = await request.closed;
    expect(early).toBe(true);
    expect(at - aborted).toBeLessThan(200);
    await request.answered;
    await all;
    await expect.poll(() => server.openSockets).toBe(0);
    expect(server.earlyCloses).toBe(1);
    server.verify();
  });

  test("is not early after [DONE], even where the server keeps the stream open", async () => {
    server.script(answer(text("a"), finish("stop"), hang()));
    const controller = new AbortController();
    const all = chunksOf(hello, { signal: controller.signal }).catch(() => []);
    const request = await server.arrival();
    await sleep(20);
    controller.abort();
    expect((await request.closed).early).toBe(false);
    await all;
  });

  test("may leave by breaking out of its loop", async () => {
    server.script(answer(text("a", "b"), hang()));
    for await (const part of await client.chat.completions.create(hello)) {
      if (part.choices[0]?.delta.content === "b") break;
    }
    expect((await server.requests[0]?.closed)?.early).toBe(true);
  });
});

describe("a checkpoint", () => {
  test("holds the stream until it is opened, with all before it already sent", async () => {
    const middle = checkpoint();
    server.script(answer(text("before"), middle.step, text(" after")));
    const seen: string[] = [];
    const reading = (async () => {
      for await (const part of await client.chat.completions.create(hello))
        seen.push(part.choices[0]?.delta.content ?? "");
    })();
    await middle.reached;
    await sleep(20);
    expect(seen.join("")).toBe("before");
    middle.open();
    await reading;
    expect(seen.join("")).toBe("before after");
  });

  test("does not hold where it was opened before", async () => {
    const early = checkpoint();
    early.open();
    server.script(answer(early.step, text("a")));
    expect(textOf(await chunksOf())).toBe("a");
  });
});

describe("the record", () => {
  test("holds each request's body, headers and time", async () => {
    server.script(answer(text("a")));
    await chunksOf();
    const [request] = server.requests;
    expect(request?.body).toEqual(hello);
    expect(request?.headers.authorization).toBe("Bearer sk-test");
    expect(request?.at).toBeLessThan(performance.now());
  });

  test("names a request that no script expects", async () => {
    await expect(chunksOf()).rejects.toThrow("500 unexpected request");
    expect(server.problems).toHaveLength(1);
    expect(() => server.verify()).toThrow("unexpected request");
  });

  test("names answers that nobody has asked for", () => {
    server.script(answer(), answer());
    expect(() => server.verify()).toThrow("2 scripted answer(s) unused");
  });

  test("is empty after a reset, and what still hangs is cut without blame", async () => {
    server.script(answer(text("a"), hang()));
    const cutOff = chunksOf().catch(() => "cut");
    const request = await server.arrival();
    server.script(answer());
    server.reset();
    expect(await cutOff).toBe("cut");
    expect((await request.closed).early).toBe(false);
    expect([server.requests.length, server.earlyCloses, server.problems.length]).toEqual([0, 0, 0]);
    server.verify();
  });

  test("refuses a request without a key, to another address, or without JSON", async () => {
    const url = `${server.url}/chat/completions`;
    const headers = { authorization: "Bearer sk-test" };
    expect((await fetch(url, { method: "POST", body: JSON.stringify(hello) })).status).toBe(401);
    expect((await fetch(`${server.url}/responses`, { method: "POST", headers, body: "{}" })).status).toBe(
      404,
    );
    expect((await fetch(url, { method: "POST", headers, body: "{" })).status).toBe(400);
    expect(server.problems).toHaveLength(3);
    expect(server.requests).toHaveLength(3);
  });

  test("answers what is strictly invalid with 400, and keeps the script for the next", async () => {
    server.script(answer(text("a")));
    await expect(chunksOf({ ...hello, messages: [] })).rejects.toMatchObject({
      status: 400,
      code: "empty_array",
      param: "messages",
    });
    expect(server.problems[0]).toContain("Invalid 'messages': empty array.");
    expect(textOf(await chunksOf())).toBe("a");
  });
});

test("a handler answers any number of requests at once", async () => {
  server.handle((_request, index) => answer(text(`answer ${index}`)));
  const texts = await Promise.all(Array.from({ length: 200 }, async () => textOf(await chunksOf())));
  expect(new Set(texts).size).toBe(200);
  expect(server.requests).toHaveLength(200);
  server.verify();
});

test("a handler that throws is a problem, and its client is cut off", async () => {
  server.handle(() => {
    throw new Error("no idea");
  });
  await expect(chunksOf()).rejects.toThrow();
  expect(server.problems).toEqual(["a scripted answer failed: Error: no idea"]);
});

test("an older server refuses parameters that it does not know, and that is no problem of ours", async () => {
  await using old = await startServer({ refuse: ["stream_options", "response_format.json_schema"] });
  client = new OpenAI({ apiKey: "sk-test", baseURL: old.url, maxRetries: 0 });
  old.script(answer(text("a")));
  await expect(chunksOf({ ...hello, stream_options: { include_usage: true } })).rejects.toMatchObject({
    status: 400,
    message: "400 Unknown parameter: 'stream_options'.",
    code: "unknown_parameter",
  });
  expect(textOf(await chunksOf({ ...hello, response_format: { type: "text" } }))).toBe("a");
  old.verify();
});

test("closing a server ends every stream, socket and timer of it", async () => {
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  const other = await startServer();
  const before = timers();
  const cuts = Array.from({ length: 20 }, (_, index) => {
    other.script(index % 2 === 0 ? answer(text("a"), delay(60_000)) : hangBeforeHeaders());
    return fetch(`${other.url}/chat/completions`, {
      method: "POST",
      headers: { authorization: "Bearer sk-test" },
      body: JSON.stringify(hello),
    })
      .then((response) => response.text())
      .catch(() => "cut");
  });
  await other.arrival(19);
  const seen = other.requests;
  await other.close();
  expect(await Promise.all(cuts)).toEqual(cuts.map(() => "cut"));
  await Promise.all(seen.map((request) => request.answered));
  await sleep(5);
  expect(other.openSockets).toBe(0);
  expect(timers()).toBeLessThanOrEqual(before + 1);
});
