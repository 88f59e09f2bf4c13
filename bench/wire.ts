/** Pre-rendered server-sent events: what OpenAI's Chat Completions API writes for an answer, as buffers. */

/** An answer as its events, each the buffer of one `data:` field. */
export type Answer = readonly Buffer[];

const head = {
  id: "chatcmpl-BwZ7kQ1nX5Yp3vJrT8sLhD2fGm4Ca",
  object: "chat.completion.chunk",
  created: 1_763_683_200,
  model: "bench-2026-11-01",
  service_tier: "default",
  system_fingerprint: "fp_3f58d112f7",
};

export function textAnswer(pieces: readonly string[]): Answer {
  const deltas = pieces.map((content) => chunk({ content }));
  return [
    chunk({ role: "assistant", content: "", refusal: null }),
    ...deltas,
    ...ending("stop", pieces.length),
  ];
}

/** One tool call an entry; each call's arguments come in several fragments. */
export function callsAnswer(calls: readonly { id: string; input: unknown }[]): Answer {
  const events = [chunk({ role: "assistant", content: null, refusal: null })];
  for (const [index, { id, input }] of calls.entries()) {
    const call = { index, id, type: "function", function: { name: "lookup", arguments: "" } };
    events.push(chunk({ tool_calls: [call] }));
    for (const piece of pieces(JSON.stringify(input), 6)) events.push(argumentsChunk(index, piece));
  }
  return [...events, ...ending("tool_calls", calls.length * 8)];
}

export function argumentsChunk(index: number, piece: string): Buffer {
  return chunk({ tool_calls: [{ index, function: { arguments: piece } }] });
}

export function words(count: number): string[] {
  return Array.from({ length: count }, (_, index) => ` word${index % 100}`);
}

/** A text cut into `count` pieces of nearly one length. */
export function pieces(text: string, count: number): string[] {
  const cut = (index: number) => Math.round((index * text.length) / count);
  return Array.from({ length: count }, (_, index) => text.slice(cut(index), cut(index + 1)));
}

/** The events of an answer joined into buffers of `size` events, each for one network write. */
export function writes(answer: Answer, size: number): Buffer[] {
  const count = Math.ceil(answer.length / size);
  return Array.from({ length: count }, (_, index) =>
    Buffer.concat(answer.slice(index * size, (index + 1) * size)),
  );
}

function chunk(delta: object, finishReason: string | null = null): Buffer {
  const choices = [{ index: 0, delta, logprobs: null, finish_reason: finishReason }];
  return data({ ...head, choices, usage: null });
}

function ending(finishReason: string, outputTokens: number): Buffer[] {
  const usage = {
    prompt_tokens: 100,
    completion_tokens: outputTokens,
    total_tokens: 100 + outputTokens,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
  };
  return [chunk({}, finishReason), data({ ...head, choices: [], usage }), Buffer.from("data: [DONE]\n\n")];
}

function data(value: object): Buffer {
  return Buffer.from(`data: ${JSON.stringify(value)}\n\n`);
}
