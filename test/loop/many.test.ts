// Many runs at once: none sees anything of another.

import type { CallOptions } from "llmethod";
import { llmChat, llmFunction, prompt, tool } from "llmethod";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { eventsOf, only, useServer } from "../models/local.ts";
import { answer, delay, text, toolCall } from "../support/server.ts";

const local = useServer();

const double = tool({
  name: "double",
  description: "Doubles a number",
  input: z.object({ n: z.int() }),
  execute: async ({ n }, { context, emit }) => {
    emit({ n });
    await new Promise((resolve) => setTimeout(resolve, n % 7));
    return { n: n * 2, owner: context };
  },
});

describe("200 runs of one function", () => {
  it("each get their own answer, events, context and history", async () => {
    local.server.handle(({ messages }) => {
      const n = Number(/\d+/.exec(String(messages[0]?.content))?.[0]);
      const last = messages.at(-1);
      if (last?.role !== "tool")
        return answer(delay(n % 5), toolCall({ id: "same", name: "double", arguments: `{"n":${n}}` }));
      return answer(text(String(JSON.parse(String(last.content)).n)));
    });
    const go = llmFunction({ model: local.model(), returns: z.int(), toolkit: [double] })(
      (n: number, _options?: CallOptions) => prompt`Double ${n}`,
    );
    const numbers = Array.from({ length: 200 }, (_, n) => n);
    const results = await Promise.all(
      numbers.map(async (n) => {
        const stream = go.stream(n, { context: `owner ${n}` });
        const events = await eventsOf(stream);
        return { n, events, outcome: await stream.outcome };
      }),
    );
    for (const { n, events, outcome } of results) {
      expect(outcome).toMatchObject({ status: "completed", value: n * 2, turns: 2 });
      expect(only(events, "tool-progress").map(({ data }) => data)).toEqual([{ n }]);
      expect(only(events, "tool-end").map(({ output }) => output)).toEqual([
        { n: n * 2, owner: `owner ${n}` },
      ]);
      expect(outcome.history).toHaveLength(4);
      expect(outcome.history[0]?.content).toBe(`Double ${n}`);
    }
    expect(new Set(results.map(({ outcome }) => outcome.runId)).size).toBe(200);
  });

  it("may fail one by one without harm to the others", async () => {
    local.server.handle(({ messages }) => {
      const n = Number(/\d+/.exec(String(messages[0]?.content))?.[0]);
      return n % 3 === 0 ? answer(text("no JSON")) : answer(text(String(n)));
    });
    const go = llmFunction({ model: local.model(), returns: z.int() })((n: number) => prompt`Say ${n}`);
    const settled = await Promise.allSettled(Array.from({ length: 60 }, (_, n) => go(n)));
    for (const [n, result] of settled.entries()) {
      expect(result.status).toBe(n % 3 === 0 ? "rejected" : "fulfilled");
    }
  });
});

describe("several chats on one history", () => {
  it("go on side by side, each with its own", async () => {
    local.server.handle(({ messages }) => answer(text(`re: ${messages.at(-1)?.content}`)));
    const chat = llmChat({ model: local.model() })(
      (_message: string, _options?: CallOptions) => prompt`Be kind.`,
    );
    const { history } = await chat("root");
    const replies = await Promise.all(["a", "b", "c"].map((message) => chat(message, { history })));
    expect(replies.map((reply) => reply.text)).toEqual(["re: a", "re: b", "re: c"]);
    for (const reply of replies) expect(reply.history).toHaveLength(4);
    expect(history).toHaveLength(2);
  });
});

describe("a long run", () => {
  it("of 100 turns holds them all", async () => {
    local.server.handle((_request, index) =>
      index < 99
        ? answer(toolCall({ id: "same", name: "double", arguments: `{"n":${index}}` }))
        : answer(text("done")),
    );
    const go = llmFunction({ model: local.model(), toolkit: [double], maxTurns: 100 })(() => prompt`Go`);
    const outcome = await go().outcome;
    expect(outcome).toMatchObject({ status: "completed", value: "done", turns: 100 });
    expect(outcome.history).toHaveLength(2 + 2 * 99);
  });
});
