// Judges the JSON Schemas of tools and answers, loosely or by the rules of strict structured outputs.

import { type Fields, refuse } from "./refusal.ts";

/** Where a schema stands: who owns it, and which parameter a refusal names. */
export interface SchemaPlace {
  readonly owner: string; // "function 'find'" or "response_format 'Report'"
  readonly param: string;
  readonly code: string | null;
  readonly strict: boolean;
}

const rootOnly = ["oneOf", "anyOf", "allOf", "enum", "not"];
const unsupported = [
  ...["allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "contains"],
  ...["patternProperties", "propertyNames", "unevaluatedProperties", "minProperties", "maxProperties"],
  ...["prefixItems", "unevaluatedItems", "uniqueItems", "minContains", "maxContains", "default"],
];
const formats = ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];
const maxDepth = 10;

export function checkSchema(schema: Fields, place: SchemaPlace): void {
  if (schema.type !== "object") {
    const got = schema.type === undefined ? "None" : String(schema.type);
    no(place, `schema must be a JSON Schema of 'type: "object"', got 'type: "${got}"'.`);
  }
  if (rootOnly.some((key) => schema[key] !== undefined)) {
    const keys = rootOnly.map((key) => `'${key}'`).join("/");
    no(place, `schema must have type 'object' and not have ${keys} at the top level.`);
  }
  if (!isSchema(schema.properties) && (place.strict || place.owner.startsWith("function")))
    at(place, [], "object schema missing properties.");
  walk(schema, place, [], 0, schema);
}

function walk(
  schema: unknown,
  place: SchemaPlace,
  path: readonly string[],
  depth: number,
  root: Fields,
): void {
  if (typeof schema === "boolean" && !place.strict) return;
  if (!isSchema(schema)) at(place, path, `${JSON.stringify(schema)} is not of type 'object', 'boolean'.`);
  if (place.strict) checkStrict(schema, place, path, depth, root);
  if (types(schema).includes("array") && schema.items === undefined && schema.prefixItems === undefined)
    at(place, path, "array schema missing items.");
  for (const [key, inner] of inside(schema)) {
    const deeper = key[0] === "properties" ? depth + 1 : depth;
    walk(inner, place, [...path, ...key], deeper, root);
  }
}

function checkStrict(
  schema: Fields,
  place: SchemaPlace,
  path: readonly string[],
  depth: number,
  root: Fields,
) {
  const banned = unsupported.find((key) => schema[key] !== undefined);
  if (banned !== undefined) at(place, path, `'${banned}' is not permitted.`);
  if (depth > maxDepth) no(place, `${depth} levels of nesting exceeds limit of ${maxDepth}.`);
  const ref = schema.$ref;
  if (ref !== undefined) return checkRef(ref, schema, place, path, root);
  const format = schema.format;
  if (format !== undefined && !formats.includes(String(format)))
    at(place, path, `'${format}' is not a valid format.`);
  if (["type", "anyOf", "enum", "const"].every((key) => schema[key] === undefined))
    at(place, path, "schema must have a 'type' key.");
  if (types(schema).includes("object") || schema.properties !== undefined) checkObject(schema, place, path);
}

function checkRef(ref: unknown, schema: Fields, place: SchemaPlace, path: readonly string[], root: Fields) {
  const beside = Object.keys(schema).filter((key) => key !== "$ref");
  if (beside.length > 0 && path.length > 0)
    at(place, path, `$ref cannot have keywords {${beside.map((key) => `'${key}'`).join(", ")}}.`);
  const steps = String(ref)
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  const found = steps.reduce<unknown>((node, step) => (isSchema(node) ? node[step] : undefined), root);
  if (!String(ref).startsWith("#") || found === undefined)
    at(place, path, `reference to component '${ref}' which was not found in the schema.`);
}

function checkObject(schema: Fields, place: SchemaPlace, path: readonly string[]): void {
  if (schema.additionalProperties !== false)
    at(place, path, "'additionalProperties' is required to be supplied and to be false.");
  const keys = isSchema(schema.properties) ? Object.keys(schema.properties) : [];
  const required: readonly unknown[] = Array.isArray(schema.required) ? schema.required : [];
  const rule = "'required' is required to be supplied and to be an array including every key in properties.";
  const missing = keys.find((key) => !required.includes(key));
  if (missing !== undefined) at(place, path, `${rule} Missing '${missing}'.`);
  const extra = required.find((key) => !keys.includes(String(key)));
  if (extra !== undefined) at(place, path, `${rule} Extra required key '${extra}' supplied.`);
}

/** Every schema right inside this one, with the keys that lead to it. */
function* inside(schema: Fields): Generator<readonly [readonly string[], unknown]> {
  for (const key of ["properties", "$defs", "definitions", "patternProperties", "dependentSchemas"]) {
    const map = schema[key];
    if (isSchema(map)) for (const [name, inner] of Object.entries(map)) yield [[key, name], inner];
  }
  for (const key of ["anyOf", "oneOf", "allOf", "prefixItems"]) {
    const list = schema[key];
    if (Array.isArray(list)) for (const [index, inner] of list.entries()) yield [[key, String(index)], inner];
  }
  for (const key of [
    "items",
    "additionalProperties",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "contains",
  ]) {
    const inner = schema[key];
    if (inner !== undefined && typeof inner !== "boolean") yield [[key], inner];
  }
}

function types(schema: Fields): readonly unknown[] {
  return Array.isArray(schema.type) ? schema.type : [schema.type];
}

function isSchema(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function at(place: SchemaPlace, path: readonly string[], message: string): never {
  const steps = path.map((step) => `'${step}'`);
  return no(place, `In context=(${steps.join(", ")}${steps.length === 1 ? "," : ""}), ${message}`);
}

function no(place: SchemaPlace, message: string): never {
  return refuse(`Invalid schema for ${place.owner}: ${message}`, place.param, place.code);
}
