/** The frozen value behind a conversation: entries in which an orphan call or result cannot be written down. */
import type {
  ChatCompletionAssistantMessageParam,
  ChatCompletionContentPart,
  ChatCompletionMessageFunctionToolCall,
  ChatCompletionMessageParam,
  ChatCompletionToolMessageParam,
} from "openai/resources/chat/completions";
import { copyJson } from "./json.ts";

/** One OpenAI chat message, the unit of a public history. Source: the Chat Completions API reference. */
export type ChatMessage = ChatCompletionMessageParam;
/** A part of a message's content: text, image, audio or file, in OpenAI's shape. */
export type ContentPart = ChatCompletionContentPart;
/** A tool call in OpenAI's shape; `function.arguments` is JSON text. */
export type ToolCall = ChatCompletionMessageFunctionToolCall;
export type ToolMessage = ChatCompletionToolMessageParam;
/** An assistant message without its calls: these live in the turn's exchanges. */
export type AssistantMessage = Omit<ChatCompletionAssistantMessageParam, "tool_calls" | "function_call">;
export type PlainMessage = Exclude<ChatMessage, { role: "assistant" | "tool" | "function" }>;

/** A tool call with its outcome. */
export interface Exchange {
  readonly call: ToolCall;
  readonly result: ToolMessage;
  /** Parts that a tool message cannot carry (images); they follow the turn's results in a user message. */
  readonly attachments?: readonly ContentPart[];
}

/** One model answer with its exchanges, in call order. */
export interface Turn {
  readonly kind: "turn";
  readonly message: AssistantMessage;
  readonly exchanges: readonly Exchange[];
}

export interface PlainEntry {
  readonly kind: "message";
  readonly message: PlainMessage;
}

export type Entry = PlainEntry | Turn;
export type Transcript = readonly Entry[];

export const emptyTranscript: Transcript = Object.freeze([]);

/** A new transcript with `entries` at its end. */
export function append(transcript: Transcript, ...entries: readonly Entry[]): Transcript {
  return Object.freeze([...transcript, ...entries]);
}

export function userMessage(content: string | readonly ContentPart[]): PlainEntry {
  return {
    kind: "message",
    message: { role: "user", content: copyJson(typeof content === "string" ? content : [...content]) },
  };
}

/** The messages of a transcript, sharing its parts: for a request, never for a caller. */
export function toMessages(transcript: Transcript): ChatMessage[] {
  const messages: ChatMessage[] = [];
  for (const entry of transcript) {
    if (entry.kind === "message") messages.push(entry.message);
    else appendTurn(messages, entry);
  }
  return messages;
}

/** The public form: plain JSON that the caller owns and may change. */
export function toHistory(transcript: Transcript): ChatMessage[] {
  return toMessages(transcript).map((message) => copyJson(message));
}

function appendTurn(messages: ChatMessage[], { message, exchanges }: Turn): void {
  if (exchanges.length === 0) {
    messages.push(message);
    return;
  }
  messages.push({ ...message, tool_calls: exchanges.map((exchange) => exchange.call) });
  for (const exchange of exchanges) messages.push(exchange.result);
  const attachments = exchanges.flatMap((exchange) => exchange.attachments ?? []);
  if (attachments.length > 0) messages.push({ role: "user", content: attachments });
}
