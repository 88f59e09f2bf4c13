// Names what a script's steps may do with an answer, the same for a streamed and for a whole one.

import type { ChatCompletionChunk } from "openai/resources/chat/completions";
import type { Exchange } from "./exchange.ts";
import type { UsageOverride } from "./usage.ts";

export type FinishReason = NonNullable<ChatCompletionChunk.Choice["finish_reason"]>;

export interface CallDelta {
  readonly index: number;
  readonly id?: string;
  readonly type?: "function";
  readonly function: { readonly name?: string; readonly arguments: string };
}

export interface Delta {
  readonly content?: string;
  readonly reasoning_content?: string;
  readonly refusal?: string;
  readonly tool_calls?: readonly CallDelta[];
}

export interface ApiError {
  readonly message: string;
  readonly type?: string;
  readonly code?: string | null;
  readonly param?: string | null;
}

export interface Wire {
  readonly exchange: Exchange;
  delta(delta: Delta): Promise<void>;
  /** The index of a new tool call: the next one where the script names none. */
  callIndex(given?: number): number;
  finish(reason: FinishReason): Promise<void>;
  usage(override: UsageOverride): Promise<void>;
  done(): Promise<void>;
  error(error: ApiError): Promise<void>;
  chunk(value: object): Promise<void>;
  raw(bytes: string): Promise<void>;
  /** No more steps: finishes properly, unless a step has said how the answer ends. */
  close(): Promise<void>;
  /** The body ends here as it is, without a finish reason. */
  cut(): Promise<void>;
}

export function errorBody({ message, type = "server_error", code = null, param = null }: ApiError): object {
  return { error: { message, type, param, code } };
}

export function lengthOf(delta: Delta): number {
  const calls = delta.tool_calls ?? [];
  const called = calls.reduce((sum, call) => sum + (call.function.name ?? call.function.arguments).length, 0);
  return (delta.content ?? "").length + (delta.refusal ?? "").length + called;
}
