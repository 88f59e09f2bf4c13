/** From a model's text to the typed answer: what is asked for, how the JSON is found, what is wrong with it. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { jsonrepair } from "jsonrepair";
import { Allow, parse as parsePartial } from "partial-json";
import { isPlainObject, parseJson } from "./json.ts";
import { objectRoot, strictSchema } from "./json-schema.ts";
import type { OutputSpec } from "./model.ts";
import { type Parser, parserOf, type Validated } from "./schema.ts";

/** How the last answer of a run becomes its value. */
export interface AnswerFormat<T> {
  /** What the model is asked for; left out where the answer is text. */
  readonly output?: OutputSpec;
  read(text: string): Promise<Validated<T>>;
  /** What is there of a value while its text streams, or `undefined` where nothing is yet. */
  readPartial(text: string): unknown;
}

/** The format for `returns`; without it the answer is the text. */
export function answerFormat<T>(
  returns: StandardSchemaV1<unknown, T> | undefined,
  name: string,
): AnswerFormat<T> {
  // Without `returns` the declared type of the function is string, which its overloads see to.
  if (returns === undefined) return textFormat as AnswerFormat<T>;
  const parser = parserOf(returns, `"returns" of ${name}`);
  const { jsonSchema } = parser;
  if (jsonSchema.type === "string" && jsonSchema.enum === undefined && jsonSchema.const === undefined) {
    return { read: (text) => parser.validate(text), readPartial: () => undefined };
  }
  return jsonFormat(parser, name);
}

const textFormat: AnswerFormat<string> = {
  read: async (text) => ({ ok: true, value: text }),
  readPartial: () => undefined,
};

function jsonFormat<T>(parser: Parser<T>, name: string): AnswerFormat<T> {
  const { schema, wrapped } = objectRoot(parser.jsonSchema);
  const strict = strictSchema(schema);
  return {
    output: { name: outputName(name), schema: strict ?? schema, strict: strict !== undefined },
    async read(text) {
      // The issues of the likeliest value: later ones are bystanders in the prose.
      let issues: readonly string[] | undefined;
      // The value of an enum is often written without quotes.
      const bare = parser.jsonSchema.enum === undefined ? [] : [text.trim()];
      for (const candidate of [...jsonCandidates(text), ...bare]) {
        for (const value of wrapped ? unwrapped(candidate) : [candidate]) {
          const checked = await parser.validate(value);
          if (checked.ok) return checked;
          issues ??= checked.issues;
        }
      }
      return { ok: false, issues: issues ?? ["the answer holds no complete JSON value"] };
    },
    readPartial(text) {
      const start = text.search(/[[{]/);
      if (start < 0) return undefined;
      try {
        const value: unknown = parsePartial(text.slice(start), Allow.ALL & ~Allow.NUM);
        if (!wrapped) return value;
        return isPlainObject(value) ? value.value : undefined;
      } catch {
        return undefined; // nothing that can be read yet: the next delta brings more
      }
    },
  };
}

/** What the model is told when its answer did not fit: the issues, and once more the schema. */
export function correctionRequest(issues: readonly string[], output: OutputSpec | undefined): string {
  const list = issues.map((issue) => `- ${issue}`).join("\n");
  const how =
    output === undefined
      ? "Answer again, with the corrected text only."
      : `Answer again, with nothing but JSON that fits this JSON Schema:\n${JSON.stringify(output.schema)}`;
  return `Your answer is not valid:\n${list}\n${how}`;
}

/** The instruction for models that have no structured output of their own. */
export function jsonInstruction(output: OutputSpec): string {
  return (
    "Your final answer must be JSON only, without any other text and without a code fence. " +
    `It must fit this JSON Schema:\n${JSON.stringify(output.schema)}`
  );
}

function unwrapped(candidate: unknown): unknown[] {
  return isPlainObject(candidate) && "value" in candidate ? [candidate.value, candidate] : [candidate];
}

/** The JSON values in a text, the likeliest first: all of it, then each balanced object or array in it. */
function* jsonCandidates(text: string): Generator<unknown> {
  const whole = parseJson(text);
  if (whole !== undefined) yield whole;
  for (const part of balancedParts(text)) {
    const value = parseJson(part) ?? parseJson(repaired(part));
    if (value !== undefined) yield value;
  }
}

/** Trailing commas, single quotes, comments and the like; what cannot be mended stays as it was. */
function repaired(part: string): string {
  try {
    return jsonrepair(part);
  } catch {
    return part;
  }
}

/** The outermost `{…}` and `[…]` of a text whose brackets close: a value that was cut off is not among them. */
function* balancedParts(text: string): Generator<string> {
  let depth = 0;
  let start = 0;
  let inString = false;
  for (let index = 0; index < text.length; index++) {
    const char = text[index];
    if (inString) {
      if (char === "\\") index++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = depth > 0;
    else if (char === "{" || char === "[") {
      if (depth++ === 0) start = index;
    } else if ((char === "}" || char === "]") && depth > 0 && --depth === 0) {
      yield text.slice(start, index + 1);
    }
  }
}

/** OpenAI takes letters, digits, `_` and `-`, 64 at most. */
function outputName(name: string): string {
  return name.replace(/[^a-zA-Z0-9_-]/g, "_").slice(0, 64) || "answer";
}
