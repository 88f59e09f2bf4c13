// Every kind of schema: accepted by the strict server, and back as the value that the model wrote.

import { describe, expect, it } from "vitest";
import { z } from "zod";
import { useServer } from "../models/local.ts";
import { answerTo, fits, formatOf } from "./ask-for.ts";

const local = useServer();

interface Kind {
  readonly name: string;
  readonly schema: z.ZodType;
  /** What the model writes, wrapped where the root is. */
  readonly wire: unknown;
  readonly value?: unknown;
}

const Category: z.ZodType = z.object({
  name: z.string(),
  get children() {
    return z.array(Category);
  },
});

const Person = z.object({
  name: z.string(),
  get boss() {
    return Person.optional();
  },
});

const Described = z.object({
  name: z.string(),
  get left(): z.ZodOptional<z.ZodType> {
    return z.optional(Described.describe("the left branch"));
  },
  get right(): z.ZodNullable<z.ZodType> {
    return z.nullable(Described).describe("the right branch");
  },
});

const Circle = z.object({ kind: z.literal("circle"), r: z.number(), label: z.string().optional() });
const Square = z.object({ kind: z.literal("square"), a: z.number(), label: z.string().nullable() });

const strict: readonly Kind[] = [
  {
    name: "an intersection",
    schema: z.object({ i: z.intersection(z.object({ a: z.int() }), z.object({ b: z.int() })) }),
    wire: { i: { a: 1, b: 2 } },
  },
  {
    name: "an object",
    schema: z.object({ a: z.string(), b: z.number(), c: z.boolean() }),
    wire: { a: "x", b: 1.5, c: true },
  },
  { name: "an empty object", schema: z.object({}), wire: {} },
  { name: "an integer with bounds", schema: z.object({ n: z.int().min(1).max(9) }), wire: { n: 5 } },
  { name: "a string with lengths", schema: z.object({ s: z.string().min(1).max(9) }), wire: { s: "five" } },
  { name: "a pattern", schema: z.object({ s: z.string().regex(/^a+$/) }), wire: { s: "aaa" } },
  {
    name: "optionals as null",
    schema: z.object({ a: z.string().optional(), b: z.object({ c: z.number().optional() }).optional() }),
    wire: { a: null, b: { c: null } },
    value: { b: {} },
  },
  { name: "optionals that are there", schema: z.object({ a: z.string().optional() }), wire: { a: "x" } },
  {
    name: "nullables",
    schema: z.object({ a: z.string().nullable(), b: z.int().nullish() }),
    wire: { a: null, b: null },
  },
  {
    name: "optionals beside nullables",
    schema: z.object({ a: z.string().nullable(), b: z.string().optional() }),
    wire: { a: null, b: null },
    value: { a: null },
  },
  {
    name: "optionals in an array",
    schema: z.object({ list: z.array(z.object({ a: z.int().optional() })) }),
    wire: { list: [{ a: null }, { a: 1 }] },
    value: { list: [{}, { a: 1 }] },
  },
  { name: "an enum", schema: z.object({ c: z.enum(["red", "blue"]) }), wire: { c: "blue" } },
  {
    name: "a literal",
    schema: z.object({ v: z.literal(1), w: z.literal(["a", "b"]), n: z.null() }),
    wire: { v: 1, w: "b", n: null },
  },
  {
    name: "a union of scalars",
    schema: z.object({ v: z.union([z.string(), z.number(), z.null()]) }),
    wire: { v: 7 },
  },
  {
    name: "a tagged union",
    schema: z.object({ s: z.discriminatedUnion("kind", [Circle, Square]) }),
    wire: { s: { kind: "circle", r: 1, label: null } },
    value: { s: { kind: "circle", r: 1 } },
  },
  {
    name: "the other tag, whose null stays",
    schema: z.object({ s: z.discriminatedUnion("kind", [Circle, Square]) }),
    wire: { s: { kind: "square", a: 1, label: null } },
  },
  {
    name: "an optional tagged union",
    schema: z.object({ s: z.discriminatedUnion("kind", [Circle, Square]).optional() }),
    wire: { s: null },
    value: {},
  },
  {
    name: "nested arrays",
    schema: z.object({ m: z.array(z.array(z.int())) }),
    wire: { m: [[1, 2], [], [3]] },
  },
  {
    name: "an array with a length",
    schema: z.object({ m: z.array(z.int()).min(1).max(3) }),
    wire: { m: [1] },
  },
  {
    name: "recursion at the root",
    schema: Category,
    wire: { name: "a", children: [{ name: "b", children: [] }] },
  },
  {
    name: "recursion by an optional",
    schema: Person,
    wire: { name: "a", boss: { name: "b", boss: null } },
    value: { name: "a", boss: { name: "b" } },
  },
  {
    name: "recursion inside",
    schema: z.object({ tree: Category, also: Category }),
    wire: { tree: { name: "a", children: [] }, also: { name: "b", children: [] } },
  },
  {
    name: "recursion with descriptions",
    schema: Described,
    wire: { name: "a", left: { name: "b", left: null, right: null }, right: null },
    value: { name: "a", left: { name: "b", right: null }, right: null },
  },
  {
    name: "a described property",
    schema: z.object({ a: z.string().describe("the a"), b: z.object({}).describe("the b").optional() }),
    wire: { a: "x", b: {} },
  },
  {
    name: "a shared schema with an id",
    schema: z.object({
      a: z.object({ x: z.int() }).meta({ id: "Point7" }),
      b: z.array(z.object({ y: z.int() }).meta({ id: "Line7", description: "a line" })),
    }),
    wire: { a: { x: 1 }, b: [{ y: 2 }] },
  },
  {
    name: "dates as text",
    schema: z.object({ at: z.iso.datetime(), on: z.iso.date(), when: z.iso.time() }),
    wire: { at: "2024-01-02T03:04:05Z", on: "2024-01-02", when: "03:04:05" },
  },
  {
    name: "formats",
    schema: z.object({ e: z.email(), u: z.uuid(), l: z.url(), i: z.ipv4() }),
    wire: { e: "a@b.de", u: "3b241101-e2bb-4255-8caf-4136c566a962", l: "https://a.de/", i: "1.2.3.4" },
  },
  {
    name: "defaults as null",
    schema: z.object({ n: z.int().default(3), s: z.string().default("x") }),
    wire: { n: null, s: "y" },
    value: { n: 3, s: "y" },
  },
  {
    name: "a coerced optional as null",
    schema: z.object({ n: z.coerce.number().optional(), s: z.coerce.string().optional() }),
    wire: { n: null, s: null },
    value: {},
  },
  { name: "a strict object", schema: z.strictObject({ a: z.int() }), wire: { a: 1 } },
  {
    name: "a readonly and branded value",
    schema: z.object({ a: z.string().brand("Id").readonly() }),
    wire: { a: "x" },
  },
];

