/** Writes a reply in the shapes of OpenAI's chat completions, so that any OpenAI client can read it. */
import { randomUUID } from "node:crypto";
import type { Reply } from "./reply.ts";
import type { ChatRequest } from "./request.ts";

interface ToolCallDelta {
  index: number;
  id?: string;
  type?: "function";
  function: { name?: string; arguments: string };
}

interface Delta {
  role?: "assistant";
  content?: string | null;
  tool_calls?: ToolCallDelta[];
}

/** The stream's chunks in order, the usage chunk at the end where the client has asked for it. */
export function* chunksOf(reply: Reply, chat: ChatRequest): Generator<object> {
  const envelope = {
    id: `chatcmpl-${randomUUID()}`,
    object: "chat.completion.chunk",
    created: Math.floor(Date.now() / 1000),
    model: chat.model,
  };
  const noUsage = chat.includeUsage ? { usage: null } : {};
  const chunk = (delta: Delta, finish_reason: string | null) => ({
    ...envelope,
    choices: [{ index: 0, delta, finish_reason }],
    ...noUsage,
  });
  for (const delta of deltasOf(reply)) yield chunk(delta, null);
  yield chunk({}, finishOf(reply));
  if (chat.includeUsage) yield { ...envelope, choices: [], usage: usageOf(reply, chat) };
}

/** The same reply for a request without `stream`. */
export function completionOf(reply: Reply, chat: ChatRequest): object {
  const message =
    "text" in reply
      ? { role: "assistant", content: reply.text, refusal: null }
      : { role: "assistant", content: null, refusal: null, tool_calls: reply.calls.map(wireCall) };
  return {
    id: `chatcmpl-${randomUUID()}`,
    object: "chat.completion",
    created: Math.floor(Date.now() / 1000),
    model: chat.model,
    choices: [{ index: 0, message, finish_reason: finishOf(reply) }],
    usage: usageOf(reply, chat),
  };
}

export function errorBody(message: string, type = "invalid_request_error"): object {
  return { error: { message, type, param: null, code: null } };
}

export function modelList(): object {
  return { object: "list", data: [{ id: "stand-in", object: "model", created: 0, owned_by: "llmethod" }] };
}

function* deltasOf(reply: Reply): Generator<Delta> {
  if ("text" in reply) {
    yield { role: "assistant", content: "" };
    for (const content of wordsOf(reply.text)) yield { content };
    return;
  }
  yield { role: "assistant", content: null };
  for (const [index, call] of reply.calls.entries()) {
    const { id, type, function: wanted } = wireCall(call);
    yield { tool_calls: [{ index, id, type, function: { name: wanted.name, arguments: "" } }] };
    for (const piece of wanted.arguments.match(/.{1,6}/gsu) ?? []) {
      yield { tool_calls: [{ index, function: { arguments: piece } }] };
    }
  }
}

/** Cuts a text into words (long ones into pieces) that add up to it exactly. */
function wordsOf(text: string): string[] {
  return text.match(/\s*\S{1,8}|\s+$/gu) ?? [];
}

function wireCall(call: { tool: string; input: object }) {
  return {
    id: `call_${randomUUID().replaceAll("-", "").slice(0, 24)}`,
    type: "function" as const,
    function: { name: call.tool, arguments: JSON.stringify(call.input) },
  };
}

function finishOf(reply: Reply): "stop" | "tool_calls" {
  return "text" in reply ? "stop" : "tool_calls";
}

/** An estimate of four characters a token: the stand-in has no tokenizer. */
function usageOf(reply: Reply, chat: ChatRequest) {
  const written = "text" in reply ? reply.text : JSON.stringify(reply.calls);
  const prompt_tokens = Math.ceil(chat.size / 4);
  const completion_tokens = Math.ceil(written.length / 4);
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}
