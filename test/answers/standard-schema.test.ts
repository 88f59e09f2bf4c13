// Schemas of other libraries: zod 3, and hand-written Standard Schemas with and without their JSON Schema.

import type { StandardSchemaV1 } from "@standard-schema/spec";
import { llmFunction, UsageError } from "llmethod";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { z as z3 } from "zod/v3";
import { useServer } from "../models/local.ts";
import { answerTo, formatOf } from "./ask-for.ts";

const local = useServer();

interface Even {
  readonly even: number;
}

const validate = (value: unknown): StandardSchemaV1.Result<Even> => {
  const even = typeof value === "object" && value !== null && "even" in value ? value.even : undefined;
  if (typeof even === "number" && even % 2 === 0) return { value: { even } };
  return { issues: [{ message: "must be even", path: ["even"] }] };
};

const jsonSchema = {
  type: "object",
  properties: { even: { type: "integer" } },
  required: ["even"],
  additionalProperties: false,
};

const bare: StandardSchemaV1<unknown, Even> = { "~standard": { version: 1, vendor: "own", validate } };
const own = {
  "~standard": {
    version: 1,
    vendor: "own",
    validate,
    jsonSchema: { input: () => jsonSchema, output: () => jsonSchema },
  },
} satisfies { "~standard": StandardSchemaV1<unknown, Even>["~standard"] & { jsonSchema: unknown } };

describe("zod 3", () => {
  it.each([
    {
      name: "an object with optionals",
      schema: z3.object({ a: z3.string(), b: z3.number().optional() }),
      wire: { a: "x", b: null },
      value: { a: "x" },
    },
    {
      name: "a nullable",
      schema: z3.object({ a: z3.string().nullable() }),
      wire: { a: null },
      value: { a: null },
    },
    { name: "an enum", schema: z3.object({ a: z3.enum(["x", "y"]) }), wire: { a: "y" }, value: { a: "y" } },
    {
      name: "a tagged union",
      schema: z3.object({
        u: z3.discriminatedUnion("k", [
          z3.object({ k: z3.literal("a"), n: z3.number() }),
          z3.object({ k: z3.literal("b") }),
        ]),
      }),
      wire: { u: { k: "a", n: 1 } },
      value: { u: { k: "a", n: 1 } },
    },
    {
      name: "an array at the root",
      schema: z3.array(z3.object({ a: z3.string() })),
      wire: { value: [{ a: "x" }] },
      value: [{ a: "x" }],
    },
    {
      name: "a default",
      schema: z3.object({ a: z3.number().default(4) }),
      wire: { a: null },
      value: { a: 4 },
    },
    {
      name: "a transform",
      schema: z3.object({ a: z3.string().transform((text) => text.length) }),
      wire: { a: "four" },
      value: { a: 4 },
    },
    {
      name: "the same object twice",
      schema: (() => {
        const p = z3.object({ x: z3.number() });
        return z3.object({ a: p, b: p });
      })(),
      wire: { a: { x: 1 }, b: { x: 2 } },
      value: { a: { x: 1 }, b: { x: 2 } },
    },
  ])("gives $name", async ({ schema, wire, value }) => {
    expect(await answerTo(local, schema, wire)).toEqual(value);
    expect(formatOf(local)?.strict).toBe(true);
  });

  it("gives recursion", async () => {
    interface Node {
      name: string;
      next?: Node | undefined;
    }
    const Chain: z3.ZodType<Node> = z3.lazy(() => z3.object({ name: z3.string(), next: Chain.optional() }));
    const value = { name: "a", next: { name: "b" } };
    expect(await answerTo(local, z3.object({ chain: Chain }), { chain: value })).toEqual({ chain: value });
    const list = await answerTo(local, z3.array(Chain), { value: [value] });
    expect(list).toEqual([value]);
  });

  it("gives a record in the loose form", async () => {
    const schema = z3.object({ r: z3.record(z3.number()) });
    expect(await answerTo(local, schema, { r: { a: 1 } })).toEqual({ r: { a: 1 } });
    expect(formatOf(local)?.strict).toBe(false);
  });

  it("tells its issues with their paths", async () => {
    const schema = z3.object({ list: z3.array(z3.object({ n: z3.number() })) });
    await answerTo(local, schema, { list: [{ n: "one" }] }, { list: [{ n: 1 }] });
    expect(local.server.requests[1]?.body.messages.at(-1)?.content).toContain("- list.0.n: Expected number");
  });
});

describe("a hand-written Standard Schema", () => {
  it("works where it gives its JSON Schema", async () => {
    expect(await answerTo(local, own, { even: 4 })).toEqual({ even: 4 });
    expect(formatOf(local)).toMatchObject({ strict: true, schema: jsonSchema });
  });

  it("is corrected by its own message", async () => {
    expect(await answerTo(local, own, { even: 3 }, { even: 2 })).toEqual({ even: 2 });
    expect(local.server.requests[1]?.body.messages.at(-1)?.content).toContain("- even: must be even");
  });

  it("may validate asynchronously, and name its path by objects", async () => {
    const later = {
      "~standard": {
        ...own["~standard"],
        validate: async (value: unknown): Promise<StandardSchemaV1.Result<Even>> => {
          const result = validate(value);
          return result.issues === undefined
            ? result
            : { issues: [{ message: "odd", path: [{ key: "even" }] }] };
        },
      },
    } satisfies StandardSchemaV1<unknown, Even>;
    expect(await answerTo(local, later, { even: 3 }, { even: 2 })).toEqual({ even: 2 });
    expect(local.server.requests[1]?.body.messages.at(-1)?.content).toContain("- even: odd");
  });

  it("is refused at the definition where it cannot give its JSON Schema", () => {
    expect(() => llmFunction({ returns: bare })).toThrow(UsageError);
    expect(() => llmFunction({ returns: bare })).toThrow(/JSON Schema/);
  });

  it("may give it by a method of its own, as ArkType does", async () => {
    const ark = Object.assign(() => {}, { ...bare, toJsonSchema: () => jsonSchema });
    expect(await answerTo(local, ark, { even: 4 })).toEqual({ even: 4 });
  });
});

describe("what cannot become JSON Schema", () => {
  it.each([
    ["a zod 4 date", z.object({ at: z.date() })],
    ["a zod 4 bigint", z.bigint()],
    ["a zod 3 map's owner", z3.function()],
    ["a plain object", { type: "object" }],
    ["a string", "string"],
    ["null", null],
  ])("is refused at the definition: %s", (_name, returns) => {
    const define = () => llmFunction({ returns: returns as StandardSchemaV1 });
    expect(define).toThrow(UsageError);
    expect(define).toThrow(expect.objectContaining({ code: "invalid_schema" }));
  });
});