const wrapped: readonly Kind[] = [
  { name: "a number", schema: z.number(), wire: { value: 4.5 }, value: 4.5 },
  { name: "a boolean", schema: z.boolean(), wire: { value: false }, value: false },
  { name: "null", schema: z.null(), wire: { value: null }, value: null },
  { name: "an enum", schema: z.enum(["red", "blue"]), wire: { value: "red" }, value: "red" },
  {
    name: "an array of objects",
    schema: z.array(z.object({ a: z.int().optional() })),
    wire: { value: [{ a: 1 }, { a: null }] },
    value: [{ a: 1 }, {}],
  },
  { name: "a nullable string", schema: z.string().nullable(), wire: { value: null }, value: null },
  {
    name: "a tagged union",
    schema: z.discriminatedUnion("kind", [Circle, Square]),
    wire: { value: { kind: "circle", r: 2, label: null } },
    value: { kind: "circle", r: 2 },
  },
  {
    name: "an array of a recursive schema",
    schema: z.array(Category),
    wire: { value: [{ name: "a", children: [] }] },
    value: [{ name: "a", children: [] }],
  },
  {
    name: "a nullable recursive schema",
    schema: z.nullable(Person),
    wire: { value: { name: "a", boss: null } },
    value: { name: "a" },
  },
  {
    name: "a JSON-like recursive union",
    schema: z.lazy(() => Tree),
    wire: { value: [1, [2, [3]]] },
    value: [1, [2, [3]]],
  },
  {
    name: "an object that has a property value",
    schema: z.array(z.object({ value: z.int() })),
    wire: { value: [{ value: 1 }] },
    value: [{ value: 1 }],
  },
];

