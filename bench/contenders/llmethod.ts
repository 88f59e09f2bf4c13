/** This library, from its compiled form: awaited, and streamed to a reader of every event. */
import { z } from "zod";
import { type CallOptions, llmFunction, openai, prompt, type Run, tool } from "../../dist/index.js";
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

export const awaited: Contender = {
  prepare(job) {
    const ask = define(job);
    return (abortSignal) => ask(question, optionsFor(abortSignal));
  },
};

export const streamed: Contender = {
  prepare(job) {
    const ask = define(job);
    return async (abortSignal) => {
      let value: unknown;
      for await (const event of ask.stream(question, optionsFor(abortSignal))) {
        if (event.type === "text-delta") job.onDelta();
        else if (event.type === "run-completed") value = event.value;
        else if (event.type === "run-error") throw event.error;
      }
      return value;
    };
  },
};

function define({
  baseURL,
  model,
  kind,
  lookup,
}: Job): (text: string, options?: CallOptions) => Run<unknown> {
  const lookupTool = tool({
    name: lookupName,
    description: lookupDescription,
    input: Lookup,
    execute: (input, { abortSignal }) => lookup(input, abortSignal),
  });
  const definition = {
    model: openai(model, { apiKey, baseURL }),
    instructions,
    maxTurns,
    toolkit: kind === "tools" ? [lookupTool] : [],
  };
  const body = (text: string, _options?: CallOptions) => prompt`${text}`;
  return kind === "object"
    ? llmFunction({ ...definition, returns: Report })(body)
    : llmFunction(definition)(body);
}

function optionsFor(abortSignal: AbortSignal | undefined): CallOptions {
  return abortSignal === undefined ? {} : { abortSignal };
}
