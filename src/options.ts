/** The call options: what a caller may pass to one call, told from the other arguments by their keys, checked. */
import { UsageError } from "./errors.ts";
import { isPlainObject, type JsonObject, jsonText, kindOf, shown } from "./json.ts";
import type { ChatMessage } from "./transcript.ts";

/** Limits in milliseconds. Each counts from the start of a request, `total` from the start of the run. */
export interface Timeouts {
  /** The whole run. */
  readonly total?: number;
  /** One turn: the model's answer and its tools. */
  readonly turn?: number;
  /** From a request to its first visible event. */
  readonly firstToken?: number;
  /** Between two events of a model's stream. */
  readonly idle?: number;
  /** One tool call; ends that call only. A tool's own `timeout` comes first. */
  readonly tool?: number;
}

/** The turn limit; `atLimit` says what happens then: an error, or one last answer without tools. */
export type TurnLimit = number | { readonly limit: number; readonly atLimit: "error" | "answer" };

/** The trailing argument of every LLM function and chat. */
export interface CallOptions {
  /** Stops the run when it is aborted. */
  readonly abortSignal?: AbortSignal;
  /** Stops the run after so many milliseconds; a number is the `total`. */
  readonly timeout?: number | Timeouts;
  /** An id of one's own, by which `cancelRun` finds the run. Default: a random UUID. */
  readonly runId?: string;
  /** The conversation so far, as an earlier reply or outcome gave it. Never changed. */
  readonly history?: readonly ChatMessage[];
  /** Anything; tools find it as `context.context`. */
  readonly context?: unknown;
  readonly maxTurns?: TurnLimit;
  /** JSON data about the run; models and wrappers find it in their request. */
  readonly metadata?: JsonObject;
}

const optionKeys = new Set(["abortSignal", "timeout", "runId", "history", "context", "maxTurns", "metadata"]);
const timeoutKeys = ["total", "turn", "firstToken", "idle", "tool"] as const;

/**
 * The options among a call's arguments: the last one, if it is a plain object with no other keys than those of
 * `CallOptions`. Each option is checked.
 *
 * @throws UsageError `invalid_option`, a `TypeError`
 */
export function callOptions(args: readonly unknown[]): CallOptions {
  const last = args.at(-1);
  if (!isPlainObject(last)) return {};
  const foreign = foreignKeys(last);
  if (foreign.length === 0) return checkOptions(last);
  const holdsSignal = Object.values(last).some((value) => value instanceof AbortSignal);
  if (holdsSignal || isMessages(last.history)) throw misspelt(foreign);
  return {};
}

/**
 * For calls whose arguments but the options are known (a chat's): an object with one of the options and another
 * key is a mistake.
 *
 * @throws UsageError `invalid_option`
 */
export function refuseMisspeltOptions(value: unknown): void {
  if (!isPlainObject(value)) return;
  const foreign = foreignKeys(value);
  if (foreign.length > 0 && foreign.length < Object.keys(value).length) throw misspelt(foreign);
}

function foreignKeys(value: Record<string, unknown>): string[] {
  return Object.keys(value).filter((key) => !optionKeys.has(key));
}

function misspelt(foreign: readonly string[]): UsageError {
  return invalid(
    `The call options hold the unknown ${foreign.join(", ")}: the object would be taken for an ordinary argument, and ` +
      `its options be lost. Known options: ${[...optionKeys].join(", ")}.`,
  );
}

function isMessages(value: unknown): boolean {
  return Array.isArray(value) && isPlainObject(value[0]) && typeof value[0].role === "string";
}

function checkOptions(options: Record<string, unknown>): CallOptions {
  const { abortSignal, timeout, runId, history, maxTurns, metadata } = options;
  if (abortSignal !== undefined && !(abortSignal instanceof AbortSignal)) {
    throw invalid(
      `"abortSignal" must be an AbortSignal, not ${kindOf(abortSignal)}. Pass controller.signal of an ` +
        "AbortController, or AbortSignal.timeout(ms).",
    );
  }
  if (timeout !== undefined) checkTimeout(timeout);
  if (runId !== undefined && !isId(runId)) throw invalid(`"runId" must be ${idShape}, not ${shown(runId)}.`);
  if (history !== undefined && !Array.isArray(history)) {
    throw new UsageError(
      "invalid_history",
      `"history" must be an array of OpenAI chat messages, not ${kindOf(history)}. ` +
        "Pass the history of an earlier reply.",
    );
  }
  if (maxTurns !== undefined) checkTurnLimit(maxTurns);
  if (metadata !== undefined && (!isPlainObject(metadata) || jsonText(metadata) === undefined)) {
    const given = isPlainObject(metadata) ? "one with values that JSON has not" : kindOf(metadata);
    throw invalid(`"metadata" must be a plain JSON object, not ${given}.`);
  }
  return options as CallOptions;
}

const longestId = 1000;

/** What may name a run, wherever it is kept. */
export const idShape = `a string that is not empty, of ${longestId} characters at most and of whole characters`;

export function isId(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= longestId && value.isWellFormed();
}

/** @throws UsageError `invalid_option` */
export function checkTimeout(timeout: unknown): void {
  if (isPlainObject(timeout)) {
    const unknown = Object.keys(timeout).filter((key) => !timeoutKeys.some((known) => known === key));
    if (unknown.length > 0) {
      throw invalid(
        `"timeout" does not know ${unknown.join(", ")}. Its limits are ${timeoutKeys.join(", ")}.`,
      );
    }
    for (const [key, value] of Object.entries(timeout)) checkMs(value, `timeout.${key}`);
  } else checkMs(timeout, "timeout");
}

/** The longest delay that a timer of Node keeps: about 24.8 days. */
const maxDelayMs = 2_147_483_647;

function checkMs(value: unknown, name: string): void {
  if (value === undefined) return;
  if (typeof value === "number" && value >= 0 && value <= maxDelayMs) return;
  throw invalid(`"${name}" must be a number of milliseconds from 0 to ${maxDelayMs}, not ${shown(value)}.`);
}

/** The limits by name; a number is the total. */
export function timeoutsOf(timeout: CallOptions["timeout"]): Timeouts {
  return typeof timeout === "number" ? { total: timeout } : (timeout ?? {});
}

/** @throws UsageError `invalid_option` */
export function checkTurnLimit(maxTurns: unknown): void {
  const limit = isPlainObject(maxTurns) ? maxTurns.limit : maxTurns;
  const atLimit = isPlainObject(maxTurns) ? maxTurns.atLimit : "error";
  if (typeof limit === "number" && Number.isInteger(limit) && limit > 0) {
    if (atLimit === "error" || atLimit === "answer") return;
  }
  throw invalid('"maxTurns" must be a whole number above 0, or { limit: 20, atLimit: "error" | "answer" }.');
}

function invalid(message: string): UsageError {
  return new UsageError("invalid_option", message);
}
