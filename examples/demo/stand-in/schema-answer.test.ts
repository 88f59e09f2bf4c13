// Proves that a typed answer fits its schema, and is made of the results and the question.
import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { type StandIn, startStandIn } from "../stand-in.ts";
import { ask, type FakeTools } from "./test-agent.ts";

let standIn: StandIn;
beforeAll(async () => {
  standIn = await startStandIn({ pace: 0 });
});
afterAll(() => standIn.close());

async function typed<T extends z.ZodType>(
  question: string,
  returns: T,
  tools?: FakeTools,
): Promise<z.output<T>> {
  const { $schema: _, ...schema } = z.toJSONSchema(returns);
  const { text } = await ask(standIn.url, question, { schema, ...(tools && { tools }) });
  return returns.parse(JSON.parse(text));
}

it("fills numbers and words from the result of a tool", async () => {
  const Sum = z.object({ expression: z.string(), result: z.number(), explanation: z.string() });
  expect(await typed("What is (17 + 4) * 3?", Sum)).toEqual({
    expression: "(17 + 4) * 3",
    result: 63,
    explanation: "(17 + 4) * 3 is 63.",
  });
});

it("makes one object of each item in a list of results", async () => {
  const Hits = z.object({
    summary: z.string(),
    sources: z.array(z.object({ path: z.string(), line: z.int() })),
  });
  const { sources } = await typed("Which files mention sleep?", Hits);
  expect(sources[0]).toEqual({ path: "src/run.ts", line: 1 });
});

it("fills a record from a result", async () => {
  const Counts = z.object({ files: z.number(), byExtension: z.record(z.string(), z.number()) });
  expect(await typed("Survey this project", Counts)).toEqual({
    files: 41,
    byExtension: { ".ts": 38, ".md": 3 },
  });
});

it("takes from the question's text what it names, and null for what it does not", async () => {
  const Person = z.object({
    name: z.string(),
    age: z.int().nullable(),
    email: z.string().nullable(),
    phone: z.string().nullable(),
    address: z.object({ street: z.string() }).nullable(),
  });
  const text = "Extract the person: Ada Lovelace, 36 years old, wrote from ada@example.org.";
  expect(await typed(text, Person, {})).toEqual({
    name: "Ada Lovelace",
    age: 36,
    email: "ada@example.org",
    phone: null,
    address: null,
  });
});

it("chooses from an enum by the words of the text", async () => {
  const Review = z.object({
    sentiment: z.enum(["negative", "neutral", "positive"]),
    score: z.number().min(0).max(1),
  });
  expect((await typed("Judge this review: I love it, great work!", Review, {})).sentiment).toBe("positive");
  expect((await typed("Judge this review: it is slow and broken.", Review, {})).sentiment).toBe("negative");
});

const Node = z.object({
  title: z.string(),
  get children() {
    return z.array(Node);
  },
});
const Chain = z.object({
  value: z.number(),
  get next() {
    return Chain.nullable();
  },
});
const odd: [name: string, schema: z.ZodType][] = [
  ["recursion through an array", Node],
  ["recursion through null", Chain],
  [
    "a union with tags",
    z.discriminatedUnion("kind", [
      z.object({ kind: z.literal("a"), n: z.number() }),
      z.object({ kind: z.literal("b") }),
    ]),
  ],
  ["a plain string", z.string()],
  ["a plain array", z.array(z.string()).min(2)],
  ["an intersection", z.intersection(z.object({ one: z.string() }), z.object({ two: z.boolean() }))],
  [
    "formats",
    z.object({ mail: z.email(), site: z.url(), id: z.uuid(), day: z.iso.date(), at: z.iso.datetime() }),
  ],
  [
    "bounds",
    z.object({
      short: z.string().max(5),
      long: z.string().min(50),
      some: z.array(z.int().min(3).max(4)).min(2).max(2),
    }),
  ],
  [
    "optionals and lists within objects",
    z.object({
      one: z.string().optional(),
      flag: z.boolean(),
      deep: z.object({ list: z.array(z.object({ x: z.number().positive() })).min(1) }),
    }),
  ],
];
it.each(odd)("fits %s, with and without results", async (_, schema) => {
  await typed("What is 12*12?", schema);
  await typed("Which files mention sleep?", schema);
  await typed("Say anything.", schema, {});
});
