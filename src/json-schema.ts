/** What is done to JSON Schemas: the strict form that OpenAI takes, an object at the root, optionals by null. */
import { isPlainObject, type JsonObject } from "./json.ts";

type Node = Readonly<Record<string, unknown>>;

/** A schema whose root is an object: other roots are wrapped as `{ value: … }`, which OpenAI's API demands. */
export function objectRoot(schema: JsonObject): { schema: JsonObject; wrapped: boolean } {
  if (schema.type === "object" && schema.anyOf === undefined && schema.oneOf === undefined) {
    return { schema, wrapped: false };
  }
  const { $defs, definitions, $schema: _, ...root } = schema;
  const inner = mapRefs(root, (ref) =>
    ref === "#" || !/^#\/(\$defs|definitions)\//.test(ref) ? `#/properties/value${ref.slice(1)}` : ref,
  );
  return {
    wrapped: true,
    schema: {
      type: "object",
      properties: { value: inner },
      required: ["value"],
      additionalProperties: false,
      ...($defs === undefined ? {} : { $defs }),
      ...(definitions === undefined ? {} : { definitions }),
    } as JsonObject,
  };
}

/**
 * The schema in OpenAI's strict subset, or `undefined` where it cannot be said there (records, tuples, any).
 * Every property is required and optional ones may be null; what the subset lacks and the validator checks
 * anyway (lengths, defaults, unknown formats) is left out.
 * Source: OpenAI's guide "Structured model outputs", section "Supported schemas".
 */
export function strictSchema(schema: JsonObject): JsonObject | undefined {
  try {
    const strict = strictNode(schema);
    return levelsOf(strict) > levelsMax ? undefined : (strict as JsonObject);
  } catch (error) {
    if (error instanceof NotStrict) return undefined;
    throw error;
  }
}

class NotStrict extends Error {}

const dropped = new Set(
  ["$schema", "default", "title", "examples", "minLength", "maxLength", "$id"].concat([
    "readOnly",
    "writeOnly",
    "deprecated",
    "id",
  ]),
);
/** OpenAI takes 10 levels of objects. */
const levelsMax = 10;
const kept = new Set(
  ["type", "description", "enum", "const", "$ref", "pattern", "multipleOf", "minimum", "maximum"].concat([
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minItems",
    "maxItems",
  ]),
);
const formats = new Set("date-time time date duration email hostname ipv4 ipv6 uuid".split(" "));

function levelsOf(node: unknown): number {
  if (Array.isArray(node)) return Math.max(0, ...node.map(levelsOf));
  if (!isPlainObject(node)) return 0;
  const below = Object.entries(node).map(([key, inner]) =>
    key === "properties" ? 1 + levelsOf(Object.values(inner as Node)) : levelsOf(inner),
  );
  return Math.max(0, ...below);
}

function strictNode(node: unknown): Node {
  if (!isPlainObject(node)) throw new NotStrict();
  // Nothing may stand beside a reference, not even its description.
  if (typeof node.$ref === "string") return { $ref: node.$ref };
  const strict: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(node)) {
    if (dropped.has(key)) continue;
    if (kept.has(key)) strict[key] = value;
    else if (key === "format") {
      if (typeof value === "string" && formats.has(value)) strict.format = value;
    } else if (key === "anyOf" || key === "oneOf") strict.anyOf = list(value).map(strictNode);
    else if (key === "allOf" && list(value).length === 1) Object.assign(strict, strictNode(list(value)[0]));
    else if (key === "items" && isPlainObject(value)) strict.items = strictNode(value);
    else if (key === "$defs" || key === "definitions") strict[key] = mapValues(value, strictNode);
    else if (key === "properties" || key === "required" || key === "additionalProperties") continue;
    else throw new NotStrict();
  }
  if (node.type === "object") strictObject(node, strict);
  else if (node.type === "array" && strict.items === undefined) throw new NotStrict();
  if (["type", "anyOf", "$ref", "enum", "const"].every((key) => strict[key] === undefined)) {
    throw new NotStrict();
  }
  return strict;
}

