/** Ids of runs as they come with requests: part of a path, so not every string will do. */
import { shown } from "../json.ts";
import { invalid, Problem } from "./problem.ts";

const maxLength = 256;

/** @throws Problem 422 */
export function checkRunId(runId: unknown): string {
  if (typeof runId === "string" && isUsable(runId)) return runId;
  throw invalid(
    `"runId" must be a string of 1 to ${maxLength} printable characters other than "." and "..", not ${shown(runId)}. ` +
      "Leave it out for a random one.",
  );
}

/** Whoever builds an address takes "." and ".." for steps in the path, and some stores keep no control characters. */
function isUsable(runId: string): boolean {
  const isSized = runId.length > 0 && runId.length <= maxLength;
  return isSized && runId.isWellFormed() && !/^\.\.?$|\p{Cc}/u.test(runId);
}

/** The id in one segment of a path. */
export function runIdIn(segment: string): string {
  try {
    return checkRunId(decodeURIComponent(segment));
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem(
      400,
      "invalid_option",
      "The run's id in the path is not percent-encoded: use encodeURIComponent(runId).",
    );
  }
}
