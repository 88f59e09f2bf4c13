/** Small tools for plain English text: the words that carry a question, and sentences. */

const EMPTY_WORDS = new Set(
  `a about after again all an and any are as at be been both but by can could did do does each file files find
  first folder for from get give had has have how i if in into is it its last let list look me mention mentioned
  mentions more most my no not one of on or out please project read say says search second see show so some tell than
  that the them then there these they third this those to up us use uses used using was we what when where which who why will
  with would you your contain contains question answer`.split(/\s+/),
);

/** The words of a text that carry its meaning, in lower case, each once. */
export function keywordsOf(text: string): string[] {
  const words = text.toLowerCase().match(/[\p{L}\d_$]{2,}/gu) ?? [];
  return [...new Set(words.filter((word) => !EMPTY_WORDS.has(word)))];
}

/** Whether two words are forms of one: "tools" and "tool", "licence" and "license". */
export function sameWord(one: string, other: string): boolean {
  return stem(one) === stem(other);
}

export function sentencesOf(text: string): string[] {
  return (text.match(/[^.!?\n]+(?:[.!?]+(?=\s|$)|\n|$|[.!?])+/g) ?? [])
    .map((part) => part.trim())
    .filter(Boolean);
}

export function listed(items: readonly string[], word = "and"): string {
  return items.length < 2 ? (items[0] ?? "") : `${items.slice(0, -1).join(", ")} ${word} ${items.at(-1)}`;
}

export function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}

export function shortened(text: string, length: number): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length <= length ? line : `${line.slice(0, length - 1).trimEnd()}…`;
}

/** The text after an instruction such as "Summarise:", or all of it. */
export function subjectOf(question: string): string {
  const [, subject] = question.match(/^[^:?!\n]{1,120}:\s*(?!\/\/)([\s\S]+)$/) ?? [];
  return (subject ?? question).trim();
}

function stem(word: string): string {
  return word
    .toLowerCase()
    .replace(/licence/g, "license")
    .replace(/ies$/, "y")
    .replace(/(?:ing|ed|es|s)$/, "")
    .replace(/e$/, "");
}
