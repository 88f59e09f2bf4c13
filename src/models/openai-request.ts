/** The body of a Chat Completions request, with or without what a server may not know. */
import type { ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import { jsonInstruction } from "../answer.ts";
import type { ModelRequest, OutputSpec } from "../model.ts";
import type { ChatMessage } from "../transcript.ts";

/** What a server takes; each is switched off when the server refuses it. */
export interface Abilities {
  /** `stream_options: { include_usage: true }` */
  readonly usage: boolean;
  /** `response_format: { type: "json_schema" }`; without it the schema stands in an instruction. */
  readonly jsonSchema: boolean;
}

export interface RequestSettings {
  readonly model: string;
  readonly temperature?: number | undefined;
  readonly maxOutputTokens?: number | undefined;
  readonly reasoningEffort?: "none" | "minimal" | "low" | "medium" | "high" | undefined;
  readonly parallelToolCalls?: boolean | undefined;
  /** Further body fields, for servers with their own. */
  readonly extraBody?: Readonly<Record<string, unknown>> | undefined;
}

export function requestBody(
  request: ModelRequest,
  settings: RequestSettings,
  { usage, jsonSchema }: Abilities,
): ChatCompletionCreateParamsStreaming {
  const { tools, output } = request;
  const { model, temperature, maxOutputTokens, reasoningEffort, parallelToolCalls, extraBody } = settings;
  const messages =
    output === undefined || jsonSchema ? request.messages : instructed(request.messages, output);
  return {
    model,
    messages: messages.map(withoutForeignData),
    stream: true,
    ...(usage ? { stream_options: { include_usage: true } } : {}),
    ...(tools.length === 0
      ? {}
      : {
          tools: tools.map(({ name, description, inputSchema }) => ({
            type: "function" as const,
            function: { name, description, parameters: inputSchema as Record<string, unknown> },
          })),
          ...(request.toolChoice === "none" ? { tool_choice: "none" as const } : {}),
          ...(parallelToolCalls === undefined ? {} : { parallel_tool_calls: parallelToolCalls }),
        }),
    ...(output === undefined || !jsonSchema ? {} : { response_format: responseFormat(output) }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(maxOutputTokens === undefined ? {} : { max_completion_tokens: maxOutputTokens }),
    ...(reasoningEffort === undefined ? {} : { reasoning_effort: reasoningEffort }),
    ...extraBody,
  };
}

function responseFormat({ name, schema, strict }: OutputSpec) {
  return {
    type: "json_schema" as const,
    json_schema: { name, schema: schema as Record<string, unknown>, strict },
  };
}

/** The instruction joins the system message, or becomes one. */
function instructed(messages: readonly ChatMessage[], output: OutputSpec): ChatMessage[] {
  const [first, ...rest] = messages;
  const instruction = jsonInstruction(output);
  if (first?.role === "system" && typeof first.content === "string") {
    return [{ ...first, content: `${first.content}\n\n${instruction}` }, ...rest];
  }
  return [{ role: "system", content: instruction }, ...messages];
}

const plainKeys = new Set(["role", "content", "name"]);
const assistantKeys = new Set([...plainKeys, "refusal", "audio", "tool_calls"]);
const toolKeys = new Set(["role", "content", "tool_call_id"]);

/** Messages may carry other providers' data or an application's own, which this API would refuse. */
function withoutForeignData(message: ChatMessage): ChatMessage {
  const { role } = message;
  const keys = role === "assistant" ? assistantKeys : role === "tool" ? toolKeys : plainKeys;
  for (const key in message) {
    if (keys.has(key)) continue;
    const known = Object.entries(message).filter(([name]) => keys.has(name));
    return Object.fromEntries(known) as unknown as ChatMessage;
  }
  return message;
}
