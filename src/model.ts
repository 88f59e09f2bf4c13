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
      readonly finishReason: Exclude<FinishReason, "cancelled" | "interrupted" | "error">;
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

/**
 * By this key a stream also hands over all events that have arrived, in one array: a network write often completes
 * many. Optional for a model; wrappers that know only single events work as well.
 */
export const eventBatches = Symbol.for("llmethod.eventBatches");

/** Events as they arrive together. */
export type EventBatches = AsyncIterator<readonly ModelEvent[], unknown>;

/** The events of a stream in batches; of one that knows single events only, each by itself. */
export function batchesOf(stream: AsyncIterable<ModelEvent>): EventBatches {
  if (isBatched(stream)) return stream[eventBatches]();
  const single = stream[Symbol.asyncIterator]();
  return {
    next: async () => {
      const step = await single.next();
      return step.done === true ? step : { value: [step.value], done: false };
    },
    return: async () => {
      await single.return?.();
      return { value: undefined, done: true };
    },
  };
}

/** A stream that can be read both ways; each reading begins anew. */
export function batchedStream(open: () => EventBatches): AsyncIterable<ModelEvent> {
  const single = async function* (): AsyncGenerator<ModelEvent, void> {
    for await (const batch of { [Symbol.asyncIterator]: open }) yield* batch;
  };
  return Object.assign({ [Symbol.asyncIterator]: single }, { [eventBatches]: open });
}

function isBatched(stream: object): stream is { [eventBatches]: () => EventBatches } {
  return eventBatches in stream && typeof stream[eventBatches] === "function";
}
