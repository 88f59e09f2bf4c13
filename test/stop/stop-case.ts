// A row of the stop contract as data: the scene, the moment of the stop, and what must remain.

import type { CallOptions, Model, Patch, RunEvent, StopCause, ToolContext, Toolkit } from "llmethod";
import { expect } from "vitest";
import type { ZodType } from "zod";
import type { ChatMessage } from "../../src/transcript.ts";
import type { Answer } from "../support/server.ts";
import { type ScriptedCall, text, toolCall } from "../support/server.ts";
import type { Stage } from "./stage.ts";

export type { ToolContext };

export interface Scene {
  readonly answers: readonly Answer[];
  readonly model?: Model;
  readonly toolkit?: Toolkit | (() => Toolkit);
  /** Makes it a typed LLM function instead of a chat. */
  readonly returns?: ZodType;
  readonly abortGraceMs?: number;
  readonly timeout?: CallOptions["timeout"];
  /** Instead of the stage's own. */
  readonly signal?: AbortSignal;
  /** The body; by default the prompt at once. */
  readonly body?: () => never;
  /** Resolves when it is time to stop; left out where the scene stops itself. */
  stopWhen?(): Promise<unknown>;
  /** The stop comes in the tick of the call. */
  readonly stopsAtOnce?: boolean;
  /** The event at which the reader leaves. */
  leaveAt?(event: RunEvent<unknown>): boolean;

  // What must remain
  readonly status?: "completed" | "cancelled";
  readonly cause?: StopCause;
  /** By identity; without it the stage's own. */
  readonly reason?: unknown;
  readonly reasonLike?: object;
  /** The messages behind the user's. */
  readonly kept: readonly unknown[];
  readonly patches: readonly unknown[];
  readonly text?: string;
  readonly requests: number;
  readonly earlyCloses: number;
  readonly started?: readonly string[];
  /** Checks of its own, when all is over. */
  after?(): void | Promise<void>;
}

export interface StopCase {
  readonly row: number;
  readonly title: string;
  readonly only?: "streamed";
  scene(stage: Stage): Scene;
}

// The vocabulary of the expectations

export const note = "[stopped: halt]";
export const said = (content: string): ChatMessage => ({ role: "assistant", content });
export const asked = (
  content: string | null,
  ...calls: readonly [id: string, name: string, input?: string][]
): ChatMessage => ({
  role: "assistant",
  content,
  tool_calls: calls.map(([id, name, input = "{}"]) => ({
    id,
    type: "function",
    function: { name, arguments: input },
  })),
});
/** A tool's result by its exact text, or by a text that it holds. */
export const result = (id: string, content: string) => ({ role: "tool", tool_call_id: id, content });
export const resultLike = (id: string, pattern: RegExp) => ({
  role: "tool",
  tool_call_id: id,
  content: expect.stringMatching(pattern) as unknown,
});
export const truncated = (partialText: string, reason = "halt"): Patch => ({
  kind: "text-truncated",
  partialText,
  reason,
});
export const dropped = (toolName: string, reason = "halt"): Patch => ({
  kind: "call-dropped",
  toolName,
  reason,
});
export const cancelled = (
  callId: string,
  toolName: string,
  state: "not-started" | "stopped" | "unknown",
  reason = "halt",
): Patch => ({ kind: "call-cancelled", callId, toolName, state, reason });

/** A whole call with an empty input. */
export const call = (id: string, name: string, fragments: ScriptedCall["arguments"] = "{}") =>
  toolCall({ id, name, arguments: fragments });
export { text };
