/** Fits a question to a tool that the stand-in does not know, by the words of its name and description. */
import { isRecord } from "./outcome.ts";
import type { Wish } from "./questions.ts";
import type { OfferedTool } from "./request.ts";
import type { Task } from "./resume.ts";
import { findValue, type Material } from "./schema-answer.ts";
import { keywordsOf, sameWord, subjectOf } from "./words.ts";

/** A shared word in the name counts for two in the description. */
const NAME_WEIGHT = 2;
const ENOUGH = 2;

export function wishOfAnotherTool(task: Task, tools: readonly OfferedTool[]): Wish | undefined {
  const words = keywordsOf(task.question);
  const scored = tools.map((tool) => ({ tool, score: scoreOf(tool, words) }));
  const [best] = scored.filter(({ score }) => score >= ENOUGH).sort((one, other) => other.score - one.score);
  const input = best && inputFor(best.tool, task.question);
  return best && input ? { tool: best.tool.name, input } : undefined;
}

function scoreOf({ name, description }: OfferedTool, words: readonly string[]): number {
  const inName = keywordsOf(name.replace(/([a-z])([A-Z])/g, "$1 $2").replaceAll("_", " "));
  const inDescription = keywordsOf(description).filter((word) => !inName.includes(word));
  const shared = (some: readonly string[]) =>
    some.filter((one) => words.some((word) => sameWord(one, word))).length;
  return shared(inName) * NAME_WEIGHT + shared(inDescription);
}

/** The tool's input from the question's own words, or nothing where a required part is not in them. */
function inputFor({ parameters }: OfferedTool, question: string): Record<string, unknown> | undefined {
  const properties = isRecord(parameters.properties) ? parameters.properties : {};
  const required = Array.isArray(parameters.required) ? parameters.required : [];
  const material: Material = { question, prose: "", results: [] };
  const input: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(properties)) {
    if (!isRecord(schema)) continue;
    const found =
      findValue(schema, name, material) ??
      (required.includes(name) ? phraseFor(schema, question) : undefined);
    if (found !== undefined) input[name] = found;
    else if (required.includes(name)) return acceptsNull(schema) ? { ...input, [name]: null } : undefined;
  }
  return input;
}

/** A required text is what is quoted, what follows a preposition, or the question's subject. */
function phraseFor(schema: Record<string, unknown>, question: string): string | undefined {
  if (schema.type !== "string" || schema.enum) return undefined;
  const quoted = question.match(/["“`]([^"”`]+)["”`]/)?.[1];
  const phrase = question.match(
    /\b(?:about|in|for|of|on|to)\s+(?:the\s+)?([^?.!,;]+?)\s*(?:[?.!,;]|$)/i,
  )?.[1];
  return quoted ?? phrase ?? subjectOf(question);
}

function acceptsNull(schema: Record<string, unknown>): boolean {
  const branches = Array.isArray(schema.anyOf) ? schema.anyOf : [];
  return [schema, ...branches].some((one) => isRecord(one) && [one.type].flat().includes("null"));
}
