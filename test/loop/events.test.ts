// The events of a run: their order, their stamp, that they pair, and that they are JSON.

import type { RunEvent } from "llmethod";
import { llmFunction, prompt, tool } from "llmethod";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { eventsOf, only, useServer } from "../models/local.ts";
import { answer, httpError, reasoning, text, toolCall } from "../support/server.ts";
import { loose } from "../tools/play.ts";

const local = useServer();

const work = loose("work", async function* () {
  yield { step: 1 };
  return { found: ["a", null, 1.5] };
});

async function threeTurns() {
  local.server.script(
    answer(
      reasoning("hm"),
      text("Let me see. "),
      toolCall({ id: "a", name: "work", arguments: ['{"x"', ":1}"] }),
    ),
    answer(
      toolCall({ id: "b", name: "work", arguments: "{}" }),
      toolCall({ id: "c", name: "none", arguments: "oops" }),
    ),
    answer(text('{"n":', "12}")),
  );
  const returns = z.object({ n: z.int() });
  const stream = llmFunction({ model: local.model(), returns, toolkit: [work] })(() => prompt`Go`).stream();
  return { events: await eventsOf(stream), outcome: await stream.outcome, runId: stream.runId };
}

/** The types in order, with the deltas of one kind counted as one. */
const outline = (events: readonly RunEvent<unknown>[]) =>
  events.map(({ type }) => type).filter((type, at, all) => type !== all[at - 1] || !type.endsWith("-delta"));

describe("the events of a run", () => {
  it("come in order", async () => {
    const { events } = await threeTurns();
    const types = outline(events);
    expect(types.slice(0, 9)).toEqual([
      "run-start",
      "turn-start",
      "reasoning-delta",
      "text-delta",
      "tool-input-delta",
      "tool-start",
      "tool-progress",
      "tool-end",
      "turn-end",
    ]);
    expect(types.at(-1)).toBe("run-completed");
    expect(types.at(-2)).toBe("turn-end");
  });

  it("are stamped: the run's id, a number that counts from 1, the time", async () => {
    const before = Date.now();
    const { events, runId } = await threeTurns();
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, at) => at + 1));
    for (const event of events) {
      expect(event.runId).toBe(runId);
      expect(event.at).toBeGreaterThanOrEqual(before);
      expect(event.at).toBeLessThanOrEqual(Date.now());
      expect(event).not.toHaveProperty("parentRunId");
    }
  });

  it("pair: each start has one end, each turn is counted", async () => {
    const { events, outcome } = await threeTurns();
    expect(only(events, "turn-start").map(({ turn }) => turn)).toEqual([1, 2, 3]);
    expect(only(events, "turn-end").map(({ turn }) => turn)).toEqual([1, 2, 3]);
    expect(outcome.turns).toBe(3);
    const started = only(events, "tool-start").map(({ callId }) => callId);
    expect(started).toEqual(["a", "b", "c"]);
    expect(
      only(events, "tool-end")
        .map(({ callId }) => callId)
        .sort(),
    ).toEqual(started);
    expect(events.filter(({ type }) => /^run-(?!start)/.test(type))).toHaveLength(1);
  });

  it("are JSON: each comes back equal", async () => {
    const { events } = await threeTurns();
    for (const event of events) expect(JSON.parse(JSON.stringify(event))).toEqual(event);
  });

  it("hold what the outcome holds", async () => {
    const { events, outcome } = await threeTurns();
    const [last] = only(events, "run-completed");
    const { value, text: said, history, patches, usage } = last ?? {};
    expect({ value, text: said, history, patches, usage }).toEqual({
      value: { n: 12 },
      text: 'Let me see. {"n":12}',
      history: outcome.history,
      patches: [],
      usage: outcome.usage,
    });
    expect(JSON.parse(JSON.stringify(outcome))).toMatchObject({ status: "completed", value: { n: 12 } });
  });

  it("of text are the text, delta by delta", async () => {
    const { events, outcome } = await threeTurns();
    expect(
      only(events, "text-delta")
        .map(({ delta }) => delta)
        .join(""),
    ).toBe(outcome.text);
  });

  it("stay as they were when a tool changes its input", async () => {
    const spoil = loose("spoil", (input) => {
      input.list = "changed";
      return "ok";
    });
    local.server.script(
      answer(toolCall({ id: "a", name: "spoil", arguments: '{"list":[1]}' })),
      answer(text("ok")),
    );
    const events = await eventsOf(
      llmFunction({ model: local.model(), toolkit: [spoil] })(() => prompt`Go`).stream(),
    );
    expect(only(events, "tool-start")[0]?.input).toEqual({ list: [1] });
  });

  it("are JSON also where a tool's schema makes something else of its input", async () => {
    const dated = tool({
      name: "dated",
      description: "Takes a date",
      input: z.object({
        at: z.iso.date().transform((at) => new Date(at)),
        n: z.int().transform((n) => BigInt(n)),
      }),
      execute: ({ at, n }) => `${at.getUTCFullYear()} ${n}`,
    });
    local.server.script(
      answer(toolCall({ id: "a", name: "dated", arguments: '{"at":"2024-01-02","n":7}' })),
      answer(text("ok")),
    );
    const stream = llmFunction({ model: local.model(), toolkit: [dated] })(() => prompt`Go`).stream();
    const events = await eventsOf(stream);
    expect(only(events, "tool-end")).toMatchObject([{ status: "ok", output: "2024 7" }]);
    for (const event of events) expect(JSON.parse(JSON.stringify(event))).toEqual(event);
  });

  it("are the same for a second reader who comes late", async () => {
    local.server.script(answer(text("Hel", "lo")));
    const stream = llmFunction({ model: local.model() })(() => prompt`Go`).stream();
    const first = await eventsOf(stream);
    expect(await eventsOf(stream)).toEqual(first);
  });
});

describe("the last event of a failed run", () => {
  it("carries the error itself, and its JSON says what it was", async () => {
    local.server.script(httpError(401, { message: "bad key" }));
    const stream = llmFunction({ model: local.model() })(() => prompt`Go`).stream();
    const events = await eventsOf(stream);
    const outcome = await stream.outcome;
    const last = events.at(-1);
    expect(outcome.status).toBe("error");
    if (last?.type !== "run-error" || outcome.status !== "error") throw new Error("no error");
    expect(last.error).toBe(outcome.error);
    expect(JSON.parse(JSON.stringify(last)).error).toMatchObject({
      name: "ModelError",
      code: "authentication",
      message: expect.stringContaining("bad key"),
    });
    expect(outline(events)).toEqual(["run-start", "turn-start", "turn-end", "run-error"]);
  });
});
