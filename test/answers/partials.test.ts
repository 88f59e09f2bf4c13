// `objectStream()`: the parts of an answer that are there, growing, and the whole at the end.

import { llmFunction, prompt } from "llmethod";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { eventsOf, only, useServer } from "../models/local.ts";
import { answer, text } from "../support/server.ts";

const local = useServer();

const Report = z.object({
  title: z.string(),
  points: z.array(z.object({ text: z.string(), weight: z.number() })),
  done: z.boolean(),
});
const report = {
  title: "On the sea",
  points: [
    { text: "it is wide", weight: 125 },
    { text: 'it says "hush"', weight: -2.5 },
  ],
  done: true,
};

const letters = (value: unknown) => answer(text(...JSON.stringify(value)));

async function partialsOf<T extends z.ZodType>(returns: T, said: unknown): Promise<unknown[]> {
  local.server.script(letters(said));
  const values: unknown[] = [];
  const stream = llmFunction({ model: local.model(), returns: returns as z.ZodType })(
    () => prompt`?`,
  ).stream();
  for await (const value of stream.objectStream()) values.push(value);
  return values;
}

/** Whether `later` holds everything of `earlier`: strings and lists may have grown. */
function holds(later: unknown, earlier: unknown): boolean {
  if (typeof earlier === "string") return typeof later === "string" && later.startsWith(earlier);
  if (Array.isArray(earlier))
    return Array.isArray(later) && earlier.every((item, at) => holds(later[at], item));
  if (typeof earlier !== "object" || earlier === null) return Object.is(later, earlier);
  if (typeof later !== "object" || later === null) return false;
  const fields = new Map(Object.entries(later));
  return Object.entries(earlier).every(([key, value]) => holds(fields.get(key), value));
}

describe("the partial values", () => {
  it("grow letter by letter, never take anything back, and end with the whole", async () => {
    const values = await partialsOf(Report, report);
    expect(values.length).toBeGreaterThan(10);
    expect(values.at(-1)).toEqual(report);
    for (const [at, value] of values.entries()) {
      if (at > 0) expect(holds(value, values[at - 1]), `value ${at}: ${JSON.stringify(value)}`).toBe(true);
    }
  });

  it("hold no number that is not whole yet", async () => {
    const values = await partialsOf(z.object({ n: z.number(), s: z.string() }), { n: 12345, s: "x" });
    const numbers = values.map((value) => (value as { n?: number }).n).filter((n) => n !== undefined);
    expect(new Set(numbers)).toEqual(new Set([12345]));
  });

  it("of a wrapped answer are those of the answer itself", async () => {
    const values = await partialsOf(z.array(z.string()), { value: ["one", "two"] });
    expect(values.at(-1)).toEqual(["one", "two"]);
    expect(values.length).toBeGreaterThan(3);
    for (const value of values) expect(Array.isArray(value)).toBe(true);
  });

  it("are each a value of its own, which a reader may change", async () => {
    const values = await partialsOf(z.object({ list: z.array(z.string()) }), { list: ["a", "b"] });
    expect(new Set(values).size).toBe(values.length);
  });

  it("come from an answer in a fence too", async () => {
    const fenced = '```json\n{"title": "x"}\n```';
    local.server.script(answer(text(...fenced)));
    const stream = llmFunction({ model: local.model(), returns: z.object({ title: z.string() }) })(
      () => prompt`?`,
    ).stream();
    const events = await eventsOf(stream);
    expect(only(events, "object-delta").map(({ value }) => value)).toContainEqual({ title: "x" });
    expect(await stream.outcome).toMatchObject({ status: "completed", value: { title: "x" } });
  });

  it("are not read where the answer is text", async () => {
    local.server.script(answer(text("[1, 2]")));
    const stream = llmFunction({ model: local.model() })(() => prompt`?`).stream();
    expect(only(await eventsOf(stream), "object-delta")).toEqual([]);
  });

  it("of a long answer cost time that grows with its length, not with its square", async () => {
    const long = { title: "x".repeat(20_000), points: [], done: true };
    local.server.script(answer(text(...(JSON.stringify(long).match(/.{1,10}/gs) ?? []))));
    const before = performance.now();
    const stream = llmFunction({ model: local.model(), returns: Report })(() => prompt`?`).stream();
    let last: unknown;
    for await (const value of stream.objectStream()) last = value;
    expect(last).toEqual(long);
    expect(performance.now() - before).toBeLessThan(4000);
  });
});
