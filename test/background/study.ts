// A function of three turns with tools, whose model answers by what it is shown: the same after any interruption.

import { setTimeout as sleep } from "node:timers/promises";
import {
  type CallOptions,
  type ChatMessage,
  llmFunction,
  type Model,
  type ModelEvent,
  prompt,
  type Run,
  type RunHandle,
  tool,
} from "llmethod";
import { z } from "zod";

export const finalAnswer = "Rain comes from clouds, and clouds from the sea.";

/** What one world of runs has seen: requests of the model, and each execution of a tool. */
export interface Diary {
  requests: number;
  readonly executions: { readonly toolName: string; readonly callId: string; finished: boolean }[];
}

export interface StudyOptions {
  /** How long each tool takes, in ms. */
  readonly toolMs?: number;
  /** How long the model waits between two deltas, in ms. */
  readonly deltaMs?: number;
}

export interface Study {
  readonly study: (topic: string, options?: CallOptions) => Run<string>;
  readonly diary: Diary;
}

export type { RunHandle };

/** `note` must not run twice, `look` may. */
export function makeStudy({ toolMs = 0, deltaMs = 0 }: StudyOptions = {}): Study {
  const diary: Diary = { requests: 0, executions: [] };
  const made = (name: string, idempotent: boolean) =>
    tool({
      name,
      description: `The tool ${name}`,
      input: z.object({ topic: z.string() }),
      idempotent,
      async execute({ topic }, { callId, abortSignal, emit }) {
        const execution = { toolName: name, callId, finished: false };
        diary.executions.push(execution);
        emit({ at: topic });
        if (toolMs > 0) await sleep(toolMs, undefined, { signal: abortSignal });
        execution.finished = true;
        return `${name} of ${topic}`;
      },
    });
  const model: Model = {
    name: "by-history",
    async *stream({ messages, abortSignal }): AsyncGenerator<ModelEvent> {
      diary.requests++;
      for (const event of answerTo(messages)) {
        if (deltaMs > 0) await sleep(deltaMs, undefined, { signal: abortSignal });
        yield event;
      }
    },
  };
  const study = llmFunction({
    model,
    name: "study",
    toolkit: [made("note", false), made("look", true)],
    instructions: "Study hard.",
  })((topic: string, _options?: CallOptions) => prompt`Study ${topic}.`);
  return { study, diary };
}

/** Two calls, then one, then the answer: by the number of turns that the history holds. */
function answerTo(messages: readonly ChatMessage[]): ModelEvent[] {
  const turn = messages.filter(({ role }) => role === "assistant").length;
  const call = (name: string, number: number): ModelEvent[] => {
    const callId = `call_${turn}_${number}`;
    const input = JSON.stringify({ topic: `t${turn}` });
    return [
      { type: "tool-input-delta", callId, toolName: name, delta: input },
      { type: "tool-call", callId, toolName: name, input },
    ];
  };
  if (turn === 0) {
    return [
      { type: "text-delta", delta: "Let me " },
      { type: "text-delta", delta: "see. " },
      ...call("note", 1),
      ...call("look", 2),
      { type: "finish", finishReason: "tool-calls", usage: usage(10, 4) },
    ];
  }
  if (turn === 1) {
    return [...call("note", 1), { type: "finish", finishReason: "tool-calls", usage: usage(20, 2) }];
  }
  const words = finalAnswer.split(/(?<= )/).map((delta): ModelEvent => ({ type: "text-delta", delta }));
  return [...words, { type: "finish", finishReason: "stop", usage: usage(30, 9) }];
}

function usage(inputTokens: number, outputTokens: number) {
  return { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens };
}
