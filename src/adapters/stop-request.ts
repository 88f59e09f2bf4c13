/** Stop requests as text: one form for every file and server in which managers keep them. */
import type { StopRequest } from "../cancellation.ts";
import { UsageError } from "../errors.ts";
import { errorToJson, isPlainObject, parseJson, shown } from "../json.ts";

/** A request as JSON text. Errors become `{ name, message, … }`; what has no JSON becomes text. */
export function requestToText(request: StopRequest): string {
  const { runId, reason, at } = request;
  return JSON.stringify({ runId, at, reason: reason === undefined ? undefined : errorToJson(reason) });
}

/**
 * The request of this run, from its text.
 *
 * @param where names the text in an error, such as its file
 * @throws Error where it is no stop request, or that of another run
 */
export function requestFromText(text: string, runId: string, where: string): StopRequest {
  const value = parseJson(text);
  if (!isPlainObject(value) || typeof value.runId !== "string" || !Number.isFinite(value.at)) {
    throw new Error(`${where} holds no stop request. Delete it.`);
  }
  if (value.runId !== runId) {
    throw new Error(`${where} holds a stop request of another run, "${value.runId}". Delete it.`);
  }
  return { runId, reason: value.reason, at: value.at as number };
}

const defaultLifetimeMs = 24 * 60 * 60 * 1000;
const longestLifetimeMs = 365 * defaultLifetimeMs;

/** The option `intentLifetimeMs`, checked; 24 h where it is not given. */
export function checkLifetime(intentLifetimeMs: unknown = defaultLifetimeMs): number {
  if (
    typeof intentLifetimeMs === "number" &&
    intentLifetimeMs >= 1 &&
    intentLifetimeMs <= longestLifetimeMs
  ) {
    return Math.round(intentLifetimeMs);
  }
  throw new UsageError(
    "invalid_option",
    `"intentLifetimeMs" must be a number of milliseconds from 1 to a year, not ${shown(intentLifetimeMs)}.`,
  );
}

/** Options objects of managers: refuses what is no object, and keys that it does not know. */
export function checkKeys(what: string, options: unknown, known: readonly string[]): void {
  if (!isPlainObject(options)) {
    throw new UsageError("invalid_option", `${what} takes an options object, not ${shown(options)}.`);
  }
  const unknown = Object.keys(options).filter((key) => !known.includes(key));
  if (unknown.length === 0) return;
  throw new UsageError(
    "invalid_option",
    `${what} does not know ${unknown.join(", ")}. It knows ${known.join(", ")}.`,
  );
}
