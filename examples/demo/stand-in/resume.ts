/** Finds what the user wants now; for "Continue" that is the earlier question which a stop has cut off. */
import type { Exchange, Round } from "./request.ts";

export interface Task {
  readonly question: string;
  readonly exchanges: readonly Exchange[];
  /** What was said before the question. */
  readonly earlier: readonly Round[];
  /** What stands before the answer: empty, or what the stand-in has seen of a stop. */
  readonly opening: string;
  /** What the user has already read of the answer, the newest last. */
  readonly told: readonly string[];
}

const CONTINUE =
  /^\W*(?:(?:ok|okay|yes|please|and|now|then)\W+)*(?:continue|go on|carry on|resume|keep going|more|weiter)(?:\W+(?:please|then|there|now|with\b.*|from\b.*|your\b.*|the\b.*|where\b.*))*\W*$/i;
const NOTE = /\s*\[(?:stopped|cancelled)(?::\s*([^\]]*))?\]\s*$/i;
const OPENING = /^I see that [^\n]*\n\n(?:… ?)?/;
const TAIL_LENGTH = 40;

/** These only look, so that running them again after a stop cannot do harm. */
const READERS = new Set(["list_files", "read_file", "search_files", "calculate", "current_time", "survey"]);

export function isContinue(question: string): boolean {
  return CONTINUE.test(question);
}

export function taskOf(rounds: readonly [...Round[], Round]): Task | "nothing to continue" {
  const earlier = rounds.slice(0, -1);
  const now = rounds.at(-1) ?? rounds[0];
  if (!isContinue(now.question)) return { ...now, earlier, opening: "", told: [] };
  const start = earlier.findLastIndex(({ question }) => !isContinue(question));
  const origin = earlier[start];
  const last = earlier.at(-1);
  const seen = last && whatWasStopped(last);
  if (!origin || !seen) return "nothing to continue";
  const since = earlier.slice(start);
  return {
    question: origin.question,
    exchanges: [...since.flatMap(({ exchanges }) => exchanges).filter(stands), ...now.exchanges],
    earlier: earlier.slice(0, start),
    opening: `I see that ${seen}\n\n`,
    told: since.flatMap(({ texts }) => texts).map((text) => text.replace(NOTE, "").replace(OPENING, "")),
  };
}

/** What is left of a text after the last part of it that the user has read. */
export function remainderOf(text: string, told: readonly string[]): string {
  for (const part of told.toReversed()) {
    const tail = part.trimEnd().slice(-TAIL_LENGTH);
    const at = tail === "" ? -1 : text.lastIndexOf(tail);
    if (at < 0) continue;
    const rest = text.slice(at + tail.length);
    return rest.trim() === "" ? "It had already come to its end." : `…${rest}`;
  }
  return text;
}

/** A stopped call is made again, except where it may have had an effect. */
function stands({ tool, outcome }: Exchange): boolean {
  return outcome.kind !== "stopped" || (outcome.unknown && !READERS.has(tool));
}

function whatWasStopped({ texts, exchanges }: Round): string | undefined {
  const stopped = exchanges.filter(({ outcome }) => outcome.kind === "stopped");
  const unknown = stopped.filter(({ outcome }) => outcome.kind === "stopped" && outcome.unknown);
  const names = (some: readonly Exchange[]) =>
    [...new Set(some.map(({ tool }) => `\`${tool}\``))].join(" and ");
  if (unknown.length > 0) {
    return `${names(unknown)} was stopped and that its outcome is unknown; ${
      unknown.every(({ tool }) => READERS.has(tool))
        ? "it only looks, so I ran it again."
        : "I do not run it again by myself."
    }`;
  }
  if (stopped.length > 0) return `${names(stopped)} was stopped before it had a result, so I ran it again.`;
  const note = texts.at(-1)?.match(NOTE);
  if (note)
    return `my earlier answer was cut off${note[1] ? ` (${note[1].trim()})` : ""}, so I go on from there.`;
  return texts.length === 0 ? "your earlier question has no answer yet, so I take it up now." : undefined;
}
