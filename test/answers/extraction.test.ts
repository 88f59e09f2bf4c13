// How the JSON of an answer is found in what models write around it, and what is never made of it.

import { describe, expect, it } from "vitest";
import { z } from "zod";
import { useServer } from "../models/local.ts";
import { answerTo } from "./ask-for.ts";

const local = useServer();
const Point = z.object({ x: z.number(), note: z.string().optional() });

describe("an answer is found", () => {
  it.each([
    ["bare", '{"x": 1}', { x: 1 }],
    ["with space around", '\n\n  {"x": 1}\n ', { x: 1 }],
    ["in a fence", '```json\n{"x": 1}\n```', { x: 1 }],
    ["in a fence without a language", '```\n{"x": 1}\n```', { x: 1 }],
    ["in prose", 'Here you are: {"x": 1}. Anything else?', { x: 1 }],
    ["in prose with apostrophes and quotes", 'It\'s "done", here\'s it: {"x": 1} - that\'s all', { x: 1 }],
    ["behind a thought", '<think>maybe {x}?</think>{"x": 1}', { x: 1 }],
    ["with a trailing comma", '{"x": 1, "note": "a",}', { x: 1, note: "a" }],
    ["with single quotes", "{'x': 1, 'note': 'a'}", { x: 1, note: "a" }],
    ["with keys that are not quoted", "{x: 1}", { x: 1 }],
    ["with comments", '{"x": 1 /* one */, // next\n "note": "a"}', { x: 1, note: "a" }],
    ["with Python's words", '{"x": 1, "note": None}', { x: 1 }],
    [
      "with brackets in its strings",
      '{"x": 1, "note": "a } b ] c { \\" d"}',
      { x: 1, note: 'a } b ] c { " d' },
    ],
    ["behind another value that does not fit", '{"y": 2} and {"x": 1}', { x: 1 }],
    ["first of several that fit", '{"x": 1}\n{"x": 2}', { x: 1 }],
    ["nowhere in a list of such values", '[{"x": 1}, {"x": 2}]', undefined],
    ["with line breaks in its strings", '{"x": 1, "note": "a\nb"}', { x: 1, note: "a\nb" }],
    ["nowhere behind a bracket that never closes", 'From [0, 1) I take {"x": 1}', undefined],
  ])("%s", async (_name, said, value) => {
    const again = value === undefined ? ['{"x": 7}'] : [];
    expect(await answerTo(local, Point, said, ...again)).toEqual(value ?? { x: 7 });
    expect(local.server.requests).toHaveLength(1 + again.length);
  });

  it.each([
    ["wrapped", '{"value": [1, 2]}'],
    ["bare", "[1, 2]"],
    ["in a fence", "```json\n[1, 2]\n```"],
    ["in prose", "The list is [1, 2]."],
  ])("for a root that is no object, %s", async (_name, said) => {
    expect(await answerTo(local, z.array(z.int()), said)).toEqual([1, 2]);
  });

  it.each([
    [z.number(), "42", 42],
    [z.boolean(), "true", true],
    [z.enum(["red", "blue"]), '"red"', "red"],
    [z.number(), '{"value": 42}', 42],
  ])("as a bare scalar", async (schema, said, value) => {
    expect(await answerTo(local, schema as z.ZodType, said)).toBe(value);
  });

  it("as an object that has a property value of its own", async () => {
    const schema = z.union([z.object({ value: z.string() }), z.object({ none: z.literal(true) })]);
    expect(await answerTo(local, schema, { value: { value: "x" } })).toEqual({ value: "x" });
    expect(await answerTo(local, schema, { value: "x" })).toEqual({ value: "x" });
  });
});

describe("an answer that was cut off is never repaired into a value", () => {
  const Loose = z.object({
    x: z.number().optional(),
    list: z.array(z.number()).optional(),
    note: z.string().optional(),
  });
  const whole = JSON.stringify({ x: 12, list: [1, 2, 3], note: 'a "quoted" {word}' });

  it("at any character", async () => {
    for (let length = 1; length < whole.length; length++) {
      local.server.reset();
      const said = whole.slice(0, length);
      expect(await answerTo(local, Loose, said, { x: 99 }), said).toEqual({ x: 99 });
    }
  });

  it("in a fence that never closes", async () => {
    expect(await answerTo(local, Loose, '```json\n{"x": 1, "list": [1', { x: 99 })).toEqual({ x: 99 });
  });

  it("as a list whose items are whole", async () => {
    const schema = z.array(z.object({ x: z.number() }));
    const said = '[{"x": 1}, {"x": 2}, {"x"';
    expect(await answerTo(local, schema, said, '[{"x": 3}]')).toEqual([{ x: 3 }]);
  });

  it("as an object whose inner object would fit", async () => {
    const schema = z.object({ x: z.number() });
    expect(await answerTo(local, schema, '{"x": 5, "inner": {"x": 1}, "no', { x: 99 })).toEqual({ x: 99 });
  });
});
