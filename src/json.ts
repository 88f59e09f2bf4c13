/** JSON values: their type, a copy, a check that says where a value is not JSON, and text from any value. */

export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };
export type JsonObject = { readonly [key: string]: Json | undefined };

/**
 * A deep copy of plain JSON data; anything else (dates, class instances) is kept as it is. Half a surrogate pair,
 * which many servers refuse, becomes U+FFFD.
 */
export function copyJson<T>(value: T): T {
  if (typeof value === "string") return value.toWellFormed() as T & string;
  if (Array.isArray(value)) return value.map((item) => copyJson(item)) as T;
  if (!isPlainObject(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    if (key !== "__proto__") copy[key] = copyJson(value[key]);
    else Object.defineProperty(copy, key, { value: copyJson(value[key]), enumerable: true });
  }
  return copy as T;
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** What kind of value this is, for an error message: `null`, `an array`, `a string`, `a Map`. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (value === undefined) return "undefined";
  if (Array.isArray(value)) return "an array";
  if (typeof value !== "object") return `a ${typeof value}`;
  const name = Object.getPrototypeOf(value)?.constructor?.name;
  return typeof name === "string" && name !== "" && name !== "Object" ? `a ${name}` : "an object";
}

/** The same, with the value where it is short: `a number (NaN)`, `a string ("")`. */
export function shown(value: unknown): string {
  if (typeof value === "number") return Number.isFinite(value) ? `a number (${value})` : String(value);
  return typeof value === "string" && value.length <= 40 ? `a string ("${value}")` : kindOf(value);
}

/** The JSON text of a value, or `undefined` where it has none (functions, cycles, bigints). */
export function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

/** How deep stored data may be nested: databases and parsers have limits of their own. */
const deepest = 500;

/**
 * Where a value is no plain JSON, as a path and a kind: `args[0].when is a Date`. Nothing where all of it is JSON;
 * properties that are `undefined` count as left out.
 */
export function jsonProblem(
  value: unknown,
  path: string,
  above: readonly unknown[] = [],
): string | undefined {
  if (value === null || typeof value === "string" || typeof value === "boolean") return undefined;
  if (typeof value === "number" && Number.isFinite(value)) return undefined;
  if (above.includes(value)) return `${path} is part of itself`;
  if (above.length >= deepest) return `${path.slice(0, 100)}… is nested more than ${deepest} deep`;
  const inside = [...above, value];
  if (Array.isArray(value)) {
    // By index, as a hole in an array is no JSON either.
    const items = Array.from(value, (item, index) => jsonProblem(item, `${path}[${index}]`, inside));
    return items.find((problem) => problem !== undefined);
  }
  if (!isPlainObject(value)) return `${path} is ${shown(value)}`;
  for (const [key, item] of Object.entries(value)) {
    const problem = item === undefined ? undefined : jsonProblem(item, `${path}.${key}`, inside);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Some text for any value at all: it never throws, whatever the value's own methods do. */
export function textOf(value: unknown): string {
  try {
    if (value instanceof Error) return value.message || value.name;
    if (typeof value !== "object" || value === null) return String(value);
    return JSON.stringify(value) ?? String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}

/** `JSON.parse` as a value: what is not JSON is `undefined`, which no JSON text means. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A readable, JSON-safe form of an error, with its causes, eight at most. */
export function errorToJson(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return jsonText(error) === undefined ? textOf(error) : error;
  const { name, message, cause } = error;
  const code = "code" in error ? error.code : undefined;
  return {
    name,
    message,
    ...(typeof code === "string" || typeof code === "number" ? { code } : {}),
    ...(cause === undefined || depth >= 8 ? {} : { cause: errorToJson(cause, depth + 1) }),
  };
}
