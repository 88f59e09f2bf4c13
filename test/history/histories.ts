// Random histories: valid ones by construction, broken ones made of these, and arrays of any messages at all.

import fc from "fast-check";
import type { ChatMessage, ContentPart } from "llmethod";

const words = fc.string({ maxLength: 12 });
const name = fc.constantFrom("find", "add", "look_up");

const part: fc.Arbitrary<ContentPart> = fc.oneof(
  words.map((text) => ({ type: "text" as const, text })),
  fc.constant({ type: "image_url" as const, image_url: { url: "https://example.com/a.png" } }),
  fc.constant({ type: "input_audio" as const, input_audio: { data: "AAAA", format: "wav" as const } }),
  fc.constant({ type: "file" as const, file: { file_id: "file_1" } }),
);
const texts = fc.array(
  words.map((text) => ({ type: "text" as const, text })),
  { minLength: 1, maxLength: 3 },
);
const textOrTexts = fc.oneof(words, texts);

const plain: fc.Arbitrary<ChatMessage> = fc.oneof(
  fc.record({ role: fc.constant("system" as const), content: textOrTexts }),
  fc.record({ role: fc.constant("developer" as const), content: textOrTexts }),
  fc.record({
    role: fc.constant("user" as const),
    content: fc.oneof(words, fc.array(part, { minLength: 1, maxLength: 3 })),
  }),
  fc.record({ role: fc.constant("user" as const), content: words, name: fc.constant("Ada") }),
  fc.record({ role: fc.constant("assistant" as const), content: fc.string({ minLength: 1, maxLength: 12 }) }),
  fc.record({ role: fc.constant("assistant" as const), content: texts }),
  fc.record({
    role: fc.constant("assistant" as const),
    content: fc.constant(null),
    refusal: fc.string({ minLength: 1 }),
  }),
);

const argumentsText = fc
  .dictionary(words, fc.jsonValue({ maxDepth: 1 }), { maxKeys: 2 })
  .map((value) => JSON.stringify(value));
const oneCall = fc.record({ name, arguments: argumentsText });

interface Block {
  readonly content: string | null;
  readonly calls: readonly {
    readonly name: string;
    readonly arguments: string;
    readonly result: string | { type: "text"; text: string }[];
  }[];
  readonly order: readonly number[];
}

const turn: fc.Arbitrary<Block> = fc
  .record({
    content: fc.option(words, { nil: null }),
    calls: fc.array(
      fc.tuple(oneCall, textOrTexts).map(([call, result]) => ({ ...call, result })),
      { minLength: 1, maxLength: 3 },
    ),
  })
  .map((block) => ({ ...block, order: block.calls.map((_, at) => at) }));

/** Valid by OpenAI's rules; call ids are unique over the whole. */
export const validHistories: fc.Arbitrary<ChatMessage[]> = fc
  .array(fc.oneof({ weight: 3, arbitrary: plain }, { weight: 2, arbitrary: turn }), { maxLength: 8 })
  .map((blocks) => blocks.flatMap((block, at) => ("calls" in block ? messagesOf(block, at) : [block])));

function messagesOf({ content, calls }: Block, at: number): ChatMessage[] {
  const id = (index: number) => `call_${at}_${index}`;
  return [
    {
      role: "assistant",
      content,
      tool_calls: calls.map(({ name, arguments: text }, index) => ({
        id: id(index),
        type: "function",
        function: { name, arguments: text },
      })),
    },
    ...calls.map(({ result }, index) => ({
      role: "tool" as const,
      tool_call_id: id(index),
      content: result,
    })),
  ];
}

/** One way to break a history; applied to whatever is there by then. */
type Break = (messages: ChatMessage[]) => ChatMessage[];

const at = fc.nat({ max: 1000 });
const place = (index: number, length: number) => (length === 0 ? 0 : index % length);

const breaks: fc.Arbitrary<Break> = fc.oneof(
  at.map((index) => (list: ChatMessage[]) => list.toSpliced(place(index, list.length), 1)),
  fc.tuple(at, at).map(([from, to]) => (list: ChatMessage[]) => {
    const message = list[place(from, list.length)];
    return message === undefined ? list : list.toSpliced(place(to, list.length), 0, message);
  }),
  fc.tuple(at, at).map(([from, to]) => (list: ChatMessage[]) => {
    const message = list[place(from, list.length)];
    if (message === undefined) return list;
    return list.toSpliced(place(from, list.length), 1).toSpliced(place(to, list.length), 0, message);
  }),
  at.map((index) => (list: ChatMessage[]) => list.slice(0, place(index, list.length))),
  at.map((index) => (list: ChatMessage[]) => list.slice(place(index, list.length))),
  fc.tuple(at, edits()).map(([index, edit]) => (list: ChatMessage[]) => {
    const message = list[place(index, list.length)];
    return message === undefined ? list : list.with(place(index, list.length), edit(message));
  }),
);