function strictObject(node: Node, strict: Record<string, unknown>): void {
  if (node.additionalProperties !== undefined && node.additionalProperties !== false) throw new NotStrict();
  const required = new Set(list(node.required));
  strict.properties = Object.fromEntries(
    Object.entries(properties(node)).map(([key, value]) => {
      const property = strictNode(value);
      return [key, required.has(key) || allowsNull(property) ? property : orNull(property)];
    }),
  );
  strict.required = Object.keys(properties(node));
  strict.additionalProperties = false;
}

function orNull({ description, ...schema }: Node): Node {
  return {
    ...(description === undefined ? {} : { description }),
    anyOf: [schema, { type: "null" }],
  };
}

function allowsNull(schema: Node): boolean {
  return (
    schema.type === "null" ||
    list(schema.type).includes("null") ||
    list(schema.anyOf ?? schema.oneOf).some((branch) => isPlainObject(branch) && allowsNull(branch))
  );
}

/**
 * The value without the nulls that stand for optional properties which may not be null: strict mode makes a
 * model write them, and many models write them anyway. Returns the same value where there is none.
 */
export function withoutNulls(value: unknown, schema: JsonObject): unknown {
  return holdsNull(value) ? strip(value, schema, schema) : value;
}

function holdsNull(value: unknown): boolean {
  if (typeof value !== "object") return false;
  return value === null || Object.values(value).some(holdsNull);
}

function strip(value: unknown, schema: unknown, root: Node): unknown {
  const nodes = branchesOf(schema, root, 0);
  if (Array.isArray(value)) {
    const tuple = nodes.map((node) => node.prefixItems).find(Array.isArray) ?? [];
    const rest = nodes.map((node) => node.items).find(isPlainObject);
    return value.map((item, index) => strip(item, tuple[index] ?? rest, root));
  }
  if (!isPlainObject(value)) return value;
  const objects = nodes.filter(
    (node) => isPlainObject(node.properties) || isPlainObject(node.additionalProperties),
  );
  const fitting = objects.filter((node) => matches(node, value, root));
  const owners = fitting.length > 0 ? fitting : objects;
  const entries = Object.entries(value).flatMap(([key, item]): [string, unknown][] => {
    const own = owners.filter((node) => Object.hasOwn(properties(node), key));
    const optional = own.every(
      (node) =>
        !list(node.required).includes(key) &&
        !branchesOf(properties(node)[key], root, 0).some((branch) => allowsNull(branch)),
    );
    if (item === null && own.length > 0 && optional) return [];
    const [owner] = own;
    const inner = owner === undefined ? owners.find(hasRest)?.additionalProperties : properties(owner)[key];
    return [[key, strip(item, inner, root)]];
  });
  return Object.fromEntries(entries);
}

function hasRest(node: Node): boolean {
  return isPlainObject(node.additionalProperties);
}

/** Whether the constants of an object schema are those of the value: picks the branch of a tagged union. */
function matches(node: Node, value: Record<string, unknown>, root: Node): boolean {
  return Object.entries(properties(node)).every(([key, schema]) =>
    branchesOf(schema, root, 0).some((branch) => branch.const === undefined || branch.const === value[key]),
  );
}

function branchesOf(schema: unknown, root: Node, depth: number): Node[] {
  if (!isPlainObject(schema) || depth > 16) return [];
  if (typeof schema.$ref === "string") return branchesOf(resolve(schema.$ref, root), root, depth + 1);
  const branches = list(schema.anyOf ?? schema.oneOf ?? schema.allOf);
  return branches.length === 0
    ? [schema]
    : [schema, ...branches.flatMap((branch) => branchesOf(branch, root, depth + 1))];
}

function resolve(ref: string, root: Node): unknown {
  let node: unknown = root;
  for (const key of ref.replace(/^#\/?/, "").split("/").filter(Boolean)) {
    const name = decodeURIComponent(key).replaceAll("~1", "/").replaceAll("~0", "~");
    if (Array.isArray(node)) node = node[Number(name)];
    else node = isPlainObject(node) ? node[name] : undefined;
  }
  return node;
}

function mapRefs(value: unknown, change: (ref: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => mapRefs(item, change));
  if (!isPlainObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      key === "$ref" && typeof item === "string" ? change(item) : mapRefs(item, change),
    ]),
  );
}

function mapValues(value: unknown, change: (item: unknown) => Node): Node {
  if (!isPlainObject(value)) throw new NotStrict();
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, change(item)]));
}

function properties(node: Node): Node {
  return isPlainObject(node.properties) ? node.properties : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
