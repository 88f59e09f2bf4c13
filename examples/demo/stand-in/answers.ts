/** Tells in prose what the tools have given: real results, honest errors, nothing else. */
import { isRecord, type Outcome, textAt } from "./outcome.ts";
import { readingOf } from "./reading.ts";
import type { Exchange } from "./request.ts";
import type { Task } from "./resume.ts";
import { counted, listed, shortened } from "./words.ts";

const MOST_FILES = 8;
const MOST_LINES = 3;
const MOST_NAMES = 40;

type Teller = (value: unknown, exchange: Exchange, question: string) => string;

const TELLERS: Readonly<Record<string, Teller>> = {
  calculate: tellCalculation,
  current_time: tellTime,
  list_files: (value, { input }) => tellList(Array.isArray(value) ? value : [], input),
  search_files: (value, { input }) => tellSearch(Array.isArray(value) ? value : [], input),
  read_file: (value, { input }, question) =>
    readingOf(question, {
      path: textAt(value, "path") || String(input.path),
      text: typeof value === "string" ? value : textAt(value, "text"),
      cut: isRecord(value) && value.truncated === true ? "cut" : "whole",
    }),
  survey: tellSurvey,
};

/** The answer to a question from the exchanges that it led to. */
export function answerFrom(task: Task): string {
  const parts = task.exchanges.map((exchange) => {
    const { tool, outcome } = exchange;
    if (outcome.kind !== "ok") return tellFailure(exchange, outcome);
    const teller = TELLERS[tool];
    return teller
      ? teller(outcome.value, exchange, task.question)
      : `\`${tool}\` answered: ${inWords(outcome.value)}`;
  });
  return [...new Set(parts)].join("\n\n");
}

function tellFailure({ tool, input }: Exchange, outcome: Exclude<Outcome, { kind: "ok" }>): string {
  const call = `\`${tool}\`${Object.keys(input).length > 0 ? ` with ${JSON.stringify(input)}` : ""}`;
  if (outcome.kind === "error") {
    return `I called ${call}, but it failed: ${outcome.message.replace(/^Error:?\s*/, "").trim() || "it gave no reason"}`;
  }
  return outcome.unknown
    ? `${call} was stopped and its outcome is unknown: it may have finished, but I have no result of it.`
    : `${call} was stopped before it had a result, so I have nothing from it.`;
}

function tellCalculation(value: unknown, { input }: Exchange): string {
  const expression = textAt(value, "expression") || String(input.expression);
  const result = isRecord(value) && "result" in value ? value.result : value;
  return result === null ? `${expression} has no result.` : `${expression} is ${plain(result)}.`;
}

function tellTime(value: unknown, { input }: Exchange): string {
  const zone = textAt(value, "timeZone");
  const local = textAt(value, "local") || textAt(value, "iso") || plain(value);
  if (typeof input.timeZone !== "string") return `It is ${local}${zone ? ` (${zone})` : ""}.`;
  const place = input.timeZone.slice(input.timeZone.lastIndexOf("/") + 1).replaceAll("_", " ");
  return `In ${place}${zone && zone !== place ? ` (${zone})` : ""} it is ${local}.`;
}

function tellList(paths: readonly unknown[], input: Exchange["input"]): string {
  const where = typeof input.folder === "string" ? `in \`${input.folder}\`` : "here";
  if (paths.length === 0) return `There are no files ${where}.`;
  const names = paths.map((path) => `- ${plain(path)}`);
  return `There ${paths.length === 1 ? "is" : "are"} ${counted(paths.length, "file")} ${where}:\n${shown(names, MOST_NAMES, "file")}`;
}

function tellSearch(hits: readonly unknown[], input: Exchange["input"]): string {
  const text = `“${String(input.text)}”`;
  const where = typeof input.folder === "string" ? ` in \`${input.folder}\`` : "";
  if (hits.length === 0) return `No file${where} mentions ${text}.`;
  const paths = [...new Set(hits.map((hit) => textAt(hit, "path")))];
  const files = paths.map((path) => [path, hits.filter((hit) => textAt(hit, "path") === path)] as const);
  const entries = files.map(([path, lines]) => {
    const quotes = lines.map((hit) => `  - line ${lineOf(hit)}: ${shortened(textAt(hit, "text"), 100)}`);
    return `- ${path}\n${shown(quotes, MOST_LINES, "line", "  ")}`;
  });
  const verb = files.length === 1 ? "mentions" : "mention";
  return `${counted(files.length, "file")}${where} ${verb} ${text}, on ${counted(hits.length, "line")}:\n${shown(entries, MOST_FILES, "file")}`;
}

function tellSurvey(value: unknown, { input }: Exchange): string {
  if (!isRecord(value)) return `The survey says: ${plain(value)}`;
  const where = typeof input.folder === "string" ? `\`${input.folder}\`` : "this project";
  const { files, lines, byExtension } = value;
  const total = listed([
    ...(typeof files === "number" ? [counted(files, "file")] : []),
    ...(typeof lines === "number" ? [counted(lines, "line")] : []),
  ]);
  const kinds = Object.entries(isRecord(byExtension) ? byExtension : {}).map(
    ([extension, count]) => `- ${extension}: ${isRecord(count) ? pairs(count) : plain(count)}`,
  );
  return `The survey of ${where} found ${total || "nothing"}.${kinds.length > 0 ? ` By extension:\n${kinds.join("\n")}` : ""}`;
}

function shown(items: readonly string[], most: number, noun: string, indent = ""): string {
  const rest = items.length - most;
  const more = rest > 0 ? [`${indent}- and ${counted(rest, `more ${noun}`)}`] : [];
  return [...items.slice(0, most), ...more].join("\n");
}

function lineOf(hit: unknown): string {
  return isRecord(hit) ? String(hit.line) : "?";
}

function pairs(record: Record<string, unknown>): string {
  return listed(Object.entries(record).map(([key, value]) => `${plain(value)} ${key}`));
}

/** `{ city: "Oslo", celsius: 4 }` as "city: Oslo, celsius: 4". */
function inWords(value: unknown): string {
  if (!isRecord(value)) return plain(value);
  return Object.entries(value)
    .map(([key, part]) => `${key}: ${plain(part)}`)
    .join(", ");
}

/** A result of any shape as one readable piece of text. */
function plain(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