function edits(): fc.Arbitrary<(message: ChatMessage) => ChatMessage> {
  const change = (changes: object) => (message: ChatMessage) => ({ ...message, ...changes }) as ChatMessage;
  const calls = (edit: (call: Record<string, unknown>, index: number) => object) => (message: ChatMessage) =>
    message.role === "assistant" && message.tool_calls !== undefined
      ? ({
          ...message,
          tool_calls: message.tool_calls.map((call, index) => edit({ ...call }, index)),
        } as ChatMessage)
      : message;
  return fc.constantFrom(
    change({ content: null }),
    change({ content: "" }),
    change({ content: [] }),
    (message: ChatMessage) => (message.role === "assistant" ? { ...message, tool_calls: [] } : message),
    (message: ChatMessage) => (message.role === "assistant" ? { role: "assistant", content: null } : message),
    calls((call) => ({ ...call, id: "call_0_0" })),
    calls((call) => ({ ...call, id: "" })),
    calls((call) => ({ ...call, function: { name: "find", arguments: '{"cut": tr' } })),
    calls((call) => ({ ...call, function: { name: "find", arguments: "" } })),
    calls((call) => ({ ...call, function: { name: "find", arguments: "[1]" } })),
    (message: ChatMessage) =>
      message.role === "tool" ? { ...message, tool_call_id: "call_nowhere" } : message,
    (message: ChatMessage) => (message.role === "tool" ? { ...message, tool_call_id: "call_0_0" } : message),
  );
}

/** Valid histories with one to six things broken. */
export const brokenHistories: fc.Arbitrary<ChatMessage[]> = fc
  .tuple(validHistories, fc.array(breaks, { minLength: 1, maxLength: 6 }))
  .map(([history, list]) => list.reduce((messages, apply) => apply(messages), history));

const ids = fc.constantFrom("a", "b", "c", "");
const anyCall = fc.oneof(
  fc.record({
    id: ids,
    type: fc.constant("function" as const),
    function: fc.record({ name, arguments: fc.oneof(argumentsText, words) }),
  }),
  fc.record({
    id: ids,
    type: fc.constant("custom" as const),
    custom: fc.record({ name, input: words }),
  }),
);

/** Messages of the right shapes in any order, old forms included. */
export const anyHistories: fc.Arbitrary<ChatMessage[]> = fc.array(
  fc.oneof(
    plain,
    fc.record({
      role: fc.constant("assistant" as const),
      content: fc.oneof(fc.constant(null), fc.constant(undefined), textOrTexts),
      tool_calls: fc.array(anyCall, { maxLength: 3 }),
    }),
    fc.record({
      role: fc.constant("assistant" as const),
      content: fc.option(words, { nil: null }),
      function_call: fc.record({ name, arguments: fc.oneof(argumentsText, words) }),
    }),
    fc.record({ role: fc.constant("tool" as const), tool_call_id: ids, content: textOrTexts }),
    fc.record({ role: fc.constant("function" as const), name, content: fc.option(words, { nil: null }) }),
    fc.record({ role: fc.constant("user" as const), content: fc.constant([]) }),
  ) as fc.Arbitrary<ChatMessage>,
  { maxLength: 10 },
);

/** Freezes all of a value, so that any change to it throws. */
export function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const inner of Object.values(value)) frozen(inner);
    Object.freeze(value);
  }
  return value;
}

/** Every text that somebody wrote in these messages: contents, refusals, arguments. */
export function textsOf(messages: readonly ChatMessage[]): string[] {
  return messages.flatMap((message) => {
    const found = typeof message.content === "string" ? [message.content] : [];
    const parts = Array.isArray(message.content) ? message.content : [];
    for (const item of parts as { text?: string; refusal?: string }[])
      found.push(item.text ?? item.refusal ?? "");
    if (message.role === "assistant") {
      found.push(message.refusal ?? "", message.function_call?.arguments ?? "");
      for (const call of message.tool_calls ?? []) {
        found.push(call.type === "custom" ? call.custom.input : call.function.arguments);
      }
    }
    return found.filter((text) => text !== "");
  });
}
