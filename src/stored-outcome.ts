/** How a run's end becomes JSON for the store, and errors again for who reads it. */
import { UsageError } from "./errors.ts";
import type { RunEvent, RunOutcome, StoredEvent } from "./events.ts";
import { errorToJson, type Json, jsonText, parseJson } from "./json.ts";
import type { NewEvent, StoredError, StoredOutcome } from "./store.ts";

/** `value` is what `await` would have given: for a chat also where it was stopped. */
export function storedOutcome(outcome: RunOutcome<unknown>, value: unknown): StoredOutcome {
  const { text, history, patches, usage, turns } = outcome;
  const kept = {
    text,
    history,
    patches,
    usage,
    turns,
    ...(value === undefined ? {} : { value: asJson(value) }),
  };
  switch (outcome.status) {
    case "completed": {
      const { value: whole } = outcome;
      if (whole !== undefined && jsonText(whole) === undefined) {
        return { status: "error", error: storedError(noJson()), ...kept };
      }
      return { status: "completed", ...kept };
    }
    case "cancelled": {
      const reason = outcome.reason === undefined ? undefined : asJson(errorToJson(outcome.reason));
      return {
        status: "cancelled",
        cause: outcome.cause,
        ...(reason === undefined ? {} : { reason }),
        ...kept,
      };
    }
    case "error":
      return { status: "error", error: storedError(outcome.error), ...kept };
    default:
      return outcome satisfies never;
  }
}

export function storedError(error: Error): StoredError {
  return errorToJson(error) as StoredError;
}

/** An event as JSON, by its `toJSON` where it has one; the store numbers it. */
export function newEvent(event: RunEvent): NewEvent {
  const text = jsonText(event) ?? jsonText(withoutValue(event));
  const { seq: _, ...rest } = parseJson(text ?? "{}") as StoredEvent;
  if (event.type !== "run-cancelled" || event.reason !== undefined) return rest;
  const { reason: __, ...withoutReason } = rest as typeof rest & { reason?: unknown };
  return withoutReason as NewEvent;
}

/** A value that is no JSON cannot be stored: the run has failed by that. */
function withoutValue(event: RunEvent): object {
  if (event.type !== "run-completed") return event;
  const { value: _, ...rest } = event;
  return { ...rest, type: "run-error", error: storedError(noJson()) };
}

function noJson(): UsageError {
  return new UsageError(
    "not_json",
    "The answer has no JSON form (a BigInt, or a value that holds itself), so it cannot be stored. Let the schema in " +
      '"returns" make plain JSON of it.',
  );
}

/** A stored event as its reader gets it: the error of a run that failed is an error again. */
export function revivedEvent(event: StoredEvent): StoredEvent {
  if (event.type !== "run-error") return event;
  const stored: unknown = event.error;
  return { ...event, error: revivedError(stored as StoredError) };
}

/** An error with the name, message, code and cause that were stored. */
export function revivedError({ name, message, code, cause }: StoredError): Error {
  const error = new Error(message, cause === undefined ? undefined : { cause });
  Object.defineProperty(error, "name", { value: name, configurable: true, writable: true });
  return code === undefined ? error : Object.assign(error, { code });
}

function asJson(value: unknown): Json | undefined {
  const text = jsonText(value);
  return text === undefined ? undefined : (parseJson(text) as Json);
}
