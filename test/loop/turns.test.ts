// The loop's turns: how many there are, what ends them, what they cost, and what the model is sent in each.

import type { CallOptions, Model, ModelRequest } from "llmethod";
import { llmChat, llmFunction, prompt, TurnLimitError } from "llmethod";
import { describe, expect, it } from "vitest";
import { eventsOf, only, rejection, useServer } from "../models/local.ts";
import { answer, finish, noUsage, refusalOf, text, toolCall } from "../support/server.ts";
import { loose } from "../tools/play.ts";

const local = useServer();
const look = loose("look", ({ n }) => `seen ${n}`);
const asks = (n: number, id = `call_${n}`) => answer(toolCall({ id, name: "look", arguments: `{"n":${n}}` }));
const forever = () => local.server.handle((_request, index) => asks(index));

describe("the turn limit", () => {
  it("is 20 by default, then an error that says what to do", async () => {
    forever();
    const outcome = await llmFunction({ model: local.model(), toolkit: [look] })(() => prompt`Go`)().outcome;
    expect(outcome).toMatchObject({
      status: "error",
      turns: 20,
      error: { code: "turn_limit", maxTurns: 20 },
    });
    if (outcome.status === "error") {
      expect(outcome.error).toBeInstanceOf(TurnLimitError);
      expect(outcome.error.message).toMatch(/maxTurns/);
    }
    expect(local.server.requests).toHaveLength(20);
    expect(outcome.history).toHaveLength(41);
    expect(refusalOf({ model: "m", messages: outcome.history })).toBeUndefined();
    expect(outcome.patches).toEqual([]);
  });

  it("of the definition gives way to that of the call", async () => {
    forever();
    const go = llmFunction({ model: local.model(), toolkit: [look], maxTurns: 5 })(
      (_options?: CallOptions) => prompt`Go`,
    );
    expect(await rejection(go())).toMatchObject({ maxTurns: 5 });
    expect(await rejection(go({ maxTurns: 2 }))).toMatchObject({ maxTurns: 2 });
    expect(local.server.requests).toHaveLength(7);
  });

  it("is no limit for a run that needs just as many turns", async () => {
    local.server.script(asks(1), asks(2), answer(text("done")));
    const go = llmFunction({ model: local.model(), toolkit: [look], maxTurns: 3 })(() => prompt`Go`);
    expect(await go()).toBe("done");
  });

  it("may end in one last answer without tools", async () => {
    local.server.handle(({ tool_choice: choice }, index) =>
      choice === "none" ? answer(text("my best guess")) : asks(index),
    );
    const maxTurns = { limit: 4, atLimit: "answer" } as const;
    const outcome = await llmFunction({ model: local.model(), toolkit: [look], maxTurns })(() => prompt`Go`)()
      .outcome;
    expect(outcome).toMatchObject({ status: "completed", value: "my best guess", turns: 4 });
    const choices = local.server.requests.map(({ body }) => body.tool_choice);
    expect(choices).toEqual([undefined, undefined, undefined, "none"]);
    expect(local.server.requests[3]?.body.tools).toHaveLength(1);
  });

  it("is an error where the model asks for tools even then, and these are not run", async () => {
    let ran = 0;
    const counted = loose("look", () => ++ran);
    local.server.script(asks(1), asks(2));
    const maxTurns = { limit: 2, atLimit: "answer" } as const;
    const outcome = await llmFunction({ model: local.model(), toolkit: [counted], maxTurns })(
      () => prompt`Go`,
    )().outcome;
    expect(outcome).toMatchObject({ status: "error", error: { code: "turn_limit" } });
    expect(ran).toBe(1);
    expect(refusalOf({ model: "m", messages: outcome.history })).toBeUndefined();
  });

  it("of 1 with a last answer never lets a tool run", async () => {
    local.server.script(answer(text("at once")));
    const maxTurns = { limit: 1, atLimit: "answer" } as const;
    const go = llmFunction({ model: local.model(), toolkit: [look], maxTurns })(() => prompt`Go`);
    expect(await go()).toBe("at once");
    expect(local.server.requests[0]?.body.tool_choice).toBe("none");
  });
});