const Tree: z.ZodType = z.lazy(() => z.union([z.int(), z.array(Tree)]));

const loose: readonly Kind[] = [
  {
    name: "a string that begins so",
    schema: z.object({ s: z.string().startsWith("ab").endsWith("c") }),
    wire: { s: "abc" },
  },
  {
    name: "a record",
    schema: z.object({ r: z.record(z.string(), z.number()) }),
    wire: { r: { a: 1, b: 2 } },
  },
  { name: "a record at the root", schema: z.record(z.string(), z.number()), wire: { a: 1, b: 2 } },
  {
    name: "a record with names that objects have",
    schema: z.object({ r: z.record(z.string(), z.int().nullable()) }),
    wire: { r: { constructor: null, toString: 1 } },
  },
  { name: "a tuple", schema: z.object({ t: z.tuple([z.string(), z.int()]) }), wire: { t: ["a", 1] } },
  {
    name: "a tuple with a rest",
    schema: z.object({ t: z.tuple([z.string()], z.int()) }),
    wire: { t: ["a", 1, 2] },
  },
  { name: "a loose object", schema: z.looseObject({ a: z.int() }), wire: { a: 1, b: "more" } },
  {
    name: "any and unknown",
    schema: z.object({ a: z.any(), u: z.unknown() }),
    wire: { a: [1], u: { deep: null } },
  },
];

describe("strict schemas", () => {
  it.each([...strict])("hold $name", async ({ schema, wire, value = wire }) => {
    expect(await answerTo(local, schema, wire)).toEqual(value);
    const format = formatOf(local);
    expect(format?.strict).toBe(true);
    expect(fits(format?.schema ?? {}, wire)).toBe(true);
  });

  it.each([...wrapped])("wrap $name", async ({ schema, wire, value }) => {
    expect(await answerTo(local, schema, wire)).toEqual(value);
    expect(formatOf(local)).toMatchObject({ strict: true, schema: { type: "object", required: ["value"] } });
    expect(await answerTo(local, schema, JSON.stringify(value))).toEqual(value);
  });

  it("leave a schema with 12 levels to the loose form, as OpenAI takes 10", async () => {
    let schema: z.ZodType = z.object({ leaf: z.int() });
    let wire: unknown = { leaf: 1 };
    for (let level = 0; level < 12; level++) {
      schema = z.object({ deeper: schema });
      wire = { deeper: wire };
    }
    expect(await answerTo(local, schema, wire)).toEqual(wire);
  });

  it("take the name of the definition, cut to what OpenAI takes", async () => {
    await answerTo(local, z.object({ a: z.int() }), { a: 1 });
    expect(formatOf(local)?.name).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
  });
});

describe("loose schemas", () => {
  it.each([...loose])("hold $name", async ({ schema, wire, value = wire }) => {
    expect(await answerTo(local, schema, wire)).toEqual(value);
    expect(formatOf(local)?.strict).toBe(false);
  });

  it("lose the nulls for optionals inside records and tuples, which many models write", async () => {
    const item = z.object({ a: z.int().optional() });
    const schema = z.object({ r: z.record(z.string(), item), t: z.tuple([item]) });
    expect(await answerTo(local, schema, { r: { k: { a: null } }, t: [{ a: null }] })).toEqual({
      r: { k: {} },
      t: [{}],
    });
  });
});

describe("a plain string", () => {
  it("is the text as it is, without a format", async () => {
    expect(await answerTo(local, z.string(), '{"not": "parsed"}\n')).toBe('{"not": "parsed"}\n');
    expect(formatOf(local)).toBeUndefined();
  });

  it("is checked, and asked for again where it does not fit", async () => {
    expect(await answerTo(local, z.string().max(5), "much too long", "short")).toBe("short");
    expect(local.server.requests[1]?.body.messages.at(-1)?.content).toMatch(/not valid:\n- .*5/s);
  });
});
