/** Every error class that llmethod throws, so that a caller can tell them apart by class and by `code`. */
import type { Patch } from "./events.ts";
import { textOf } from "./json.ts";
import type { ChatMessage } from "./transcript.ts";

/** What was wrong with a call or a definition. */
export type UsageErrorCode =
  | "invalid_option"
  | "invalid_history"
  | "invalid_message"
  | "missing_model"
  | "invalid_schema"
  | "invalid_tool"
  | "duplicate_tool"
  | "invalid_decorator"
  | "invalid_prompt"
  | "duplicate_run"
  | "unknown_run"
  | "unknown_function"
  | "not_json";

/**
 * The program passed something that cannot work: a wrong option, a broken history, a definition without a
 * model. Thrown at once, where the mistake was made; the message says what to write instead.
 */
export class UsageError extends TypeError {
  override readonly name = "UsageError";
  readonly code: UsageErrorCode;

  constructor(code: UsageErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Which of the limits of `timeout` fired; `wait` is that of `runs.wait`, which ends the waiting only. */
export type TimeoutKind = "total" | "turn" | "firstToken" | "idle" | "tool" | "wait";

/** The reason of a stop by a `timeout` option. `ms` is the limit that was set, in milliseconds. */
export class TimeoutError extends Error {
  override readonly name = "TimeoutError";
  readonly code = "timeout";
  readonly which: TimeoutKind;
  readonly ms: number;

  constructor(which: TimeoutKind, ms: number) {
    super(`the ${which} timeout of ${ms} ms has passed`);
    this.which = which;
    this.ms = ms;
  }
}

/**
 * Thrown by `await` on an LLM function whose run was stopped. `name` and `code` are those of Node's own
 * `AbortError`; `cause` is the stop's reason, by identity. `history` can be sent again.
 */
export class RunCancelledError extends Error {
  override readonly name = "AbortError";
  readonly code = "ABORT_ERR";
  readonly runId: string;
  readonly history: ChatMessage[];
  readonly text: string;
  readonly patches: readonly Patch[];

  constructor(
    message: string,
    details: {
      cause: unknown;
      runId: string;
      history: ChatMessage[];
      text: string;
      patches: readonly Patch[];
    },
  ) {
    super(message, { cause: details.cause });
    this.runId = details.runId;
    this.history = details.history;
    this.text = details.text;
    this.patches = details.patches;
  }
}

/** Why a model gave no usable answer. */
export type ModelErrorCode =
  | "authentication"
  | "permission"
  | "not_found"
  | "bad_request"
  | "context_length"
  | "rate_limit"
  | "quota"
  | "overloaded"
  | "server"
  | "connection"
  | "timeout"
  | "stream"
  | "refusal"
  | "content_filter"
  | "length";

export interface ModelErrorDetails {
  /** HTTP status, where there was one. */
  readonly status?: number | undefined;
  /** The provider's own error code or type. */
  readonly providerCode?: string | undefined;
  /** The provider's request id, for its support. */
  readonly requestId?: string | undefined;
  /** Whether the same request may succeed later. */
  readonly retryable?: boolean;
  /** How long the provider asks to wait, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  /** What the model had said by then (the refusal's text, the cut answer). */
  readonly text?: string;
  readonly cause?: unknown;
}

/** A provider refused, failed, or broke its answer off. */
export class ModelError extends Error {
  override readonly name = "ModelError";
  readonly code: ModelErrorCode;
  readonly status: number | undefined;
  readonly providerCode: string | undefined;
  readonly requestId: string | undefined;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly text: string;

  constructor(code: ModelErrorCode, message: string, details: ModelErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.status = details.status;
    this.providerCode = details.providerCode;
    this.requestId = details.requestId;
    this.retryable = details.retryable ?? false;
    this.retryAfterMs = details.retryAfterMs;
    this.text = details.text ?? "";
  }
}

/** The model did not give an answer that fits `returns`, also when asked again. `text` is its last raw answer. */
export class OutputError extends Error {
  override readonly name = "OutputError";
  readonly code = "invalid_output";
  readonly text: string;
  /** What the validator said about the last answer, one line an issue. */
  readonly issues: readonly string[];

  constructor(message: string, details: { text: string; issues: readonly string[] }) {
    super(message);
    this.text = details.text;
    this.issues = details.issues;
  }
}

/** The run reached `maxTurns` and the model still asked for tools. */
export class TurnLimitError extends Error {
  override readonly name = "TurnLimitError";
  readonly code = "turn_limit";
  readonly maxTurns: number;

  constructor(maxTurns: number) {
    super(
      `The model still asks for tools after ${maxTurns} turns. Raise maxTurns, or set ` +
        `maxTurns: { limit: ${maxTurns}, atLimit: "answer" } to get one last answer without tools.`,
    );
    this.maxTurns = maxTurns;
  }
}

/** A stored run whose workers were lost again and again: nobody takes it up any more. */
export class GaveUpError extends Error {
  override readonly name = "GaveUpError";
  readonly code = "gave_up";
  readonly attempts: number;

  constructor(runId: string, attempts: number) {
    super(
      `The run ${runId} was taken up ${attempts} times in a row without getting any further: it was given up.`,
    );
    this.attempts = attempts;
  }
}

/** Anything thrown, as an error; what is none becomes the cause of one. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(textOf(error), { cause: error });
}
