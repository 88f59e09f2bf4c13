/** The edge for histories: any OpenAI message array comes in, and leaves as one that every provider accepts. */
import type { ChatCompletionMessageToolCall } from "openai/resources/chat/completions";
import { UsageError } from "./errors.ts";
import type { RepairPatch } from "./events.ts";
import { copyJson, isPlainObject, kindOf, parseJson } from "./json.ts";
import {
  type AssistantMessage,
  type ChatMessage,
  type ContentPart,
  type Entry,
  type Exchange,
  emptyTranscript,
  type ToolCall,
  type ToolMessage,
  type Transcript,
  toHistory,
} from "./transcript.ts";

/**
 * Makes a history valid without losing anything that can be kept: a call without a result gets one that says
 * so, a result without its call goes, a result in the wrong place moves to its call, equal call ids are told
 * apart, arguments that are not JSON are wrapped, empty assistant messages go. A valid history comes back
 * equal. The given array is not changed.
 *
 * @throws UsageError `invalid_history` for what is no array, `invalid_message` for what is no chat message.
 * @example
 * const { history, patches } = repairHistory(savedMessages);
 * for (const patch of patches) console.warn(patch.kind, patch.reason);
 */
export function repairHistory(messages: readonly ChatMessage[]): {
  history: ChatMessage[];
  patches: RepairPatch[];
} {
  const { transcript, patches } = parseHistory(messages);
  return { history: toHistory(transcript), patches };
}

/** The same, as the transcript that a run goes on from. */
export function parseHistory(messages: unknown): { transcript: Transcript; patches: RepairPatch[] } {
  if (messages === undefined) return { transcript: emptyTranscript, patches: [] };
  if (!Array.isArray(messages)) {
    throw new UsageError(
      "invalid_history",
      `The history must be an array of OpenAI chat messages, not ${kindOf(messages)}. ` +
        "Pass the `history` of an earlier reply, or leave it out.",
    );
  }
  const repair = new Repair();
  messages.forEach((message: unknown, index) => {
    repair.read(checkMessage(message, index), index);
  });
  return repair.finish();
}

interface OpenCall {
  /** The id under which results may come: the one before a renaming. */
  readonly sentId: string;
  readonly sentName: string;
  readonly call: ToolCall;
  result?: ToolMessage;
  /** Images and the like, which a tool message cannot carry. */
  attachments?: ContentPart[];
}

interface OpenTurn {
  readonly kind: "open";
  readonly index: number;
  readonly message: AssistantMessage;
  readonly calls: readonly OpenCall[];
}

class Repair {
  readonly #entries: (Entry | OpenTurn)[] = [];
  readonly #turns: OpenTurn[] = [];
  readonly #ids = new Set<string>();
  readonly #patches: RepairPatch[] = [];

  read(message: ChatMessage, index: number): void {
    if (message.role === "assistant") this.#readAssistant(message, index);
    else if (message.role === "tool") this.#readResult(message, index);
    else if (message.role === "function") this.#readFunctionResult(message, index);
    else if (isEmptyContent(message.content)) this.#drop(index, message.role, "its content is empty");
    else this.#entries.push({ kind: "message", message });
  }

