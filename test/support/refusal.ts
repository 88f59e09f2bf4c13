// Says no the way the OpenAI API does: one error shape, and the checks whose messages are the real ones.

export interface Refusal {
  readonly message: string;
  readonly type: "invalid_request_error";
  readonly param: string | null;
  readonly code: string | null;
}

export type Fields = { readonly [key: string]: unknown };

class Refused extends Error {
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

export function refuse(message: string, param: string | null = null, code: string | null = null): never {
  throw new Refused({ message, type: "invalid_request_error", param, code });
}

/** What the checks refuse, or nothing. */
export function refusalFrom(check: () => void): Refusal | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (error instanceof Refused) return error.refusal;
    throw error;
  }
}

export function expectString(value: unknown, path: string): string {
  return typeof value === "string" ? value : wrongType(value, path, "a string");
}

export function expectBoolean(value: unknown, path: string): boolean {
  return typeof value === "boolean" ? value : wrongType(value, path, "a boolean");
}

export function expectNumber(value: unknown, path: string, min: number, max: number): number {
  if (typeof value !== "number" || !Number.isFinite(value)) return wrongType(value, path, "a decimal");
  const unit = `decimal_${value < min ? "below_min" : "above_max"}_value`;
  if (value < min)
    refuse(
      `Invalid '${path}': decimal below minimum value. Expected a value >= ${min}, but got ${value} instead.`,
      path,
      unit,
    );
  if (value > max)
    refuse(
      `Invalid '${path}': decimal above maximum value. Expected a value <= ${max}, but got ${value} instead.`,
      path,
      unit,
    );
  return value;
}

export function expectInteger(
  value: unknown,
  path: string,
  min = -Infinity,
  max = Number.MAX_SAFE_INTEGER,
): number {
  return Number.isInteger(value) ? expectNumber(value, path, min, max) : wrongType(value, path, "an integer");
}

export function expectFields(value: unknown, path: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return wrongType(value, path, "an object");
  return value as Fields;
}

export function expectArray(value: unknown, path: string, of = "objects"): readonly unknown[] {
  if (!Array.isArray(value)) return wrongType(value, path, `an array of ${of}`);
  if (value.length === 0)
    refuse(
      `Invalid '${path}': empty array. Expected an array with minimum length 1, but got an empty array instead.`,
      path,
      "empty_array",
    );
  return value;
}

export function expectOneOf(value: unknown, path: string, allowed: readonly string[]): string {
  const text = expectString(value, path);
  if (allowed.includes(text)) return text;
  return refuse(`Invalid value: '${text}'. Supported values are: ${listed(allowed)}.`, path, "invalid_value");
}

export function expectLength(value: unknown, path: string, max: number, min = 1): string {
  const text = expectString(value, path);
  if (text.length < min)
    refuse(
      `Invalid '${path}': empty string. Expected a string with minimum length ${min}, but got an empty string instead.`,
      path,
      "empty_string",
    );
  if (text.length > max)
    refuse(
      `Invalid '${path}': string too long. Expected a string with maximum length ${max}, but got a string with length ${text.length} instead.`,
      path,
      "string_above_max_length",
    );
  return text;
}

/** A name as functions and schemas have it: 1 to 64 of the given characters. */
export function expectName(value: unknown, path: string, pattern = /^[a-zA-Z0-9_-]+$/): string {
  const text = expectLength(value, path, 64);
  if (!pattern.test(text))
    refuse(
      `Invalid '${path}': string does not match pattern. Expected a string that matches the pattern '${pattern.source}'.`,
      path,
      "invalid_value",
    );
  return text;
}

/** Keys whose value is `undefined` are not sent, so they do not count. */
export function expectKeys(fields: Fields, allowed: readonly string[], path: string): void {
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined || allowed.includes(key)) continue;
    const param = path === "" ? key : `${path}.${key}`;
    refuse(`Unknown parameter: '${param}'.`, param, "unknown_parameter");
  }
}

export function expectPresent(fields: Fields, key: string, path: string): unknown {
  const param = path === "" ? key : `${path}.${key}`;
  const value = fields[key];
  if (value === undefined)
    refuse(`Missing required parameter: '${param}'.`, param, "missing_required_parameter");
  return value;
}

export function wrongType(value: unknown, path: string, expected: string): never {
  return refuse(
    `Invalid type for '${path}': expected ${expected}, but got ${kindOf(value)} instead.`,
    path,
    "invalid_type",
  );
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "number") return Number.isInteger(value) ? "an integer" : "a decimal";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

function listed(values: readonly string[]): string {
  const quoted = values.map((value) => `'${value}'`);
  const last = quoted.pop() ?? "";
  if (quoted.length === 0) return last;
  return `${quoted.join(", ")}${quoted.length > 1 ? "," : ""} and ${last}`;
}
