/** A tool's input from `design:paramtypes`: what TypeScript's legacy decorators say of plain parameters. */
import type { JsonObject } from "./json.ts";
import { isPlainObject, kindOf } from "./json.ts";
import type { Parser } from "./schema.ts";

/** An input that is passed as the method's own parameters. */
export interface PositionalInput {
  readonly kind: "positional";
  readonly parser: Parser<unknown>;
  args(input: unknown, context: unknown): unknown[];
}

export type DerivedInput = PositionalInput | { readonly kind: "impossible"; readonly why: string };

interface Parameter {
  readonly name: string;
  readonly type: "string" | "number" | "boolean";
  readonly optional: boolean;
}

const untold =
  "it takes parameters, and the compiler did not tell their types. Write input: z.object({ … }) and take one " +
  "object, or turn on experimentalDecorators and emitDecoratorMetadata for string, number and boolean parameters";

const jsonTypes = new Map<unknown, Parameter["type"]>([
  [String, "string"],
  [Number, "number"],
  [Boolean, "boolean"],
]);

/**
 * The input of a method whose parameters are strings, numbers and booleans, with an optional tool context as
 * the last one; `undefined` where there are no parameters.
 */
export function deriveInput(method: { toString(): string }, types: unknown): DerivedInput | undefined {
  const source = parameterTexts(method.toString());
  if (source.length === 0) return undefined;
  if (!Array.isArray(types)) return { kind: "impossible", why: untold };
  // A default whose type is not written down is an Object to the compiler as well, but never the context.
  const takesContext =
    types.at(-1) === Object && types.length > 1 && !/^[^{[]*=/.test(source[types.length - 1] ?? "");
  const plain = takesContext ? types.slice(0, -1) : types;
  const parameters: Parameter[] = [];
  for (const [index, type] of plain.entries()) {
    const [, name, rest] =
      /^([\p{ID_Start}$_][\p{ID_Continue}$]*)\s*(?:=\s*([\s\S]+))?$/u.exec(source[index] ?? "") ?? [];
    const jsonType = jsonTypes.get(type) ?? literalType(rest);
    if (jsonType === undefined || name === undefined) {
      return {
        kind: "impossible",
        why:
          `its parameter ${index + 1} is not declared as string, number or boolean, and only of these the ` +
          "compiler tells the type. Write input: z.object({ … }) and take one object",
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

/** The type of a default that stands there as a literal: `limit = 5` needs no declared type. */
function literalType(text: string | undefined): Parameter["type"] | undefined {
  if (text === undefined) return undefined;
  if (/^-?[\d.][\d._e]*$/i.test(text)) return "number";
  if (/^(true|false)$/.test(text)) return "boolean";
  return /^(["'])(?:\\.|(?!\1)[^\\])*\1$/.test(text) ? "string" : undefined;
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

const token =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\[\s\S]|[^`\\])*`|[\s\S]/g;

/** The texts between a function's parentheses, split at its top-level commas, without comments. */
function parameterTexts(source: string): string[] {
  const texts: string[] = [];
  let text = "";
  let depth = 0;
  let isInside = false;
  for (const [part] of source.matchAll(token)) {
    if (part.startsWith("/*") || part.startsWith("//")) continue;
    if (depth === 0 && part === (isInside ? ")" : "(")) {
      if (isInside) break;
      isInside = true;
      continue;
    }
    if ("([{".includes(part)) depth++;
    if (")]}".includes(part)) depth--;
    if (!isInside) continue;
    if (part === "," && depth === 0) {
      texts.push(text.trim());
      text = "";
    } else text += part;
  }
  return [...texts, text.trim()].filter((parameter) => parameter !== "");
}
