/** Maps a question to the tool calls that would answer it: the stand-in's whole understanding of language. */
import { expressionsIn } from "./arithmetic.ts";
import { type Folder, filesToRead, folderIn, pathsIn } from "./files.ts";
import { timeQuestion } from "./places.ts";
import type { Task } from "./resume.ts";

/** A tool call that the stand-in wants to make. */
export interface Wish {
  readonly tool: string;
  readonly input: Readonly<Record<string, unknown>>;
}

const TERM = "(?:the (?:word|words|text|string|term|name|function) )?(.+?)";
const END = "(?=\\s+(?:and|in|under|below|inside|then|within)\\b|[?!,;]|\\.(?:\\s|$)|$)";
const SEARCHES: readonly RegExp[] = [
  new RegExp(
    `\\bwhere\\s+(?:(?:is|are|do we|does)\\s+)?${TERM}\\s+(?:(?:is|are|gets)\\s+)?(?:mentioned|used|defined|called|declared|imported)\\b`,
    "i",
  ),
  new RegExp(
    `\\b(?:files?|which|where|lines?|modules?)\\b.*?\\b(?:mention|contain|reference|use|import|include)(?:s|ing)?\\s+${TERM}${END}`,
    "i",
  ),
  new RegExp(`\\b(?:search|look|grep)\\b.*?\\bfor\\s+${TERM}${END}`, "i"),
  new RegExp(`\\b(?:mentions?|occurrences?|uses|usages?)\\s+of\\s+${TERM}${END}`, "i"),
  new RegExp(
    `\\b(?:grep|find)\\s+(?!the (?:file|folder)|out\\b|files?\\b)(?:all |every |any )?${TERM}${END}`,
    "i",
  ),
];
const QUOTED = /(?<=^|[\s(])["'`“‘]([^"'`“”‘’]+)["'`”’](?=$|[\s).,;:?!])/;
/** Everything that the question asks for; what follows from results appears when these are there. */
export function wishesOf(task: Task): readonly Wish[] {
  const search = searchIn(task.question);
  const rest = search ? task.question.replace(search.span, " ") : task.question;
  const folder = folderIn(task.question);
  const survey = surveyIn(rest, folder);
  const list = search || survey.length > 0 ? [] : listIn(rest, folder);
  const looks = [...(search ? [search.wish(folder)] : []), ...list];
  const lastRound = task.earlier.at(-1);
  const timeBefore = lastRound?.exchanges.some(({ tool }) => tool === "current_time");
  const time = timeQuestion(rest, timeBefore ? "after a time" : "else");
  return [
    ...looks,
    ...filesToRead(rest, task, looks.length > 0 ? "this question" : "the conversation").map((path) => ({
      tool: "read_file",
      input: { path },
    })),
    ...survey,
    ...timeWishes(time?.timeZones),
    ...expressionsIn(rest, task.earlier).map((expression) => ({ tool: "calculate", input: { expression } })),
  ];
}

function searchIn(question: string) {
  for (const pattern of SEARCHES) {
    const match = question.match(pattern);
    if (!match) continue;
    const text = (question.match(QUOTED)?.[1] ?? match[1] ?? "")
      .replace(/^["'`“‘]|["'`”’]$|\s+(?:comments?|calls?)$/g, "")
      .trim();
    if (text === "") continue;
    return {
      span: match[0],
      wish: (folder: Folder): Wish => ({ tool: "search_files", input: { text, ...folder } }),
    };
  }
  return undefined;
}

function listIn(question: string, folder: Folder): Wish[] {
  const asks =
    /\b(?:list|show|which|what|ls)\b[^.?!]*\b(?:files|folders|director(?:y|ies)|contents)\b|^\s*ls\b/i;
  return asks.test(question) && pathsIn(question).length === 0 ? [{ tool: "list_files", input: folder }] : [];
}

function surveyIn(question: string, folder: Folder): Wish[] {
  const asks =
    /\bsurvey\b|\bhow (?:big|large) is\b|\bhow many (?:files|lines)\b|\bcount (?:the |all )?(?:files|lines)\b|\bstatistics\b/i;
  if (!asks.test(question)) return [];
  const seconds = question.match(/\b(\d+(?:\.\d+)?)\s*(?:s|sec|seconds?)\b/i)?.[1];
  return [{ tool: "survey", input: { ...folder, ...(seconds && { seconds: Number(seconds) }) } }];
}

function timeWishes(timeZones: readonly string[] | undefined): Wish[] {
  if (!timeZones) return [];
  const inputs = timeZones.length > 0 ? timeZones.map((timeZone) => ({ timeZone })) : [{}];
  return inputs.map((input) => ({ tool: "current_time", input }));
}
