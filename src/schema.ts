/** The one door for schemas: zod 4, zod 3 or any Standard Schema becomes a JSON Schema and a validator. */
import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec";
import { type $ZodType, toJSONSchema } from "zod/v4/core";
import { zodToJsonSchema } from "zod-to-json-schema";
import { UsageError } from "./errors.ts";
import { isPlainObject, type JsonObject, kindOf } from "./json.ts";
import { withoutNulls } from "./json-schema.ts";

/**
 * A schema that can give its JSON Schema: zod 4, zod 3 (3.25 or newer), ArkType, and any other Standard
 * Schema that implements Standard JSON Schema. Source: https://standardschema.dev
 */
export type Schema<Output = unknown> = StandardSchemaV1<unknown, Output> | StandardSchemaV1<never, Output>;
export type InferOutput<S extends StandardSchemaV1> = StandardSchemaV1.InferOutput<S>;

export type Validated<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly issues: readonly string[] };

/** A schema, read once: what a model is told, and what its JSON is checked with. */
export interface Parser<T> {
  readonly jsonSchema: JsonObject;
  validate(value: unknown): Promise<Validated<T>>;
}

/** @throws UsageError `invalid_schema` where `schema` is none or cannot become JSON Schema; `place` names it. */
export function parserOf<T>(schema: StandardSchemaV1<unknown, T>, place: string): Parser<T> {
  if (!isStandardSchema(schema)) {
    throw new UsageError(
      "invalid_schema",
      `${place} must be a zod schema or another Standard Schema, not ${kindOf(schema)}. ` +
        "Write for example z.object({ topic: z.string() }).",
    );
  }
  const jsonSchema = toJsonSchema(schema, place);
  return {
    jsonSchema,
    async validate(value) {
      // Before the schema sees them: one that coerces would make 0 or "null" of a null.
      const result = await schema["~standard"].validate(withoutNulls(value, jsonSchema));
      if (result.issues === undefined) return { ok: true, value: result.value };
      return { ok: false, issues: result.issues.map(issueText) };
    },
  };
}

function isStandardSchema(value: unknown): value is StandardSchemaV1 {
  return (
    value !== null &&
    (typeof value === "object" || typeof value === "function") &&
    "~standard" in value &&
    isPlainObject(value["~standard"]) &&
    typeof value["~standard"].validate === "function"
  );
}

function toJsonSchema(schema: StandardSchemaV1, place: string): JsonObject {
  let result: unknown;
  try {
    result = convert(schema);
  } catch (error) {
    throw cannot(place, error instanceof Error ? error.message : String(error), error);
  }
  if (!isPlainObject(result)) throw cannot(place, "it offers no way to give its JSON Schema", undefined);
  const { $schema: _, "~standard": __, ...jsonSchema } = result;
  return jsonSchema as JsonObject;
}

function convert(schema: object): unknown {
  const standard = (schema as { "~standard": Partial<StandardJSONSchemaV1.Props> })["~standard"];
  if (standard.jsonSchema !== undefined) return standard.jsonSchema.input({ target: "draft-2020-12" });
  if ("_zod" in schema) return toJSONSchema(schema as $ZodType, { io: "input" });
  if ("_def" in schema && isPlainObject(schema._def) && "typeName" in schema._def) {
    return fromZod3(schema as Parameters<typeof zodToJsonSchema>[0]);
  }
  for (const method of ["toJsonSchema", "toJSONSchema"]) {
    const own = (schema as Record<string, unknown>)[method];
    if (typeof own === "function") return own.call(schema);
  }
  return undefined;
}

/** zod-to-json-schema writes `{}` for what it cannot express: as the whole answer that is of no use. */
function fromZod3(schema: Parameters<typeof zodToJsonSchema>[0]): unknown {
  const result = zodToJsonSchema(schema, { target: "jsonSchema2019-09" });
  const typeName = (schema._def as { typeName?: string }).typeName;
  if (Object.keys(result).some((key) => key !== "$schema") || typeName === "ZodAny") return result;
  if (typeName === "ZodUnknown") return result;
  throw new Error(`${typeName} cannot be represented in JSON Schema`);
}

function cannot(place: string, why: string, cause: unknown): UsageError {
  return new UsageError(
    "invalid_schema",
    `${place} cannot become JSON Schema: ${why}. Use types that JSON has (a date as z.iso.datetime(), ` +
      "a bigint as z.string()), or a schema library that implements Standard JSON Schema.",
    cause === undefined ? undefined : { cause },
  );
}

function issueText({ message, path }: StandardSchemaV1.Issue): string {
  const place = (path ?? [])
    .map((segment) => String(typeof segment === "object" ? segment.key : segment))
    .join(".");
  return place === "" ? message : `${place}: ${message}`;
}