  finish(): { transcript: Transcript; patches: RepairPatch[] } {
    const transcript = this.#entries.map((entry) => (entry.kind === "open" ? this.#close(entry) : entry));
    return { transcript: Object.freeze(transcript), patches: this.#patches };
  }

  #readAssistant(
    { tool_calls, function_call, ...given }: ChatMessage & { role: "assistant" },
    index: number,
  ): void {
    const message = isEmptyContent(given.content) && "content" in given ? { ...given, content: null } : given;
    const calls = (tool_calls ?? []).map((call) => asFunctionCall(call));
    if (function_call) calls.push(asFunctionCall({ id: "", type: "function", function: function_call }));
    if (calls.length > 0) {
      const open = calls.map((call) => this.#openCall(call, index));
      const turn: OpenTurn = { kind: "open", index, message, calls: open };
      this.#entries.push(turn);
      this.#turns.push(turn);
    } else if (!message.content?.length && !message.refusal && !message.audio) {
      this.#drop(index, "assistant", "it has neither content nor tool calls");
    } else {
      this.#entries.push({ kind: "turn", message, exchanges: [] });
    }
  }

  #openCall(call: ToolCall, index: number): OpenCall {
    const id = freeId(call.id, this.#ids);
    this.#ids.add(id);
    if (id !== call.id && call.id !== "") {
      const reason = "another call has the same id";
      this.#patches.push({ kind: "call-renamed", index, callId: call.id, newCallId: id, reason });
    }
    const given = call.function.arguments;
    const text = validArguments(given);
    if (text !== given) {
      const reason = "the arguments are not JSON: they were cut off or broken";
      this.#patches.push({ kind: "arguments-replaced", index, callId: id, arguments: given, reason });
    }
    const toolName = call.function.name;
    const name = validToolName(toolName);
    if (name !== toolName) {
      const reason = "a tool's name takes letters, digits, _ and -, 64 at most";
      this.#patches.push({ kind: "tool-renamed", index, callId: id, toolName, newToolName: name, reason });
    }
    return {
      sentId: call.id,
      sentName: toolName,
      call: { ...call, id, function: { name, arguments: text } },
    };
  }

  #readResult(result: ToolMessage, index: number): void {
    const { tool_call_id: callId } = result;
    const turn = this.#turns.findLast(({ calls }) =>
      calls.some((call) => call.sentId === callId && call.result === undefined),
    );
    const call = turn?.calls.find((open) => open.sentId === callId && open.result === undefined);
    if (turn === undefined || call === undefined) {
      const answered = this.#turns.some(({ calls }) => calls.some(({ sentId }) => sentId === callId));
      const reason = answered ? "its call has a result already" : "no call before it has this id";
      const content = contentText(result.content);
      this.#patches.push({ kind: "result-dropped", index, callId, content, reason });
      return;
    }
    const parts: ContentPart[] = Array.isArray(result.content) ? result.content : [];
    const attachments = parts.filter((part) => part.type !== "text");
    if (attachments.length > 0) {
      call.attachments = attachments;
      const reason = "a tool's result takes text only: the rest of it follows in a user message";
      this.#patches.push({ kind: "result-moved", index, callId: call.call.id, reason });
    }
    const texts = parts.filter((part) => part.type === "text");
    const content = attachments.length > 0 ? texts : result.content;
    call.result = { ...result, content: isEmptyContent(content) ? "" : content, tool_call_id: call.call.id };
    if (this.#entries.at(-1) !== turn) {
      const reason = "other messages stood between it and its call";
      this.#patches.push({ kind: "result-moved", index, callId: call.call.id, reason });
    }
  }

  /** The form before tool calls: a `function` message answers the open `function_call` of that name. */
  #readFunctionResult(message: ChatMessage & { role: "function" }, index: number): void {
    const turn = this.#turns.findLast(({ calls }) =>
      calls.some((call) => call.sentId === "" && call.sentName === message.name && !call.result),
    );
    const call = turn?.calls.find(
      (open) => open.sentId === "" && open.sentName === message.name && open.result === undefined,
    );
    if (call === undefined) {
      const content = message.content ?? "";
      const reason = "no function call before it has this name";
      this.#patches.push({ kind: "result-dropped", index, callId: message.name, content, reason });
      return;
    }
    call.result = { role: "tool", tool_call_id: call.call.id, content: message.content ?? "" };
  }

  #close({ message, calls, index }: OpenTurn): Entry {
    const exchanges = calls.map(({ call, result, attachments }): Exchange => {
      if (result !== undefined)
        return attachments === undefined ? { call, result } : { call, result, attachments };
      const reason = "the history holds no result for this call";
      const toolName = call.function.name;
      this.#patches.push({ kind: "result-added", index, callId: call.id, toolName, reason });
      const content = "[no result] The outcome of this call is unknown: it may or may not have taken effect.";
      return { call, result: { role: "tool", tool_call_id: call.id, content } };
    });
    return { kind: "turn", message, exchanges };
  }

  #drop(index: number, role: string, reason: string): void {
    this.#patches.push({ kind: "message-dropped", index, role, reason });
  }
}

