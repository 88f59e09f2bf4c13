/** Keeps single values inside the bounds of their schema, and fills in where nothing is known. */
import type { Material } from "./facts.ts";
import type { Schema } from "./schema-shape.ts";

const GOOD =
  /\b(?:good|great|love[ds]?|excellent|happy|wonderful|fast|perfect|best|like[ds]?|recommend\w*)\b/;
const BAD =
  /\b(?:bad|terrible|hate[ds]?|awful|broken|slow|worst|poor|angry|disappoint\w*|crash\w*|not work\w*)\b/;

const FORMATS: Readonly<Record<string, readonly [RegExp, string]>> = {
  email: [/^\S+@\S+\.\S+$/, "nobody@example.com"],
  uri: [/^[a-z][\w+.-]*:\S+$/i, "https://example.com/"],
  url: [/^[a-z][\w+.-]*:\S+$/i, "https://example.com/"],
  uuid: [/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i, "00000000-0000-4000-8000-000000000000"],
  date: [/^\d{4}-\d{2}-\d{2}$/, "1970-01-01"],
  "date-time": [/^\d{4}-\d{2}-\d{2}T[\d:.]+(?:Z|[+-]\d{2}:\d{2})$/, "1970-01-01T00:00:00Z"],
  time: [/^\d{2}:\d{2}:\d{2}/, "00:00:00Z"],
};

/** The value cut to its schema's bounds, or `undefined` where it cannot fit. */
export function limited<T extends string | number>(value: T | undefined, schema: Schema): T | undefined {
  if (value === undefined) return undefined;
  return (typeof value === "string" ? text(value, schema) : number(value, schema)) as T | undefined;
}

/** A value that fits where nothing is known: plain, empty, never a guess that looks like knowledge. */
export function filler(schema: Schema, { prose }: Material): unknown {
  if ("const" in schema) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0];
  switch (schema.type) {
    case "boolean":
      return false;
    case "number":
    case "integer":
      return number(bound(schema.minimum) ?? 0, schema);
    case "string": {
      const format = typeof schema.format === "string" ? FORMATS[schema.format] : undefined;
      return text(prose || "unknown", schema) ?? format?.[1] ?? "";
    }
    default:
      return prose;
  }
}

/** "positive", "negative" or "neutral" by a few plain words, where these are the choices. */
export function moodOf(values: readonly unknown[], words: string): unknown {
  if (!values.includes("positive") || !values.includes("negative")) return undefined;
  const [good, bad] = [GOOD.test(words), BAD.test(words)];
  if (good !== bad) return good ? "positive" : "negative";
  return values.find((value) => value === "neutral" || value === "mixed");
}

function text(value: string, schema: Schema): string | undefined {
  const format = typeof schema.format === "string" ? FORMATS[schema.format]?.[0] : undefined;
  if (format && !format.test(value)) return undefined;
  const least = bound(schema.minLength) ?? 0;
  const fitting = value.padEnd(least, ".").slice(0, bound(schema.maxLength) ?? value.length + least);
  return typeof schema.pattern === "string" && !new RegExp(schema.pattern).test(fitting)
    ? undefined
    : fitting;
}

function number(value: number, schema: Schema): number {
  const step = schema.type === "integer" ? 1 : 0.01;
  const above = bound(schema.exclusiveMinimum);
  const below = bound(schema.exclusiveMaximum);
  const least = Math.max(bound(schema.minimum) ?? -Infinity, above === undefined ? -Infinity : above + step);
  const most = Math.min(bound(schema.maximum) ?? Infinity, below === undefined ? Infinity : below - step);
  const whole = schema.type === "integer" ? Math.round(value) : value;
  return Math.min(most, Math.max(least, whole));
}

function bound(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}
