// Random zod schemas with random values that fit them, and what a model would write for such a value.

import fc from "fast-check";
import { z } from "zod";

/** A schema, values of it, and the JSON that a model writes for one: `strict` ones write null for what is left out. */
export interface Shape {
  readonly schema: z.ZodType;
  readonly values: fc.Arbitrary<unknown>;
  readonly allowsNull: boolean;
  wire(value: unknown, strict: boolean): unknown;
}

const same = (value: unknown) => value;
const leaf = (schema: z.ZodType, values: fc.Arbitrary<unknown>, allowsNull = false): Shape => ({
  schema,
  values,
  allowsNull,
  wire: same,
});

/** Few names, so that the branches of a union share some. */
const word = fc.oneof(fc.constantFrom("a", "b", "c"), fc.stringMatching(/^[a-z][a-zA-Z0-9_]{0,8}$/));
const anyText = fc.string({ unit: "binary" }).filter((text) => text.isWellFormed());

const leaves: fc.Arbitrary<Shape> = fc.oneof(
  fc.constant(leaf(z.string(), anyText)),
  fc.constant(
    leaf(
      z.number(),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
    ),
  ),
  fc.constant(leaf(z.int(), fc.integer())),
  fc.constant(leaf(z.boolean(), fc.boolean())),
  fc.constant(leaf(z.null(), fc.constant(null), true)),
  fc.constant(
    leaf(
      z.iso.datetime(),
      fc
        .date({ noInvalidDate: true, min: new Date(0), max: new Date("9999-01-01") })
        .map((date) => date.toISOString()),
    ),
  ),
  fc
    .uniqueArray(word, { minLength: 1, maxLength: 4 })
    .map((list) => leaf(z.enum(list as [string, ...string[]]), fc.constantFrom(...list))),
  word.map((text) => leaf(z.literal(text), fc.constant(text))),
);

export const shapes: fc.Arbitrary<Shape> = fc.letrec<{ shape: Shape }>((tie) => ({
  shape: fc.oneof(
    { maxDepth: 3, depthSize: "small", withCrossShrink: true },
    leaves,
    tie("shape").map(arrayOf),
    tie("shape").map(nullable),
    fields(tie("shape")).map(objectOf),
    fc
      .uniqueArray(word, { minLength: 2, maxLength: 3 })
      .chain((tags) =>
        fc.tuple(...tags.map((tag) => fields(tie("shape")).map((list) => tagged(tag, list)))).map(unionOf),
      ),
    tie("shape").map(recordOf),
    fc.array(tie("shape"), { minLength: 1, maxLength: 3 }).map(tupleOf),
  ),
})).shape;

interface Field {
  readonly key: string;
  readonly shape: Shape;
  readonly optional: boolean;
}

function fields(shape: fc.Arbitrary<Shape>): fc.Arbitrary<Field[]> {
  const field = fc.record({ key: word, shape, optional: fc.boolean() });
  return fc.uniqueArray(field, { maxLength: 4, selector: ({ key }) => key });
}

function arrayOf(item: Shape): Shape {
  return {
    schema: z.array(item.schema),
    values: fc.array(item.values, { maxLength: 4 }),
    allowsNull: false,
    wire: (value, strict) => (value as unknown[]).map((inner) => item.wire(inner, strict)),
  };
}

function nullable(inner: Shape): Shape {
  return {
    schema: z.nullable(inner.schema),
    values: fc.option(inner.values, { nil: null }),
    allowsNull: true,
    wire: (value, strict) => (value === null ? null : inner.wire(value, strict)),
  };
}

/** What is optional and may be null too is not told apart in the strict form: there such a field is never left out. */
const mayBeLeftOut = ({ optional, shape }: Field) => optional && !shape.allowsNull;

function objectOf(list: readonly Field[]): Shape {
  return {
    schema: z.object(
      Object.fromEntries(
        list.map(({ key, shape, optional }) => [key, optional ? shape.schema.optional() : shape.schema]),
      ),
    ),
    values: fc.record(Object.fromEntries(list.map(({ key, shape }) => [key, shape.values])), {
      requiredKeys: list.filter((field) => !mayBeLeftOut(field)).map(({ key }) => key),
      noNullPrototype: true,
    }),
    allowsNull: false,
    wire(value, strict) {
      const given = new Map(Object.entries(value as object));
      const written = list.flatMap(({ key, shape }) => {
        if (given.has(key)) return [[key, shape.wire(given.get(key), strict)]];
        return strict ? [[key, null]] : [];
      });
      return Object.fromEntries(written);
    },
  };
}

function tagged(tag: string, list: readonly Field[]): Shape & { readonly tag: string } {
  const kind: Field = { key: "kind", shape: leaf(z.literal(tag), fc.constant(tag)), optional: false };
  return { ...objectOf([kind, ...list.filter(({ key }) => key !== "kind")]), tag };
}

function unionOf(branches: readonly (Shape & { readonly tag: string })[]): Shape {
  const schemas = branches.map(({ schema }) => schema) as unknown as [z.ZodObject, ...z.ZodObject[]];
  return {
    schema: z.discriminatedUnion("kind", schemas),
    values: fc.oneof(...branches.map(({ values }) => values)),
    allowsNull: false,
    wire(value, strict) {
      const { kind } = value as { kind: string };
      return branches.find(({ tag }) => tag === kind)?.wire(value, strict);
    },
  };
}

function recordOf(item: Shape): Shape {
  return {
    schema: z.record(z.string(), item.schema),
    values: fc.dictionary(word, item.values, { maxKeys: 3, noNullPrototype: true }),
    allowsNull: false,
    wire: (value, strict) =>
      Object.fromEntries(
        Object.entries(value as object).map(([key, inner]) => [key, item.wire(inner, strict)]),
      ),
  };
}

function tupleOf(items: readonly Shape[]): Shape {
  return {
    schema: z.tuple(items.map(({ schema }) => schema) as [z.ZodType, ...z.ZodType[]]),
    values: fc.tuple(...items.map(({ values }) => values)),
    allowsNull: false,
    wire: (value, strict) => items.map((item, at) => item.wire((value as unknown[])[at], strict)),
  };
}