describe("the model", () => {
  it("reads its own calls and their results in the next turn", async () => {
    local.server.script(
      answer(text("Let me look. "), toolCall({ id: "a", name: "look", arguments: '{"n":1}' })),
      answer(text("Done.")),
    );
    const outcome = await llmFunction({ model: local.model(), toolkit: [look] })(() => prompt`Go`)().outcome;
    const sent = [
      { role: "user", content: "Go" },
      {
        role: "assistant",
        content: "Let me look. ",
        tool_calls: [{ id: "a", type: "function", function: { name: "look", arguments: '{"n":1}' } }],
      },
      { role: "tool", tool_call_id: "a", content: "seen 1" },
    ];
    expect(local.server.requests[1]?.body.messages).toEqual(sent);
    expect(outcome.history).toEqual([...sent, { role: "assistant", content: "Done." }]);
    expect(outcome.text).toBe("Let me look. Done.");
    expect(outcome).toMatchObject({ status: "completed", value: "Done." });
  });

  it("is told of its tools with their descriptions and schemas", async () => {
    local.server.script(answer(text("ok")));
    await llmFunction({ model: local.model(), toolkit: [look, [loose("other", () => 1)]] })(
      () => prompt`Go`,
    )();
    const tools = local.server.requests[0]?.body.tools;
    expect(tools).toMatchObject([
      {
        type: "function",
        function: { name: "look", description: "Does look", parameters: { type: "object" } },
      },
      { type: "function", function: { name: "other" } },
    ]);
  });

  it("gets the instructions of a function first, and its task last", async () => {
    local.server.script(answer(text("ok")));
    const history = [
      { role: "system", content: "Older rules" },
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Hello" },
    ] as const;
    const go = llmFunction({ model: local.model(), instructions: "Be brief." })(
      (task: string, _options?: CallOptions) => prompt`Do ${task}`,
    );
    const outcome = await go("it", { history }).outcome;
    expect(local.server.requests[0]?.body.messages).toEqual([
      { role: "system", content: "Be brief." },
      ...history,
      { role: "user", content: "Do it" },
    ]);
    expect(outcome.history).toEqual([
      ...history,
      { role: "user", content: "Do it" },
      { role: "assistant", content: "ok" },
    ]);
  });

  it("gets no system message where there are no instructions", async () => {
    local.server.script(answer(text("ok")), answer(text("ok")));
    await llmFunction({ model: local.model() })(() => prompt`Go`)();
    await llmChat({ model: local.model() })((_message: string) => prompt``)("Hi");
    for (const { body } of local.server.requests)
      expect(body.messages.map(({ role }) => role)).toEqual(["user"]);
  });

  it("gets a chat's prompt as the system message, every time anew", async () => {
    local.server.script(answer(text("one")), answer(text("two")));
    let mood = "kind";
    const chat = llmChat({ model: local.model() })(
      (_message: string, _options?: CallOptions) => prompt`Be ${mood}.`,
    );
    const first = await chat("Hello");
    mood = "brief";
    const second = await chat("And?", { history: first.history });
    expect(local.server.requests.map(({ body }) => body.messages[0]?.content)).toEqual([
      "Be kind.",
      "Be brief.",
    ]);
    expect(second.history).toEqual([
      { role: "user", content: "Hello" },
      { role: "assistant", content: "one" },
      { role: "user", content: "And?" },
      { role: "assistant", content: "two" },
    ]);
  });

  it("gets the run's id, the metadata and a signal with its request", async () => {
    const seen: ModelRequest[] = [];
    const model: Model = {
      name: "spy",
      async *stream(request) {
        seen.push(request);
        yield { type: "text-delta", delta: "ok" };
        yield { type: "finish", finishReason: "stop" };
      },
    };
    const go = llmFunction({ model })((_options?: CallOptions) => prompt`Go`);
    await go({ runId: "run-7", metadata: { user: "u1", tags: ["a"] } });
    expect(seen[0]).toMatchObject({
      runId: "run-7",
      metadata: { user: "u1", tags: ["a"] },
      toolChoice: "auto",
    });
    expect(seen[0]?.abortSignal).toBeInstanceOf(AbortSignal);
  });
});

