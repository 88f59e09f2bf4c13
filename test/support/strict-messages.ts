// Judges a history as the API does: each message by its role, then every tool call against its result.

import {
  expectArray,
  expectFields,
  expectKeys,
  expectLength,
  expectName,
  expectOneOf,
  expectPresent,
  expectString,
  type Fields,
  refuse,
} from "./refusal.ts";
import { checkContent, type Role } from "./strict-parts.ts";

const roles: readonly Role[] = ["system", "assistant", "user", "function", "tool", "developer"];

const keysOf: Record<Role, readonly string[]> = {
  system: ["role", "content", "name"],
  developer: ["role", "content", "name"],
  user: ["role", "content", "name"],
  assistant: ["role", "content", "name", "refusal", "audio", "tool_calls", "function_call"],
  tool: ["role", "content", "tool_call_id", "name"],
  function: ["role", "content", "name"],
};

export function checkMessages(value: unknown): void {
  const messages = expectArray(value, "messages").map((message, i) =>
    expectFields(message, `messages[${i}]`),
  );
  messages.forEach(checkMessage);
  for (let i = 0; i < messages.length; i++) i += checkResults(messages, i);
}

function checkMessage(message: Fields, index: number): void {
  const at = `messages[${index}]`;
  const role = expectOneOf(expectPresent(message, "role", at), `${at}.role`, roles) as Role;
  expectKeys(message, keysOf[role], at);
  if (message.name !== undefined) expectName(message.name, `${at}.name`, /^[^\s<|\\/>]+$/);
  if (role === "assistant") {
    checkAssistant(message, index);
  } else if (role === "function") {
    expectPresent(message, "name", at);
    if (message.content !== null) expectString(expectPresent(message, "content", at), `${at}.content`);
  } else {
    if (role === "tool") expectLength(expectPresent(message, "tool_call_id", at), `${at}.tool_call_id`, 40);
    checkContent(expectPresent(message, "content", at), role, at);
  }
}

function checkAssistant(message: Fields, index: number): void {
  const at = `messages[${index}]`;
  const { content, refusal, audio, tool_calls: calls, function_call: call } = message;
  if (refusal !== undefined && refusal !== null) expectString(refusal, `${at}.refusal`);
  if (audio !== undefined && audio !== null) {
    const fields = expectFields(audio, `${at}.audio`);
    expectKeys(fields, ["id"], `${at}.audio`);
    expectLength(expectPresent(fields, "id", `${at}.audio`), `${at}.audio.id`, Infinity);
  }
  if (call !== undefined && call !== null) checkFunction(call, `${at}.function_call`);
  if (calls !== undefined) checkCalls(calls, `${at}.tool_calls`);
  if (content !== undefined && content !== null) checkContent(content, "assistant", at);
  else if ((calls ?? call ?? refusal ?? audio ?? undefined) === undefined)
    refuse("Invalid value for 'content': expected a string, got null.", `messages.[${index}].content`);
}

function checkCalls(value: unknown, path: string): void {
  const seen = new Set<string>();
  for (const [index, entry] of expectArray(value, path).entries()) {
    const at = `${path}[${index}]`;
    const call = expectFields(entry, at);
    const id = expectLength(expectPresent(call, "id", at), `${at}.id`, 40);
    const type = expectOneOf(expectPresent(call, "type", at), `${at}.type`, ["function", "custom"]);
    expectKeys(call, ["id", "type", type], at);
    const inner = expectPresent(call, type, at);
    if (type === "function") checkFunction(inner, `${at}.function`);
    else checkCustom(expectFields(inner, `${at}.custom`), `${at}.custom`);
    if (seen.has(id))
      refuse(
        `Invalid '${at}.id': duplicate value '${id}'. Expected unique ids.`,
        `${at}.id`,
        "invalid_value",
      );
    seen.add(id);
  }
}

/** Arguments that are no JSON are our own stricter rule: the API takes any string, other servers do not. */
function checkFunction(value: unknown, path: string): void {
  const fields = expectFields(value, path);
  expectKeys(fields, ["name", "arguments"], path);
  expectName(expectPresent(fields, "name", path), `${path}.name`);
  const text = expectString(expectPresent(fields, "arguments", path), `${path}.arguments`);
  try {
    JSON.parse(text);
  } catch {
    refuse(
      `Invalid '${path}.arguments': arguments are not valid JSON.`,
      `${path}.arguments`,
      "invalid_value",
    );
  }
}

function checkCustom(custom: Fields, path: string): void {
  expectKeys(custom, ["name", "input"], path);
  expectName(expectPresent(custom, "name", path), `${path}.name`);
  expectString(expectPresent(custom, "input", path), `${path}.input`);
}

/** Checks the calls of one message against the results right behind it; gives how many results there are. */
function checkResults(messages: readonly Fields[], index: number): number {
  const message = messages[index];
  if (message?.role === "tool") {
    refuse(
      "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
      `messages.[${index}].role`,
    );
  }
  if (message?.role !== "assistant" || message.tool_calls === undefined) return 0;
  const calls = (message.tool_calls as readonly { id: string }[]).map((call) => call.id);
  const answered = new Map<unknown, number>();
  let next = index + 1;
  for (; messages[next]?.role === "tool"; next++) {
    const id = messages[next]?.tool_call_id;
    const param = `messages.[${next}].tool_call_id`;
    const earlier = answered.get(id);
    if (earlier !== undefined) {
      const places = `in messages[${earlier}] and messages[${next}]`;
      refuse(`Invalid parameter: Duplicate value for 'tool_call_id' of '${id}', ${places}.`, param);
    }
    if (!calls.some((call) => call === id))
      refuse(
        `Invalid parameter: 'tool_call_id' of '${id}' not found in 'tool_calls' of previous message.`,
        param,
      );
    answered.set(id, next);
  }
  const open = calls.filter((id) => !answered.has(id));
  if (open.length > 0) {
    refuse(
      `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: ${open.join(", ")}`,
      `messages.[${next}].role`,
    );
  }
  return next - index - 1;
}
