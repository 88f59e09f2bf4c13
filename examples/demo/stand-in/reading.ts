/** Answers a question from the text of one file: a value of a JSON file, a description, or matching lines. */
import { FILE } from "./files.ts";
import { isRecord } from "./outcome.ts";
import { keywordsOf, sameWord, shortened } from "./words.ts";

export interface Reading {
  readonly path: string;
  readonly text: string;
  readonly cut: "cut" | "whole";
}

const MOST_LINES = 6;
const BEGINNING = 12;
const ASKS_WHAT_IT_IS =
  /\bwhat\b.*\b(?:project|package|it|this) (?:is|does|about)\b|\bwhat(?:'s| is) (?:this|it|the) (?:project|package|repo\w*)?\b|\babout\b|\bsummar\w+|\bdescribe\b|\bexplain\b/i;

export function readingOf(question: string, file: Reading): string {
  const note = file.cut === "cut" ? "\n\n(I was given only the beginning of this file.)" : "";
  if (file.text.trim() === "") return `${file.path} is empty.${note}`;
  const asked = keywordsOf(question.replace(FILE, " ")).filter(
    (word) => !file.path.toLowerCase().split(/[/.]/).includes(word),
  );
  return (
    (valuesOf(file, asked) ??
      (ASKS_WHAT_IT_IS.test(question) ? descriptionOf(file) : undefined) ??
      linesAbout(file, asked) ??
      descriptionOf(file) ??
      beginningOf(file)) + note
  );
}

/** The values of a JSON file whose keys the question names. */
function valuesOf({ path, text }: Reading, asked: readonly string[]): string | undefined {
  const data = /\.json$/i.test(path) ? parsed(text) : undefined;
  if (!isRecord(data)) return undefined;
  const keys = Object.keys(data).filter((key) =>
    keywordsOf(spaced(key)).some((part) => asked.some((word) => sameWord(word, part))),
  );
  const told = keys.map((key) => tellValue(key, data[key]));
  return told.length > 0 ? `${path} says ${told.join("\nand ")}` : undefined;
}

function tellValue(key: string, value: unknown): string {
  if (!isRecord(value) && !Array.isArray(value))
    return `that the ${spaced(key)} is ${JSON.stringify(value)}.`;
  const entries = Object.entries(value).map(([name, entry]) => {
    const text = typeof entry === "string" ? entry : JSON.stringify(entry);
    return Array.isArray(value) ? `- ${text}` : `- ${name}: ${shortened(text, 100)}`;
  });
  return `this under “${key}”:\n${entries.join("\n") || "- nothing"}`;
}

/** A title with its first paragraph, or a package's description. */
function descriptionOf({ path, text }: Reading): string | undefined {
  const data = /\.json$/i.test(path) ? parsed(text) : undefined;
  if (isRecord(data) && typeof data.description === "string") {
    return `${path} describes ${typeof data.name === "string" ? data.name : "it"} as: “${data.description}”`;
  }
  if (!/\.(?:md|txt)$/i.test(path)) return undefined;
  const title = text.match(/^#\s+(.+)$/m)?.[1]?.trim();
  const blocks = text.replace(/^```[\s\S]*?^```/gm, "").split(/\n\s*\n/);
  const prose = blocks
    .map((block) => block.replace(/^#+ .*$/gm, "").trim())
    .filter((block) => /^[\p{L}\d*`"“_]/u.test(block));
  if (prose.length === 0) return undefined;
  const words = prose.slice(0, 2).map((block) => `> ${block.replace(/\s*\n\s*/g, " ")}`);
  return `${path}${title ? `, titled “${title}”,` : ""} begins with:\n\n${words.join("\n>\n")}`;
}

function linesAbout({ path, text }: Reading, asked: readonly string[]): string | undefined {
  const lines = text.split("\n").map((line, index) => ({ line, number: index + 1 }));
  const scored = lines.map((entry) => ({ ...entry, score: scoreOf(entry.line, asked) }));
  const best = Math.max(0, ...scored.map(({ score }) => score));
  if (best === 0) return undefined;
  const hits = scored.filter(({ score }) => score === best);
  const quotes = hits
    .slice(0, MOST_LINES)
    .map(({ line, number }) => `- line ${number}: ${shortened(line, 160)}`);
  const more = hits.length > MOST_LINES ? [`- and ${hits.length - MOST_LINES} more`] : [];
  return `This is what ${path} says there:\n${[...quotes, ...more].join("\n")}`;
}

function scoreOf(line: string, asked: readonly string[]): number {
  const words = keywordsOf(spaced(line));
  return asked.filter(
    (word) => line.toLowerCase().includes(word) || words.some((other) => sameWord(word, other)),
  ).length;
}

function beginningOf({ path, text, cut }: Reading): string {
  const lines = text.trimEnd().split("\n");
  const rest =
    cut === "whole" && lines.length > BEGINNING ? `\n\nThat is the beginning of ${lines.length} lines.` : "";
  return `${path} reads:\n\n\`\`\`\n${lines.slice(0, BEGINNING).join("\n")}\n\`\`\`${rest}`;
}

/** "devDependencies" as "dev Dependencies", so that its words can be found. */
function spaced(key: string): string {
  return key.replace(/([a-z])([A-Z])/g, "$1 $2");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
