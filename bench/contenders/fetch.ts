/** The floor for text: `fetch` with `eventsource-parser`, no SDK, no checks, no errors, no tools. */
import { createParser } from "eventsource-parser";
import type OpenAI from "openai";
import { apiKey, type Contender, instructions, type Job, question } from "./contender.ts";

export const floor: Contender = {
  prepare(job) {
    if (job.kind !== "text") throw new Error("the floor is for text only");
    return (signal) => run(job, signal);
  },
};

async function run({ baseURL, model, onDelta }: Job, signal: AbortSignal | undefined): Promise<string> {
  const messages = [
    { role: "system", content: instructions },
    { role: "user", content: question },
  ];
  const response = await fetch(`${baseURL}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${apiKey}` },
    body: JSON.stringify({ model, messages, stream: true, stream_options: { include_usage: true } }),
    signal: signal ?? null,
  });
  let text = "";
  const parser = createParser({
    onEvent({ data }) {
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data) as OpenAI.ChatCompletionChunk;
      const content = chunk.choices[0]?.delta.content;
      if (!content) return;
      text += content;
      onDelta();
    },
  });
  const decoder = new TextDecoder();
  for await (const part of response.body ?? []) parser.feed(decoder.decode(part, { stream: true }));
  return text;
}
