/** Finds files and folders in a question: by name, by what is usual, or among the results at hand. */
import { resultsOf, textAt } from "./outcome.ts";
import type { Exchange } from "./request.ts";
import type { Task } from "./resume.ts";

/** A file's name or path in a sentence. */
export const FILE =
  /(?<![\w/.])(?:\.{0,2}\/)?(?:[\w@.-]+\/)*[\w@-][\w@.-]*\.(?:md|json|jsonc|tsx?|[cm]?[jt]s|jsx|txt|ya?ml|toml|html|css|sh|csv|log|lock)\b/gi;
const PRODUCT = /^(?:node|next|vue|express|three|d3)\.js$/i;
const READ_ONE_OF =
  /\b(?:read|open|show|print|view|look at|look into)\b[^.?!]*?\b(first|second|third|last|each|all|both|them|those|it|that one|this one|the\s*(?=[.?!]|$))/i;
const ORDINALS: Readonly<Record<string, readonly [number, number?]>> = {
  first: [0, 1],
  second: [1, 2],
  third: [2, 3],
  last: [-1],
  it: [0, 1],
  "that one": [0, 1],
  "this one": [0, 1],
};
/** As many files as "read them all" reads in one turn. */
const MOST_FILES = 3;

type Results = "this question" | "the conversation";
export type Folder = { readonly folder?: string };

/** The files that a question wants read; `results` says where "the first file" may come from. */
export function filesToRead(question: string, task: Task, results: Results): readonly string[] {
  const named = pathsIn(question);
  return named.length > 0 ? named : (pointedAt(question, task, results) ?? impliedFile(question));
}

export function pathsIn(question: string): string[] {
  const files = [...(question.match(FILE) ?? [])].filter((path) => !PRODUCT.test(path));
  if (files.length === 0 && /\bread ?me\b/i.test(question)) return ["README.md"];
  return [...new Set(files.map((path) => path.replace(/^\.\//, "")))];
}

/** "the first file", "them": files which a search or a list has found, here or earlier. */
function pointedAt(question: string, task: Task, results: Results) {
  const which = question.match(READ_ONE_OF)?.[1]?.trim().toLowerCase();
  if (!which) return undefined;
  const rounds = results === "this question" ? [] : task.earlier.toReversed();
  const found = [task, ...rounds]
    .map(({ exchanges }) => foundPaths(exchanges))
    .find((paths) => paths.length > 0);
  return found?.slice(...(ORDINALS[which] ?? [0, MOST_FILES])) ?? [];
}

function foundPaths(exchanges: readonly Exchange[]): string[] {
  const hits = [...resultsOf(exchanges, "search_files"), ...resultsOf(exchanges, "list_files")].flat();
  return [
    ...new Set(hits.map((hit) => (typeof hit === "string" ? hit : textAt(hit, "path"))).filter(Boolean)),
  ];
}

function impliedFile(question: string): string[] {
  if (!/\b(?:project|package|repo(?:sitory)?|codebase)\b/i.test(question)) return [];
  if (/\b(?:licen[cs]e|version|dependenc(?:y|ies)|scripts|engines?|author)\b/i.test(question))
    return ["package.json"];
  return /\bwhat\b.*\b(?:is|does|for|about)\b|\bexplain\b|\bdescribe\b/i.test(question) ? ["README.md"] : [];
}

/** "in src", "under the examples/demo folder"; "in this project" is no folder. */
export function folderIn(question: string): Folder {
  const match = question.match(
    /\b(?:in|under|below|inside|of|within|survey|ls)\s+(?:the\s+)?(?:(?:folder|directory)\s+)?["'`]?((?:\.?[\w@-]+\/)*\.?[\w@-]+)\/?["'`]?(?=$|[\s?!,;.])(\s+(?:folder|directory))?/gi,
  );
  for (const part of match ?? []) {
    const folder =
      part
        .replace(/\s+(?:folder|directory)$/i, "")
        .replace(/["'`/]+$/, "")
        .split(/[\s"'`]+/)
        .at(-1) ?? "";
    if (
      /(?:folder|directory)$/i.test(part) ||
      /\/|^(?:src|lib|test|tests|docs|examples|bench|scripts|dist)$/.test(folder)
    ) {
      return /^(?:this|that|the|a|current|which|what)$/i.test(folder) ? {} : { folder };
    }
  }
  return {};
}
