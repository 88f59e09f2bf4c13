/** OpenAI's Agents SDK: an `Agent` and `run` with `stream: true` on Chat Completions, without tracing. */
import { Agent, run, setDefaultOpenAIClient, setOpenAIAPI, setTracingDisabled, tool } from "@openai/agents";
import OpenAI from "openai";
import { z } from "zod";
import { Report } from "../report-sample.ts";
import {
  apiKey,
  type Contender,
  instructions,
  lookupDescription,
  lookupName,
  maxTurns,
  question,
} from "./contender.ts";

const Lookup = z.object({ query: z.string(), limit: z.number() });

export const agents: Contender = {
  prepare(job) {
    setDefaultOpenAIClient(new OpenAI({ apiKey, baseURL: job.baseURL }));
    setOpenAIAPI("chat_completions");
    setTracingDisabled(true);
    const lookup = tool({
      name: lookupName,
      description: lookupDescription,
      parameters: Lookup,
      execute: (input, _context, details) => job.lookup(input, details?.signal),
    });
    const definition = { name: "Assistant", instructions, model: job.model };
    const agent =
      job.kind === "object"
        ? new Agent({ ...definition, outputType: Report })
        : new Agent({ ...definition, tools: job.kind === "tools" ? [lookup] : [] });
    return async (signal) => {
      const options = { stream: true as const, maxTurns, ...(signal === undefined ? {} : { signal }) };
      const result = await run(agent, question, options);
      for await (const event of result) {
        if (event.type === "raw_model_stream_event" && event.data.type === "output_text_delta") job.onDelta();
      }
      await result.completed;
      if (result.error) throw result.error;
      return signal?.aborted === true ? undefined : result.finalOutput;
    };
  },
};