describe("a history", () => {
  it("that is given is never changed, and the one that comes back is the caller's own", async () => {
    local.server.script(asks(1), answer(text("one")), answer(text("two")));
    const history = Object.freeze([Object.freeze({ role: "user", content: "Hi" } as const)]);
    const chat = llmChat({ model: local.model(), toolkit: [look] })(
      (_message: string, _options?: CallOptions) => prompt`Be kind.`,
    );
    const first = await chat("Hello", { history });
    expect(history).toHaveLength(1);
    const kept = structuredClone(first.history);
    const second = await chat("More", { history: first.history });
    expect(first.history).toEqual(kept);
    expect(second.history.slice(0, kept.length)).toEqual(kept);
    for (const message of second.history) message.content = "changed";
    expect(first.history).toEqual(kept);
  });

  it("of a run at work is valid at every event", async () => {
    local.server.script(asks(1), asks(2), answer(text("do", "ne")));
    const stream = llmFunction({ model: local.model(), toolkit: [look] })(() => prompt`Go`).stream();
    let longest = 0;
    for await (const _event of stream) {
      const { history } = stream;
      expect(refusalOf({ model: "m", messages: history })).toBeUndefined();
      expect(history.length).toBeGreaterThanOrEqual(longest);
      longest = history.length;
    }
    expect(stream.history).toEqual((await stream.outcome).history);
  });

  it("is plain JSON", async () => {
    local.server.script(asks(1), answer(text("done")));
    const { history } = await llmFunction({ model: local.model(), toolkit: [look] })(() => prompt`Go`)()
      .outcome;
    expect(JSON.parse(JSON.stringify(history))).toStrictEqual(history);
  });
});

describe("usage", () => {
  const counted = (input: number, output: number, cached: number, reasoning: number) =>
    finish("stop", {
      prompt_tokens: input,
      completion_tokens: output,
      prompt_tokens_details: { cached_tokens: cached },
      completion_tokens_details: { reasoning_tokens: reasoning },
    });

  it("is told for each turn and summed over the run", async () => {
    const call = toolCall({ id: "a", name: "look", arguments: "{}" });
    local.server.script(answer(call, counted(10, 5, 2, 1)), answer(text("ok"), counted(20, 7, 8, 0)));
    const stream = llmFunction({ model: local.model(), toolkit: [look] })(() => prompt`Go`).stream();
    const events = await eventsOf(stream);
    expect(only(events, "turn-end").map(({ usage }) => usage.totalTokens)).toEqual([15, 27]);
    const sum = { inputTokens: 30, outputTokens: 12, totalTokens: 42, cachedTokens: 10, reasoningTokens: 1 };
    expect((await stream.outcome).usage).toEqual(sum);
    expect(only(events, "run-completed")[0]?.usage).toEqual(sum);
  });

  it("is marked as estimated where one turn's was", async () => {
    const call = toolCall({ id: "a", name: "look", arguments: "{}" });
    local.server.script(answer(call, counted(10, 5, 0, 0)), answer(text("ok"), finish("stop", noUsage)));
    const { usage } = await llmFunction({ model: local.model(), toolkit: [look] })(() => prompt`Go`)()
      .outcome;
    expect(usage.estimated).toBe(true);
    expect(usage.inputTokens).toBeGreaterThan(10);
  });

  it("counts the turns of corrections and failures", async () => {
    local.server.script(asks(1), answer(text("cut"), counted(20, 7, 0, 0)));
    const { usage, turns } = await llmFunction({ model: local.model(), toolkit: [look] })(() => prompt`Go`)()
      .outcome;
    expect(turns).toBe(2);
    expect(usage.totalTokens).toBeGreaterThan(27);
  });
});