/** `wanted`, or the first of `wanted_2`, `wanted_3`, … that is not taken. OpenAI takes 40 characters at most. */
export function freeId(wanted: string, taken: ReadonlySet<string>): string {
  const id = wanted === "" ? "call" : wanted.slice(0, 40);
  if (wanted !== "" && !taken.has(id)) return id;
  for (let count = wanted === "" ? 1 : 2; ; count++) {
    const suffix = `_${count}`;
    const candidate = id.slice(0, 40 - suffix.length) + suffix;
    if (!taken.has(candidate)) return candidate;
  }
}

/** A call of a custom tool (free text in) reads as a function call with that text as its `input`. */
function asFunctionCall(call: ChatCompletionMessageToolCall): ToolCall {
  if (call.type !== "custom") {
    const { name, arguments: text } = call.function;
    return { id: call.id, type: "function", function: { name, arguments: text } };
  }
  const { name, input } = call.custom;
  return { id: call.id, type: "function", function: { name, arguments: JSON.stringify({ input }) } };
}

/** Arguments as JSON text that every server accepts; what is not JSON is kept as a string inside. */
export function validArguments(text: string): string {
  if (text.trim() === "") return "{}";
  const isObject = isPlainObject(parseJson(text));
  return isObject ? text.toWellFormed() : JSON.stringify({ invalid_arguments: text.toWellFormed() });
}

/** OpenAI takes letters, digits, `_` and `-`, 64 at most. */
export function validToolName(name: string): string {
  return name.replace(/[^a-zA-Z0-9_-]/g, "_").slice(0, 64) || "unnamed";
}

const roles = new Set(["system", "developer", "user", "assistant", "tool", "function"]);

function checkMessage(value: unknown, index: number): ChatMessage {
  const fail = (what: string): never => {
    throw new UsageError("invalid_message", `Message ${index} of the history ${what}`);
  };
  if (!isPlainObject(value)) {
    return fail(`must be an object such as { role: "user", content: "…" }, not ${kindOf(value)}.`);
  }
  const { role, content, tool_calls: calls } = value;
  if (typeof role !== "string" || !roles.has(role)) {
    return fail(`has the unknown role ${JSON.stringify(role)}. Known roles: ${[...roles].join(", ")}.`);
  }
  if (content !== undefined && content !== null && typeof content !== "string" && !isParts(content)) {
    return fail(`has content that is ${kindOf(content)}: it must be a string or an array of content parts.`);
  }
  if (role === "tool" && typeof value.tool_call_id !== "string") {
    return fail("has the role tool but no tool_call_id: it must name the call that it answers.");
  }
  if (role === "function" && typeof value.name !== "string") {
    return fail("has the role function but no name: it must name the function that it answers.");
  }
  if (calls !== undefined && calls !== null && !(Array.isArray(calls) && calls.every(isToolCall))) {
    return fail("has tool_calls that are no array of { id, type, function: { name, arguments } }.");
  }
  const { function_call: call } = value;
  if (call !== undefined && call !== null && !isToolCall({ id: "", function: call })) {
    return fail("has a function_call that is no { name, arguments }.");
  }
  return copyJson(value) as unknown as ChatMessage;
}

function isParts(content: unknown): boolean {
  return (
    Array.isArray(content) && content.every((part) => isPlainObject(part) && typeof part.type === "string")
  );
}

function isToolCall(call: unknown): boolean {
  if (!isPlainObject(call) || typeof call.id !== "string") return false;
  if (call.type === "custom") return isPlainObject(call.custom) && typeof call.custom.name === "string";
  return (
    isPlainObject(call.function) &&
    typeof call.function.name === "string" &&
    typeof call.function.arguments === "string"
  );
}

function isEmptyContent(content: unknown): boolean {
  return content === undefined || content === null || (Array.isArray(content) && content.length === 0);
}

function contentText(content: ToolMessage["content"] | null | undefined): string {
  if (content === undefined || content === null) return "";
  return typeof content === "string" ? content : content.map((part) => part.text).join("");
}
