// The Chat Completions model as a run sees it: what it sends, what it streams, what it costs.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { ChatMessage } from "llmethod";
import { image, llmChat, llmFunction, ModelError, openai, prompt, UsageError } from "llmethod";
import { OpenAI } from "openai";
import { describe, expect, it, vi } from "vitest";
import { answer, finish, noUsage, reasoning, refusal, text, toolCall } from "../support/server.ts";
import { ask, rejection, textOf, useServer } from "./local.ts";

const local = useServer();
const toolCallOf = (id: string) => ({ id, type: "function", function: { name: "find", arguments: "{}" } });

describe("an answer", () => {
  it("streams delta by delta and asks for usage", async () => {
    local.server.script(answer(text("Hel", "lo ", "there")));
    const events = await ask(local.model());
    expect(events.slice(0, 3)).toEqual([
      { type: "text-delta", delta: "Hel" },
      { type: "text-delta", delta: "lo " },
      { type: "text-delta", delta: "there" },
    ]);
    expect(events.at(-1)).toMatchObject({ type: "finish", finishReason: "stop" });
    expect(events).toHaveLength(4);
    const { body } = await local.server.arrival(0);
    expect(body).toMatchObject({
      stream: true,
      stream_options: { include_usage: true },
      model: "gpt-4.1-mini",
    });
  });

  it("tells cached and reasoning tokens of the usage chunk", async () => {
    local.server.script(
      answer(
        text("Hi"),
        finish("stop", {
          prompt_tokens: 100,
          completion_tokens: 20,
          prompt_tokens_details: { cached_tokens: 64 },
          completion_tokens_details: { reasoning_tokens: 12 },
        }),
      ),
    );
    expect((await ask(local.model())).at(-1)).toEqual({
      type: "finish",
      finishReason: "stop",
      usage: { inputTokens: 100, outputTokens: 20, totalTokens: 120, cachedTokens: 64, reasoningTokens: 12 },
    });
  });

  it("carries no usage where the server tells none, and the run then estimates it", async () => {
    local.server.handle(() => answer(text("Hi there, friend"), finish("stop", noUsage)));
    expect((await ask(local.model())).at(-1)).toEqual({ type: "finish", finishReason: "stop" });
    const outcome = await llmFunction({ model: local.model() })(() => prompt`Hello`)().outcome;
    expect(outcome.usage.estimated).toBe(true);
    expect(outcome.usage.outputTokens).toBe(4);
    expect(outcome.usage.inputTokens).toBeGreaterThan(0);
    expect(outcome.usage.totalTokens).toBe(outcome.usage.inputTokens + outcome.usage.outputTokens);
  });

  it("streams reasoning apart from text", async () => {
    local.server.script(answer(reasoning("Let me ", "think."), text("Done.")));
    const events = await ask(local.model());
    expect(events.map(({ type }) => type)).toEqual([
      "reasoning-delta",
      "reasoning-delta",
      "text-delta",
      "finish",
    ]);
    expect(textOf(events)).toBe("Done.");
  });

  it("streams the arguments of a call and then the whole call", async () => {
    local.server.script(answer(toolCall({ id: "call_1", name: "find", arguments: ['{"topic"', ':"sea"}'] })));
    expect(await ask(local.model())).toMatchObject([
      { type: "tool-input-delta", callId: "call_1", toolName: "find", delta: "" },
      { type: "tool-input-delta", callId: "call_1", toolName: "find", delta: '{"topic"' },
      { type: "tool-input-delta", callId: "call_1", toolName: "find", delta: ':"sea"}' },
      { type: "tool-call", callId: "call_1", toolName: "find", input: '{"topic":"sea"}' },
      { type: "finish", finishReason: "tool-calls" },
    ]);
  });
});

