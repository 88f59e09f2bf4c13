/** The functions that run in the background: their models are in the process and note times of the machine's clock. */
import { setTimeout as delay } from "node:timers/promises";
import {
  type BackgroundOptions,
  type CallOptions,
  llmFunction,
  type Model,
  type ModelEvent,
  type ModelRequest,
  prompt,
  type Run,
} from "../dist/index.js";
import { deltasPerSecond } from "./background-tasks.ts";
import { machineNow } from "./measure.ts";

type Options = CallOptions & BackgroundOptions;

/** Called when a model of this process has begun to stream to a run. */
export const requests = { onRequest: (_runId: string) => {} };

/** Answers at once with the time of the request. */
export const instant = made("instant", async function* (_request, at) {
  yield { type: "text-delta", delta: String(at) };
  yield { type: "finish", finishReason: "stop" };
});

/** Streams as many deltas as its argument says, at the pace of a model; each is the time at which it was given. */
export const paced = made("paced", async function* ({ messages, abortSignal }, at) {
  const count = Number(messages.at(-1)?.content);
  for (let index = 0; index < count; index++) {
    const waitMs = at + (index * 1000) / deltasPerSecond - machineNow();
    if (waitMs > 0) await delay(waitMs, undefined, { signal: abortSignal });
    yield { type: "text-delta", delta: `${machineNow()} ` };
  }
  yield { type: "finish", finishReason: "stop" };
});

const lingeringMs = 10;

/** Streams until it is stopped; its first words are the process's id and the time of the request. */
export const lingering = made("lingering", async function* ({ runId, abortSignal }, at) {
  yield { type: "text-delta", delta: `${process.pid} ${at} ` };
  requests.onRequest(runId);
  for (;;) {
    await delay(lingeringMs, undefined, { signal: abortSignal });
    yield { type: "text-delta", delta: "more " };
  }
});

export const allFunctions = [instant, paced, lingering] as const;

function made(
  name: string,
  answer: (request: ModelRequest, at: number) => AsyncGenerator<ModelEvent, void>,
): (topic: string, options?: Options) => Run<string> {
  const model: Model = { name, stream: (request) => answer(request, machineNow()) };
  return llmFunction({ name, model })((topic: string, _options?: Options) => prompt`${topic}`);
}
