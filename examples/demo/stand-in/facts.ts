/** Looks for a named value in what is known: the tools' results first, then the question's own words. */
import { isRecord } from "./outcome.ts";
import { shortened, subjectOf } from "./words.ts";

/** What an answer may be made of. */
export interface Material {
  readonly question: string;
  /** The answer in words. */
  readonly prose: string;
  /** The values that tools have given; the nearest first. */
  readonly results: readonly unknown[];
}

/** A value under this name in the results, at any depth. */
export function resultNamed(name: string, results: readonly unknown[]): unknown {
  const wanted = bare(name);
  for (const result of results) {
    if (!isRecord(result)) continue;
    const key = Object.keys(result).find((one) => bare(one) === wanted);
    if (key !== undefined) return result[key];
  }
  const inner = results.flatMap((result) => (isRecord(result) ? Object.values(result).filter(isRecord) : []));
  return inner.length > 0 ? resultNamed(name, inner) : undefined;
}

/** A text that the question holds for this name. */
export function textNamed(name: string, material: Material): string | undefined {
  const text = material.question;
  const said = text
    .match(new RegExp(`\\b${spoken(name)}\\b\\s*(?:is|are|:|=)\\s*["“]?([^,.;?!\\n"”]+)`, "i"))?.[1]
    ?.trim();
  if (said && !/^(?:the|a|an|it|this|that|what|not|in|on)\b/i.test(said)) return said;
  if (/e-?mail/i.test(name)) return text.match(/[\w.+-]+@[\w-]+\.[\w.-]*\w/)?.[0];
  if (/url|link|website/i.test(name)) return text.match(/https?:\/\/[^\s"'<>)]+/)?.[0];
  if (/date|deadline|day|when/i.test(name)) return text.match(/\b\d{4}-\d{2}-\d{2}(?:T[\d:.]+Z?)?\b/)?.[0];
  if (/title|headline|subject|topic/i.test(name)) return shortened(subjectOf(text), 60);
  if (/question|query|input|original/i.test(name)) return text;
  if (/city|country|place|location|address/i.test(name))
    return text.match(/\b(?:in|from|at|to) (\p{Lu}[\p{L}-]+(?: \p{Lu}[\p{L}-]+)*)/u)?.[1];
  if (/name|person|author|customer|company|who/i.test(name)) return properNameIn(subjectOf(text));
  if (/answer|summary|text|description|explanation|reason|message|content|result|conclusion/i.test(name))
    return material.prose || undefined;
  return undefined;
}

/** A number that stands next to its name, or else the only number there is. */
export function numberNamed(name: string, { question, results }: Material): number | undefined {
  const word = spoken(name);
  const number = "(-?\\d[\\d,]*(?:\\.\\d+)?)";
  const unit = /age/i.test(name) ? "(?:years? old|years?)" : word;
  const near =
    question.match(new RegExp(`\\b${word}d?\\b[^\\d.?!]{0,15}${number}`, "i")) ??
    question.match(new RegExp(`${number}\\s*[-]?${unit}\\b`, "i"));
  const known = results.flatMap((result) => (isRecord(result) ? Object.values(result) : [result]));
  const numbers = known.filter((value) => typeof value === "number");
  const asked = question.match(/-?\d[\d,]*(?:\.\d+)?/g) ?? [];
  const only = numbers.length > 0 ? numbers[0] : asked.length === 1 ? asked[0] : undefined;
  const found = near?.[1] ?? only;
  return found === undefined ? undefined : Number(String(found).replaceAll(",", ""));
}

/** Names with capitals, the ones within a sentence before those at its beginning. */
function properNameIn(text: string): string | undefined {
  const name = /\p{Lu}\p{Ll}[\p{L}-]*(?: \p{Lu}\p{Ll}[\p{L}-]*)*/gu;
  const names = [...text.matchAll(name)];
  return (names.find(({ 0: one, index }) => one.includes(" ") || index > 0) ?? names[0])?.[0];
}

function spoken(name: string): string {
  return name
    .replace(/[^\w]/g, "")
    .replace(/([a-z])([A-Z])/g, "$1[ _-]?$2")
    .replaceAll("_", "[ _-]?");
}

function bare(name: string): string {
  return name.toLowerCase().replace(/[^a-z\d]/g, "");
}
