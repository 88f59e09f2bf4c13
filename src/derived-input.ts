/** A tool's input from `design:paramtypes`: what TypeScript's legacy decorators say of plain parameters. */
import type { JsonObject } from "./json.ts";
import { isPlainObject, kindOf } from "./json.ts";
import type { Parser } from "./schema.ts";

export type DerivedInput =
  | {
      readonly kind: "positional";
      readonly parser: Parser<unknown>;
      args(input: unknown, context: unknown): unknown[];
    }
  | { readonly kind: "impossible"; readonly why: string };

interface Parameter {
  readonly name: string;
  readonly type: "string" | "number" | "boolean";
  readonly optional: boolean;
}

const jsonTypes = new Map<unknown, Parameter["type"]>([
  [String, "string"],
  [Number, "number"],
  [Boolean, "boolean"],
]);

/**
 * The input of a method whose parameters are strings, numbers and booleans, with an optional tool context as
 * the last one; `undefined` where the compiler said nothing or there are no parameters.
 */
export function deriveInput(method: { toString(): string }, types: unknown): DerivedInput | undefined {
  if (!Array.isArray(types) || types.length === 0) return undefined;
  const source = parameterTexts(method.toString());
  const takesContext = types.at(-1) === Object && types.length > 1;
  const plain = takesContext ? types.slice(0, -1) : types;
  const parameters: Parameter[] = [];
  for (const [index, type] of plain.entries()) {
    const jsonType = jsonTypes.get(type);
    const [, name, rest] = /^([\p{ID_Start}$_][\p{ID_Continue}$]*)\s*(=)?/u.exec(source[index] ?? "") ?? [];
    if (jsonType === undefined || name === undefined) {
      return {
        kind: "impossible",
        why:
          `its parameter ${index + 1} is no string, number or boolean, and only of these the compiler tells ` +
          "the type. Write input: z.object({ … }) and take one object",
      };
    }
    parameters.push({ name, type: jsonType, optional: rest !== undefined });
  }
  return {
    kind: "positional",
    parser: positionalParser(parameters),
    args(input, context) {
      const values = isPlainObject(input) ? input : {};
      return [...parameters.map(({ name }) => values[name]), ...(takesContext ? [context] : [])];
    },
  };
}

function positionalParser(parameters: readonly Parameter[]): Parser<unknown> {
  const jsonSchema: JsonObject = {
    type: "object",
    properties: Object.fromEntries(parameters.map(({ name, type }) => [name, { type }])),
    required: parameters.filter(({ optional }) => !optional).map(({ name }) => name),
    additionalProperties: false,
  };
  return {
    jsonSchema,
    async validate(input) {
      if (!isPlainObject(input)) return { ok: false, issues: [`expected an object, not ${kindOf(input)}`] };
      const issues = parameters.flatMap(({ name, type, optional }) => {
        const value = input[name];
        if (value === undefined || value === null) {
          return optional ? [] : [`${name}: required, a ${type}`];
        }
        return typeof value === type ? [] : [`${name}: expected a ${type}, not ${kindOf(value)}`];
      });
      const known = new Set(parameters.map(({ name }) => name));
      for (const key of Object.keys(input)) if (!known.has(key)) issues.push(`${key}: not a parameter`);
      if (issues.length > 0) return { ok: false, issues };
      // A null for a parameter with a default means: take the default.
      return {
        ok: true,
        value: Object.fromEntries(Object.entries(input).filter(([, value]) => value !== null)),
      };
    },
  };
}

/** The texts between a function's parentheses, split at its top-level commas. */
function parameterTexts(source: string): string[] {
  const texts: string[] = [];
  let depth = 0;
  let quote = "";
  let text = "";
  for (let index = source.indexOf("("); index >= 0 && index < source.length; index++) {
    const char = source.charAt(index);
    if (quote !== "") {
      if (char === "\\") text += char + source.charAt(++index);
      else {
        if (char === quote) quote = "";
        text += char;
      }
      continue;
    }
    if (char === ")" && depth === 1) break;
    if ("([{".includes(char) && depth++ === 0) continue;
    if (")]}".includes(char)) depth--;
    if ("'\"`".includes(char)) quote = char;
    if (char === "," && depth === 1) {
      texts.push(text.trim());
      text = "";
    } else text += char;
  }
  return [...texts, text.trim()];
}
