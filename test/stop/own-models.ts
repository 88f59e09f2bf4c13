// Models of our own, for what no server can be made to do: they never answer, or answer a stop in odd ways.

import type { Model, ModelEvent, ModelRequest } from "llmethod";

export const own = (stream: (request: ModelRequest) => AsyncIterable<ModelEvent>): Model => ({
  name: "own",
  stream,
});

export const delta = (text: string): ModelEvent => ({ type: "text-delta", delta: text });
export const called = (callId: string, toolName: string, input = "{}"): ModelEvent => ({
  type: "tool-call",
  callId,
  toolName,
  input,
});
export const finish = (finishReason: "stop" | "tool-calls" = "stop"): ModelEvent => ({
  type: "finish",
  finishReason,
});

/** Answers at once with these texts. */
export const talks = (...texts: readonly string[]): Model =>
  own(async function* () {
    yield* texts.map(delta);
    yield finish();
  });

/** First asks for these tools, then says that it is done. */
export const calls = (...names: readonly string[]): Model =>
  own(async function* ({ messages }) {
    if (messages.some(({ role }) => role === "tool")) {
      yield delta("Done.");
      yield finish();
      return;
    }
    yield* names.map((name, index) => called(`call_${index}`, name));
    yield finish("tool-calls");
  });

/** Says something and then waits for the stop. */
export const waits = (atStop: (signal: AbortSignal) => void = throwReason): Model =>
  own(async function* ({ abortSignal }) {
    yield delta("Once");
    await aborted(abortSignal);
    atStop(abortSignal);
  });

/** First asks for these tools, then says something and waits for the stop. */
export const thenWaits = (...names: readonly string[]): Model =>
  own((request) => {
    const hasResults = request.messages.some(({ role }) => role === "tool");
    return (hasResults ? waits() : calls(...names)).stream(request);
  });

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function throwReason(signal: AbortSignal): never {
  throw signal.reason;
}
