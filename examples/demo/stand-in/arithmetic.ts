/** Finds the sums in a question, so that they can go to the `calculate` tool. */
import { isRecord, resultsOf } from "./outcome.ts";
import type { Round } from "./request.ts";

const WORDS: readonly (readonly [RegExp, string])[] = [
  [/(\d)[,_](?=\d{3}\b)/g, "$1"],
  [/\b\d{4}-\d{2}-\d{2}\b/g, " , "],
  [/\bmultiplied by\b|\btimes\b|[×·]/gi, "*"],
  [/(\d\s*)x(?=\s*\d)/gi, "$1*"],
  [/\bdivided by\b|\bover\b|÷/gi, "/"],
  [/\bplus\b/gi, "+"],
  [/\bminus\b|−/gi, "-"],
  [/\b(?:raised )?to the power of\b|\*\*/gi, "^"],
  [/\b(?:the )?square root of ([\d.]+|that\b|it\b)/gi, "$1 ^ 0.5"],
  [/([\d.]+|\bthat\b)\s+squared\b/gi, "$1 ^ 2"],
  [/([\d.]+)\s*(?:%|percent)\s+of\s+([\d.]+|that\b|it\b)/gi, "$1 / 100 * $2"],
  [/\bdouble\s+(that|it|[\d.]+)/gi, "$1 * 2"],
  [/\bhalf\s+(?:of\s+)?(that|it|[\d.]+)/gi, "$1 / 2"],
  [/\bmultiply\s+(that|it|[\d.]+)\s+(?:by|with)\s+([\d.]+)/gi, "$1 * $2"],
  [/\bdivide\s+(that|it|[\d.]+)\s+by\s+([\d.]+)/gi, "$1 / $2"],
  [/\badd\s+([\d.]+)\s+to\s+(that|it|[\d.]+)/gi, "$2 + $1"],
  [/\bsubtract\s+([\d.]+)\s+from\s+(that|it|[\d.]+)/gi, "$2 - $1"],
];
const THAT =
  /\b(?:that|it|this|the (?:result|answer|number|sum))\b(?=\s*[-+*/^%]\s*[\d(])|([-+*/^]\s*)(?:that|it|this)\b/gi;

/** The expressions of a question; "that" stands for the last number of the conversation. */
export function expressionsIn(question: string, earlier: readonly Round[]): string[] {
  let text = question;
  for (const [pattern, sign] of WORDS) text = text.replace(pattern, sign);
  const that = lastNumber(earlier);
  if (that !== undefined) text = text.replace(THAT, (_, sign: string | undefined) => `${sign ?? ""}${that}`);
  const runs = text.match(/(?<![\w./@-])[-(\s]*\d[\d\s.+\-*/^%()]*(?![\w@])/g) ?? [];
  return [...new Set(runs.map(tidied).filter(isSum))];
}

function isSum(expression: string): boolean {
  return /[\d)]\s*[-+*/^%]\s*[-(]*\s*\d/.test(expression) && depthOf(expression) === 0;
}

/** Drops what belongs to the sentence and not to the sum: spaces, the full stop, a bracket too many. */
function tidied(run: string): string {
  let expression = run
    .trim()
    .replace(/[-\s.+*/^%(]+$/, "")
    .replace(/^\s*-\s+/, "");
  while (depthOf(expression) < 0 && expression.endsWith(")")) expression = expression.slice(0, -1).trimEnd();
  while (depthOf(expression) > 0 && expression.startsWith("(")) expression = expression.slice(1).trimStart();
  return expression.replace(/\s+/g, " ");
}

function depthOf(expression: string): number {
  return expression.split("(").length - expression.split(")").length;
}

/** The newest result of a calculation, or else the last number in what was answered. */
function lastNumber(earlier: readonly Round[]): string | undefined {
  for (const { exchanges, texts } of earlier.toReversed()) {
    const result = resultsOf(exchanges, "calculate").at(-1);
    if (isRecord(result) && ["number", "string"].includes(typeof result.result)) return String(result.result);
    const written = texts
      .join(" ")
      .match(/-?\d[\d,]*(?:\.\d+)?/g)
      ?.at(-1);
    if (written) return written.replaceAll(",", "");
  }
  return undefined;
}
