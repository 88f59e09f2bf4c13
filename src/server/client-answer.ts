/** What the end of a remote run gives its caller: the answer, or what `await` on the call would have thrown. */
import { RunCancelledError } from "../errors.ts";
import { textOf } from "../json.ts";
import type { StoredOutcome } from "../store.ts";
import { revivedError } from "../stored-outcome.ts";

/** What a server answers to a call of the mode `sync`. */
export type SyncAnswer = StoredOutcome & { readonly runId: string };

/** @throws RunCancelledError; the error with which the run failed, by name, message, code and cause */
export function resultOf<T>(runId: string, outcome: StoredOutcome): T {
  const { status, value, error, reason, cause, history, text, patches } = outcome;
  // A chat that was cancelled has a value as well: its reply.
  if (value !== undefined || status === "completed") return value as T;
  if (error !== undefined) throw revivedError(error);
  const why = reason === undefined ? (cause ?? "cancel") : textOf(reason);
  throw new RunCancelledError(`The run was cancelled: ${why}`, {
    cause: reason,
    runId,
    history,
    text,
    patches,
  });
}
