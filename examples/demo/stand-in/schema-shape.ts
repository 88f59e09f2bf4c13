/** Reads a JSON Schema: what stands behind a reference, which branches it has, and its type. */
import { isRecord } from "./outcome.ts";

export type Schema = Record<string, unknown>;

/** The schema itself, behind references and with its `allOf` merged. */
export function resolved(schema: Schema, root: Readonly<Schema>): Schema {
  if (typeof schema.$ref === "string") {
    let target: unknown = root;
    for (const key of schema.$ref.split("/").slice(1)) target = isRecord(target) ? target[key] : undefined;
    return isRecord(target) ? resolved(target, root) : {};
  }
  if (!Array.isArray(schema.allOf)) return schema;
  const { allOf, ...own } = schema;
  return Object.assign({}, own, ...allOf.filter(isRecord).map((part) => resolved(part, root)));
}

export function branchesOf(schema: Schema): Schema[] {
  const branches = [schema.anyOf, schema.oneOf].flat().filter(isRecord);
  if (!Array.isArray(schema.type)) return branches;
  return [...branches, ...schema.type.map((type) => ({ ...schema, type }))];
}

export function typeOf(schema: Schema): unknown {
  if (Array.isArray(schema.type) || branchesOf(schema).length > 0) return undefined;
  return schema.type ?? (isRecord(schema.properties) ? "object" : undefined);
}

export function itemsOf(schema: Schema): Schema {
  return isRecord(schema.items) ? schema.items : {};
}
