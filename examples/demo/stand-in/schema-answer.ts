/** Makes an answer that fits a JSON Schema from results and question, for callers that want a typed value. */
import { answerFrom } from "./answers.ts";
import { type Material, numberNamed, resultNamed, textNamed } from "./facts.ts";
import { isRecord } from "./outcome.ts";
import type { Task } from "./resume.ts";
import { filler, limited, moodOf } from "./schema-fit.ts";
import { branchesOf, itemsOf, resolved, type Schema, typeOf } from "./schema-shape.ts";
import { keywordsOf, sentencesOf, subjectOf } from "./words.ts";

export type { Material };

const DEEPEST = 6;
const MOST_ITEMS = 10;

export function jsonAnswer(task: Task, schema: Readonly<Schema> | undefined): unknown {
  const results = task.exchanges.flatMap(({ outcome }) => (outcome.kind === "ok" ? [outcome.value] : []));
  const prose =
    task.exchanges.length > 0 ? answerFrom(task) : (sentencesOf(subjectOf(task.question))[0] ?? "");
  const material = { question: task.question, prose, results: results.toReversed() };
  if (schema === undefined) return { answer: prose };
  return build({ ...schema }, "answer", { material, root: schema, depth: 0, references: ["#"] });
}

/** What is known for a schema under a name, or `undefined` where that would have to be invented. */
export function findValue(schema: Schema, name: string, material: Material): unknown {
  return found(schema, name, { material, root: schema, depth: 0, references: ["#"] });
}

/** Where the answer is being built: what is known there, how deep it is, and which references led there. */
interface Scope {
  readonly material: Material;
  readonly root: Readonly<Schema>;
  readonly depth: number;
  readonly references: readonly unknown[];
}

/** One level down; a part that has a result of its own knows that one and the question, no other. */
function within(scope: Scope, result?: unknown): Scope {
  const material = result === undefined ? scope.material : { ...scope.material, results: [result] };
  return { ...scope, material, depth: scope.depth + 1 };
}

function build(schema: Schema, name: string, scope: Scope): unknown {
  return found(schema, name, scope) ?? filled(resolved(schema, scope.root), name, scope);
}

function found(given: Schema, name: string, outer: Scope): unknown {
  const known = resultNamed(name, outer.material.results);
  if (outer.references.includes(given.$ref) && known === undefined) return undefined;
  const scope = given.$ref ? { ...outer, references: [...outer.references, given.$ref] } : outer;
  const schema = resolved(given, scope.root);
  if ("const" in schema) return schema.const;
  if (Array.isArray(schema.enum)) return mentioned(schema.enum, name, scope.material);
  for (const branch of branchesOf(schema)) {
    const value = found(branch, name, scope);
    if (value !== undefined) return value;
  }
  switch (typeOf(schema)) {
    case "object":
      return knownObject(schema, scope, known);
    case "array":
      return scope.depth > DEEPEST ? undefined : arrayOf(schema, name, scope, known);
    case "string":
      return limited(typeof known === "string" ? known : textNamed(name, scope.material), schema);
    case "number":
    case "integer":
      return limited(typeof known === "number" ? known : numberNamed(name, scope.material), schema);
    case "boolean":
      return typeof known === "boolean" ? known : undefined;
    default:
      return undefined;
  }
}

/** An object of which at least one part is known. */
function knownObject(schema: Schema, scope: Scope, known: unknown): Record<string, unknown> | undefined {
  if (scope.depth > DEEPEST) return undefined;
  if (isRecord(known)) return objectOf(schema, within(scope, known));
  const parts = Object.entries(isRecord(schema.properties) ? schema.properties : {});
  const some = parts.some(
    ([name, part]) => isRecord(part) && !("const" in part) && found(part, name, within(scope)) !== undefined,
  );
  return some ? objectOf(schema, scope) : undefined;
}

/** What fits where nothing is known: null or empty if the schema lets it, else the answer's words. */
function filled(schema: Schema, name: string, scope: Scope): unknown {
  const branches = branchesOf(schema);
  const empty = branches.find((branch) => resolved(branch, scope.root).type === "null");
  if (empty || typeOf(schema) === "null") return null;
  if (branches[0]) return build(branches[0], name, within(scope));
  if (typeOf(schema) === "object") return scope.depth > 2 * DEEPEST ? {} : objectOf(schema, scope);
  if (typeOf(schema) === "array") {
    const least = typeof schema.minItems === "number" ? schema.minItems : 0;
    return Array.from({ length: least }, () => build(itemsOf(schema), name, within(scope)));
  }
  return filler(schema, scope.material);
}

function objectOf(schema: Schema, scope: Scope): Record<string, unknown> {
  const required = Array.isArray(schema.required) ? schema.required : [];
  const properties = Object.entries(isRecord(schema.properties) ? schema.properties : {});
  const entries = properties.flatMap(([name, inner]): [string, unknown][] => {
    if (!isRecord(inner)) return [];
    const value = required.includes(name)
      ? build(inner, name, within(scope))
      : found(inner, name, within(scope));
    return value === undefined ? [] : [[name, value]];
  });
  return Object.fromEntries([...moreEntries(schema, scope), ...entries]);
}

/** The entries of a record, such as counts by extension, from the nearest result. */
function moreEntries(
  { additionalProperties: inner }: Schema,
  { material, root }: Scope,
): [string, unknown][] {
  const [nearest] = material.results;
  if (!isRecord(inner) || !isRecord(nearest)) return [];
  const type = typeOf(resolved(inner, root));
  return Object.entries(nearest).filter(([, value]) => typeof value === type);
}

function arrayOf(schema: Schema, name: string, scope: Scope, known: unknown): unknown[] | undefined {
  const items = resolved(itemsOf(schema), scope.root);
  const type = typeOf(items);
  const lists = [known, ...scope.material.results].filter((list) => Array.isArray(list));
  const list = lists.find(([first]) => isRecord(first) || typeof first === type);
  const source: unknown[] | undefined =
    list ?? (type === "string" ? stringsFor(name, scope.material) : undefined);
  if (!source) return undefined;
  const values = source.map((one) => {
    if (!isRecord(one)) return typeof one === type ? one : build(items, name, within(scope, { value: one }));
    const text = type === "string" ? Object.values(one).find((part) => typeof part === "string") : undefined;
    return text ?? build(items, name, within(scope, one));
  });
  const distinct = [...new Map(values.map((value) => [JSON.stringify(value), value])).values()];
  const most = typeof schema.maxItems === "number" ? schema.maxItems : MOST_ITEMS;
  const least = typeof schema.minItems === "number" ? schema.minItems : 0;
  return distinct.length < least ? undefined : distinct.slice(0, most);
}

function stringsFor(name: string, { question, prose }: Material): string[] {
  if (/tag|keyword|topic|word|label/i.test(name)) return keywordsOf(subjectOf(question)).slice(0, 5);
  return /point|sentence|fact|finding|step|line|highlight/i.test(name) ? sentencesOf(prose) : [];
}

function mentioned(values: readonly unknown[], name: string, material: Material): unknown {
  const known = resultNamed(name, material.results);
  if (values.includes(known)) return known;
  const text = ` ${material.question} ${material.prose} `.toLowerCase();
  return values.find((value) => text.includes(` ${String(value).toLowerCase()}`)) ?? moodOf(values, text);
}
