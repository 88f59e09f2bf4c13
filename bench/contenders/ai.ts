/** Vercel's AI SDK: `streamText` with its provider for OpenAI's Chat Completions, every part consumed. */
import { createOpenAI } from "@ai-sdk/openai";
import { isStepCount, Output, streamText, tool } from "ai";
import { z } from "zod";
import { Report } from "../report-sample.ts";
import {
  apiKey,
  type Contender,
  instructions,
  type Job,
  lookupDescription,
  lookupName,
  maxTurns,
  question,
} from "./contender.ts";

const Lookup = z.object({ query: z.string(), limit: z.number() });

export const ai: Contender = {
  prepare(job) {
    const provider = createOpenAI({ baseURL: job.baseURL, apiKey });
    const settings = {
      model: provider.chat(job.model),
      instructions,
      prompt: question,
      stopWhen: isStepCount(maxTurns),
      // Errors come as parts of the stream too; the default prints them.
      onError: () => {},
    };
    const lookup = tool({
      description: lookupDescription,
      inputSchema: Lookup,
      execute: (input, { abortSignal }) => job.lookup(input, abortSignal),
    });
    return async (signal) => {
      const abort = signal === undefined ? {} : { abortSignal: signal };
      if (job.kind === "object") {
        const result = streamText({ ...settings, ...abort, output: Output.object({ schema: Report }) });
        await consume(result.stream, job);
        return result.output;
      }
      const tools = job.kind === "tools" ? { tools: { [lookupName]: lookup } } : {};
      const result = streamText({ ...settings, ...abort, ...tools });
      await consume(result.stream, job);
      return signal?.aborted === true ? undefined : result.text;
    };
  },
};

async function consume(
  parts: AsyncIterable<{ type: string; error?: unknown }>,
  { onDelta }: Job,
): Promise<void> {
  for await (const part of parts) {
    if (part.type === "text-delta") onDelta();
    else if (part.type === "error") throw part.error;
  }
}
