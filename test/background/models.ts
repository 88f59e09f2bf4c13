// Models for background runs, in the process, and the plainest functions that ask them.

import { setTimeout as sleep } from "node:timers/promises";
import {
  type CallOptions,
  type ChatRun,
  type Definition,
  llmChat,
  llmFunction,
  type Model,
  type ModelEvent,
  type ModelRequest,
  prompt,
  type Run,
  type Tool,
  type ToolContext,
  tool,
} from "llmethod";
import { z } from "zod";

export type Answering = (request: ModelRequest) => Iterable<ModelEvent> | AsyncIterable<ModelEvent>;

/** A model that counts its requests and keeps them. */
export interface CountedModel extends Model {
  readonly requests: readonly ModelRequest[];
}

export function modelOf(answer: Answering): CountedModel {
  const requests: ModelRequest[] = [];
  return {
    name: "own",
    requests,
    async *stream(request) {
      requests.push(request);
      yield* answer(request);
    },
  };
}

export const finish = (finishReason: "stop" | "tool-calls" = "stop"): ModelEvent => ({
  type: "finish",
  finishReason,
  usage: { inputTokens: 2, outputTokens: 1, totalTokens: 3 },
});

export function says(text: string): ModelEvent[] {
  return [...text.split(/(?<= )/).map((delta): ModelEvent => ({ type: "text-delta", delta })), finish()];
}

export function calls(toolName: string, input: object = {}, callId = "call_1"): ModelEvent[] {
  return [{ type: "tool-call", callId, toolName, input: JSON.stringify(input) }, finish("tool-calls")];
}

/** Says something, then nothing more until the run is stopped. */
export async function* hangs(text: string, { abortSignal }: ModelRequest): AsyncGenerator<ModelEvent> {
  yield { type: "text-delta", delta: text };
  await sleep(60_000, undefined, { signal: abortSignal, ref: false });
}

/** Answers by the number of turns that the history holds. */
export const byTurn =
  (...turns: readonly Answering[]): Answering =>
  (request) => {
    const turn = request.messages.filter(({ role }) => role === "assistant").length;
    const answer = turns[turn];
    if (answer === undefined) throw new Error(`The model was asked for turn ${turn + 1}.`);
    return answer(request);
  };

/** What the request's task says: the last message of the user. */
export function taskOf({ messages }: ModelRequest): string {
  return String(messages.findLast(({ role }) => role === "user")?.content);
}

export type Ask = (task: string, options?: CallOptions) => Run<string>;
export type Chat = (message: string, options?: CallOptions) => ChatRun;

export function askOf(model: Model, name = "ask", toolkit: readonly Tool[] = []): Ask {
  return llmFunction({ model, name, toolkit })((task: string, _options?: CallOptions) => prompt`${task}`);
}

export function chatOf(model: Model, name = "chat", more: Definition = {}): Chat {
  return llmChat({ model, name, ...more })((_message: string, _options?: CallOptions) => prompt`Be kind.`);
}

/** A tool without input. */
export function toolOf(name: string, execute: (context: ToolContext) => unknown, idempotent = false): Tool {
  return tool({
    name,
    description: `The tool ${name}`,
    input: z.object({}),
    idempotent,
    execute: (_input, context) => execute(context),
  });
}

/** Waits until something holds; the time at which it gives up is generous. */
export async function until(holds: () => boolean | Promise<boolean>, ms = 10_000): Promise<void> {
  for (const end = performance.now() + ms; !(await holds()); await sleep(5)) {
    if (performance.now() > end) throw new Error("It did not come to hold.");
  }
}
