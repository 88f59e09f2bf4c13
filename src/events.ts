/** The events of a run, its outcome, and the data that they carry. */
import type { Json } from "./json.ts";
import type { ChatMessage } from "./transcript.ts";

export type RunStatus = "pending" | "running" | "completed" | "stopped" | "cancelled" | "error";
export type StopCause = "signal" | "timeout" | "cancel" | "consumer" | "parent" | "shutdown";

/** Tokens, summed over the turns of a run. `estimated` marks figures that no provider gave. */
export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly totalTokens: number;
  readonly cachedTokens?: number;
  readonly reasoningTokens?: number;
  readonly estimated?: boolean;
}

/** `unknown`: the tool ignored the stop, so it may have taken effect. */
export type CancelledCallState = "not-started" | "stopped" | "unknown";

/** What was changed in a history to keep it valid, and why. `reason` is text, fit for JSON. */
export type Patch =
  | { readonly kind: "text-truncated"; readonly partialText: string; readonly reason: string }
  | { readonly kind: "call-dropped"; readonly toolName: string; readonly reason: string }
  | {
      readonly kind: "call-cancelled";
      readonly callId: string;
      readonly toolName: string;
      readonly state: CancelledCallState;
      readonly reason: string;
    }
  | RepairPatch;

/** What `repairHistory` changed; `index` is the message's place in the array that was given. */
export type RepairPatch =
  | {
      readonly kind: "result-added";
      readonly index: number;
      readonly callId: string;
      readonly toolName: string;
      readonly reason: string;
    }
  | {
      readonly kind: "result-moved";
      readonly index: number;
      readonly callId: string;
      readonly reason: string;
    }
  | {
      readonly kind: "result-dropped";
      readonly index: number;
      readonly callId: string;
      readonly content: string;
      readonly reason: string;
    }
  | {
      readonly kind: "call-renamed";
      readonly index: number;
      readonly callId: string;
      readonly newCallId: string;
      readonly reason: string;
    }
  | {
      readonly kind: "tool-renamed";
      readonly index: number;
      readonly callId: string;
      readonly toolName: string;
      readonly newToolName: string;
      readonly reason: string;
    }
  | {
      readonly kind: "arguments-replaced";
      readonly index: number;
      readonly callId: string;
      readonly arguments: string;
      readonly reason: string;
    }
  | {
      readonly kind: "message-dropped";
      readonly index: number;
      readonly role: string;
      readonly reason: string;
    };

export type ToolStatus = "ok" | "error" | "cancelled" | "unknown";

/** Every property optional, at any depth: what is there of a typed answer while it streams. */
export type DeepPartial<T> = T extends readonly (infer Item)[]
  ? DeepPartial<Item>[]
  : T extends object
    ? { [Key in keyof T]?: DeepPartial<T[Key]> }
    : T;

interface Kept {
  readonly text: string;
  readonly history: ChatMessage[];
  readonly patches: readonly Patch[];
  readonly usage: Usage;
}

/** What an engine yields while it works; the run adds the stamp and the terminal event. */
export type EngineEvent<T = unknown> =
  | { readonly type: "turn-start"; readonly turn: number }
  | { readonly type: "text-delta"; readonly delta: string }
  | { readonly type: "reasoning-delta"; readonly delta: string }
  | {
      readonly type: "tool-input-delta";
      readonly callId: string;
      readonly toolName: string;
      readonly delta: string;
    }
  | {
      readonly type: "tool-start";
      readonly callId: string;
      readonly toolName: string;
      readonly input: unknown;
    }
  | {
      readonly type: "tool-progress";
      readonly callId: string;
      readonly toolName: string;
      readonly data: unknown;
    }
  | { readonly type: "object-delta"; readonly value: DeepPartial<T> }
  | {
      readonly type: "tool-end";
      readonly callId: string;
      readonly toolName: string;
      readonly status: ToolStatus;
      readonly output: unknown;
      readonly error?: string;
      readonly durationMs: number;
    }
  | {
      readonly type: "turn-end";
      readonly turn: number;
      readonly finishReason: FinishReason;
      readonly usage: Usage;
    };

/**
 * How a turn ended; `cancelled` and `error` where the model did not end it itself, `interrupted` where its worker was
 * lost: what it had said is void, and the turn begins again.
 */
export type FinishReason =
  | "stop"
  | "tool-calls"
  | "length"
  | "content-filter"
  | "refusal"
  | "cancelled"
  | "interrupted"
  | "error";

export type TerminalEvent<T = unknown> =
  | ({ readonly type: "run-completed"; readonly value: T } & Kept)
  | ({ readonly type: "run-cancelled"; readonly reason: unknown; readonly cause: StopCause } & Kept)
  | ({ readonly type: "run-error"; readonly error: Error } & Kept);

/** What the run adds to each event: `seq` counts from 1, `at` is the time in ms since 1970. */
export interface EventStamp {
  readonly runId: string;
  readonly seq: number;
  readonly at: number;
  readonly parentRunId?: string;
  readonly parentCallId?: string;
}

/** One event of a run. Every `*-start` has one `*-end`; exactly one terminal event, and it is the last. */
export type RunEvent<T = unknown> = ({ readonly type: "run-start" } | EngineEvent<T> | TerminalEvent<T>) &
  EventStamp;

/** A stored run was taken up again, by its next attempt: what a turn that was open had said is void. */
export type ResumedEvent = { readonly type: "run-resumed"; readonly attempt: number } & EventStamp;

/** A stored event; its `seq` counts from 1 over all attempts, without a gap. */
export type StoredEvent = RunEvent<Json> | ResumedEvent;

/** The one shape in which every run ends, whatever the phase and the mode. */
export type RunOutcome<T> = {
  readonly runId: string;
  readonly history: ChatMessage[];
  readonly patches: readonly Patch[];
  /** All text that the model streamed in this run, raw: without notes. */
  readonly text: string;
  readonly usage: Usage;
  /** How many turns were begun. */
  readonly turns: number;
} & (
  | { readonly status: "completed"; readonly value: T }
  | { readonly status: "cancelled"; readonly reason: unknown; readonly cause: StopCause }
  | { readonly status: "error"; readonly error: Error }
);

export const noUsage: Usage = Object.freeze({ inputTokens: 0, outputTokens: 0, totalTokens: 0 });

export function addUsage(sum: Usage, more: Usage): Usage {
  return {
    inputTokens: sum.inputTokens + more.inputTokens,
    outputTokens: sum.outputTokens + more.outputTokens,
    totalTokens: sum.totalTokens + more.totalTokens,
    ...optional("cachedTokens", sum.cachedTokens, more.cachedTokens),
    ...optional("reasoningTokens", sum.reasoningTokens, more.reasoningTokens),
    ...(sum.estimated === true || more.estimated === true ? { estimated: true } : {}),
  };
}

function optional<Key extends "cachedTokens" | "reasoningTokens">(
  key: Key,
  sum: number | undefined,
  more: number | undefined,
): { [K in Key]?: number } {
  if (sum === undefined && more === undefined) return {};
  return { [key]: (sum ?? 0) + (more ?? 0) } as { [K in Key]?: number };
}
