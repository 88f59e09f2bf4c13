/** The measure of all: what one writes by hand on the `openai` SDK, with its stream iterator. */
import OpenAI from "openai";
import type { ResponseFormatJSONSchema } from "openai/resources";
import type {
  ChatCompletionFunctionTool,
  ChatCompletionMessageFunctionToolCall,
  ChatCompletionMessageParam,
} from "openai/resources/chat/completions";
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

const tools: ChatCompletionFunctionTool[] = [
  {
    type: "function",
    function: { name: lookupName, description: lookupDescription, parameters: z.toJSONSchema(Lookup) },
  },
];

const format: ResponseFormatJSONSchema = {
  type: "json_schema",
  json_schema: { name: "report", strict: true, schema: z.toJSONSchema(Report) },
};

interface Turn {
  text: string;
  readonly calls: { id: string; name: string; arguments: string }[];
}

export const raw: Contender = {
  prepare(job) {
    const client = new OpenAI({ apiKey, baseURL: job.baseURL });
    return (signal) => run(client, job, signal);
  },
};

async function run(client: OpenAI, job: Job, signal: AbortSignal | undefined): Promise<unknown> {
  const messages: ChatCompletionMessageParam[] = [
    { role: "system", content: instructions },
    { role: "user", content: question },
  ];
  for (let turns = 0; turns < maxTurns; turns++) {
    const { text, calls } = await readTurn(client, job, messages, signal);
    if (calls.length === 0) return job.kind === "object" ? Report.parse(JSON.parse(text)) : text;
    messages.push({ role: "assistant", content: text === "" ? null : text, tool_calls: calls.map(toolCall) });
    messages.push(
      ...(await Promise.all(
        calls.map(async ({ id, arguments: input }) => ({
          role: "tool" as const,
          tool_call_id: id,
          content: await job.lookup(Lookup.parse(JSON.parse(input)), signal),
        })),
      )),
    );
  }
  throw new Error("too many turns");
}

async function readTurn(
  client: OpenAI,
  { model, kind, onDelta }: Job,
  messages: ChatCompletionMessageParam[],
  signal: AbortSignal | undefined,
): Promise<Turn> {
  const stream = await client.chat.completions.create(
    {
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
      ...(kind === "tools" ? { tools } : {}),
      ...(kind === "object" ? { response_format: format } : {}),
    },
    { signal },
  );
  const turn: Turn = { text: "", calls: [] };
  for await (const { choices } of stream) {
    const delta = choices[0]?.delta;
    if (delta === undefined) continue;
    if (delta.content) {
      turn.text += delta.content;
      onDelta();
    }
    for (const part of delta.tool_calls ?? []) {
      turn.calls[part.index] ??= { id: "", name: "", arguments: "" };
      const call = turn.calls[part.index];
      if (call === undefined) continue;
      if (part.id !== undefined) call.id = part.id;
      call.name += part.function?.name ?? "";
      call.arguments += part.function?.arguments ?? "";
    }
  }
  return turn;
}

function toolCall(call: Turn["calls"][number]): ChatCompletionMessageFunctionToolCall {
  return { id: call.id, type: "function", function: { name: call.name, arguments: call.arguments } };
}