describe("an answer that is none", () => {
  it("is a refusal, with the refusal's text", async () => {
    local.server.script(answer(refusal("I cannot ", "help with that.")));
    const outcome = await llmFunction({ model: local.model() })(() => prompt`Do it`)().outcome;
    expect(outcome).toMatchObject({
      status: "error",
      text: "I cannot help with that.",
      error: { name: "ModelError", code: "refusal", text: "I cannot help with that.", retryable: false },
    });
    expect(outcome.history.at(-1)).toMatchObject({ role: "assistant" });
  });

  it.each([
    { reason: "length" as const, code: "length" },
    { reason: "content_filter" as const, code: "content_filter" },
  ])("is cut off by $reason, with what was received", async ({ reason, code }) => {
    local.server.script(answer(text("Once upon "), text("a time"), finish(reason)));
    const error = await rejection(llmFunction({ model: local.model() })(() => prompt`Tell`)());
    expect(error).toBeInstanceOf(ModelError);
    expect(error).toMatchObject({ code, text: "Once upon a time", retryable: false });
  });

  it("keeps the cut text in the history with a note, and sends no second request", async () => {
    local.server.script(answer(text("Once upon"), finish("length")));
    const outcome = await llmFunction({ model: local.model() })(() => prompt`Tell`)().outcome;
    expect(outcome.patches).toMatchObject([{ kind: "text-truncated", partialText: "Once upon" }]);
    expect(outcome.history.at(-1)?.content).toMatch(/^Once upon\n\n\[stopped: /);
    expect(local.server.requests).toHaveLength(1);
  });
});

describe("a request", () => {
  it("carries the settings of openai(…)", async () => {
    local.server.script(answer(text("ok")));
    const model = local.model({
      temperature: 0.5,
      maxOutputTokens: 50,
      reasoningEffort: "low",
      parallelToolCalls: false,
      extraBody: { seed: 7 },
    });
    await ask(model, {
      tools: [{ name: "find", description: "Find", inputSchema: { type: "object", properties: {} } }],
      toolChoice: "none",
    });
    expect(local.server.requests[0]?.body).toMatchObject({
      temperature: 0.5,
      max_completion_tokens: 50,
      reasoning_effort: "low",
      parallel_tool_calls: false,
      seed: 7,
      tool_choice: "none",
    });
  });

  it("sends images of a prompt and of a chat message as content parts", async () => {
    local.server.script(answer(text("A cat")), answer(text("A dog")));
    const url = "https://example.com/cat.png";
    await llmFunction({ model: local.model() })(
      () => prompt`What is this? ${image(url, { detail: "low" })}`,
    )();
    const bytes = image(new Uint8Array([1, 2, 3]), { mediaType: "image/jpeg" });
    const chat = llmChat({ model: local.model() })((_message: unknown) => prompt`You see well.`);
    await chat([{ type: "text", text: "And this?" }, bytes]);
    const [first, second] = local.server.requests.map(({ body }) => body.messages.at(-1)?.content);
    expect(first).toEqual([
      { type: "text", text: "What is this? " },
      { type: "image_url", image_url: { url, detail: "low" } },
    ]);
    expect(second).toEqual([
      { type: "text", text: "And this?" },
      { type: "image_url", image_url: { url: "data:image/jpeg;base64,AQID" } },
    ]);
  });

  it("strips other providers' data from assistant messages, and leaves the history as it was", async () => {
    local.server.script(answer(text("ok")));
    const foreign = {
      role: "assistant",
      content: "Hello",
      reasoning_content: "hm",
      provider_data: { items: [1] },
      tool_calls: undefined,
    } as unknown as ChatMessage;
    const history: ChatMessage[] = [{ role: "user", content: "Hi" }, foreign];
    const chat = llmChat({ model: local.model() })((_message: string, _options?: object) => prompt`Be kind.`);
    const reply = await chat("More", { history });
    expect(local.server.requests[0]?.body.messages[2]).toEqual({ role: "assistant", content: "Hello" });
    expect(reply.history[1]).toMatchObject({ provider_data: { items: [1] }, reasoning_content: "hm" });
  });

  it("strips what an application keeps on its other messages", async () => {
    local.server.script(answer(text("ok")));
    const kept = { id: "msg_1", createdAt: "2024-01-02" };
    const history = [
      { role: "user", content: "Hi", ...kept },
      { role: "assistant", content: null, tool_calls: [toolCallOf("a")], ...kept },
      { role: "tool", tool_call_id: "a", content: "1", ...kept },
    ] as ChatMessage[];
    const chat = llmChat({ model: local.model() })((_message: string, _options?: object) => prompt`Be kind.`);
    const reply = await chat("More", { history });
    expect(JSON.stringify(local.server.requests[0]?.body)).not.toContain("createdAt");
    expect(reply.history[0]).toEqual(history[0]);
  });

  it("goes through a client of one's own", async () => {
    local.server.script(answer(text("ok")));
    const client = new OpenAI({
      apiKey: "other",
      baseURL: local.server.url,
      defaultHeaders: { "x-team": "blue" },
    });
    await ask(openai("gpt-4.1-mini", { client }));
    expect(local.server.requests[0]?.headers).toMatchObject({
      "x-team": "blue",
      authorization: "Bearer other",
    });
  });
});

describe("the key and the address", () => {
  it("are asked for plainly where neither is set", async () => {
    vi.stubEnv("OPENAI_API_KEY", undefined);
    vi.stubEnv("OPENAI_BASE_URL", undefined);
    try {
      const error = await rejection(ask(openai("gpt-4.1-mini")));
      expect(error).toBeInstanceOf(ModelError);
      expect(error).toMatchObject({
        code: "authentication",
        retryable: false,
        message: expect.stringMatching(/OPENAI_API_KEY.*OPENAI_BASE_URL/s),
      });
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it("come from the environment at the first request, and a local server needs no key", async () => {
    local.server.script(answer(text("ok")));
    const model = openai("gpt-4.1-mini");
    vi.stubEnv("OPENAI_API_KEY", undefined);
    vi.stubEnv("OPENAI_BASE_URL", local.server.url);
    try {
      expect(textOf(await ask(model))).toBe("ok");
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it("take a model's name that is one", () => {
    for (const name of ["", undefined, 5]) {
      expect(() => openai(name as string)).toThrow(UsageError);
    }
  });
});

describe("a connection", () => {
  it("is used again over the turns of many runs", async () => {
    let connections = 0;
    const sse = (delta: object, reason: string | null) =>
      `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: reason }] })}\n\n`;
    const http = createServer((request, response) => {
      request.resume().on("end", () => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write(sse({ content: "Hi" }, null));
        response.end(`${sse({}, "stop")}data: [DONE]\n\n`);
      });
    });
    http.on("connection", () => connections++);
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    try {
      const baseURL = `http://127.0.0.1:${(http.address() as AddressInfo).port}/v1`;
      const hello = llmFunction({ model: openai("gpt-4.1-mini", { apiKey: "test", baseURL }) })(
        () => prompt`Hi`,
      );
      for (let count = 0; count < 10; count++) {
        const run = hello();
        expect(await run).toBe("Hi");
        await run.settled;
      }
      // Node may open a second one where the first is not yet marked as idle.
      expect(connections).toBeLessThanOrEqual(2);
    } finally {
      http.closeAllConnections();
      http.close();
    }
  });
});
