/** The boundary to a provider: a model is anything with one method, `stream(request)`. */
import type { FinishReason, Usage } from "./events.ts";
import type { JsonObject } from "./json.ts";
import type { ChatMessage } from "./transcript.ts";

/** A tool as a model sees it: a name, when to use it, and the JSON Schema of its input. */
export interface ToolSpec {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: JsonObject;
}

/** The shape that the answer must have. `strict` says that the schema keeps to OpenAI's strict subset. */
export interface OutputSpec {
  readonly name: string;
  readonly schema: JsonObject;
  readonly strict: boolean;
}

export interface ModelRequest {
  /** The conversation, system message first; valid by OpenAI's rules. Read only. */
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly ToolSpec[];
  /** `none`: the tools are shown, as the history speaks of them, but must not be called. */
  readonly toolChoice: "auto" | "none";
  readonly output?: OutputSpec;
  /** Aborted when the run is stopped. A stream that is not read on for another reason is told by `return()`. */
  readonly abortSignal: AbortSignal;
  readonly runId: string;
  readonly metadata?: JsonObject;
}

/**
 * What a model streams. A `tool-call` says that the call's input is complete; a call of which only deltas
 * came is dropped and never executed. `finish` is the last event; a stream that ends without it has failed.
 */
export type ModelEvent =
  | { readonly type: "text-delta"; readonly delta: string }
  | { readonly type: "reasoning-delta"; readonly delta: string }
  | {
      readonly type: "tool-input-delta";
      readonly callId: string;
      readonly toolName: string;
      readonly delta: string;
    }
  | { readonly type: "tool-call"; readonly callId: string; readonly toolName: string; readonly input: string }
  | {
      readonly type: "finish";
      readonly finishReason: Exclude<FinishReason, "cancelled" | "error">;
      readonly usage?: Usage;
    };

/**
 * A provider's model. Wrappers (`withRetry`) take a model and give a model.
 *
 * @example
 * const echo: Model = {
 *   name: "echo",
 *   async *stream({ messages }) {
 *     yield { type: "text-delta", delta: JSON.stringify(messages.at(-1)) };
 *     yield { type: "finish", finishReason: "stop" };
 *   },
 * };
 */
export interface Model {
  /** The model's name, for errors and traces. */
  readonly name: string;
  stream(request: ModelRequest): AsyncIterable<ModelEvent>;
}

export function isModel(value: unknown): value is Model {
  return (
    typeof value === "object" && value !== null && "stream" in value && typeof value.stream === "function"
  );
}
