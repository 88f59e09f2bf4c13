// Reads a chat history as the input items of the Responses API, and says where the items do not pair.

import type { ChatMessage } from "../../src/transcript.ts";

export type ResponsesItem =
  | { readonly type: "message"; readonly role: string; readonly content: unknown }
  | {
      readonly type: "function_call";
      readonly call_id: string;
      readonly name: string;
      readonly arguments: string;
    }
  | { readonly type: "function_call_output"; readonly call_id: string; readonly output: unknown };

export function responsesItems(history: readonly ChatMessage[]): ResponsesItem[] {
  return history.flatMap((message): ResponsesItem[] => {
    const { role } = message;
    if (message.role === "tool") {
      return [{ type: "function_call_output", call_id: message.tool_call_id, output: message.content }];
    }
    const content = message.content ?? "";
    const said: ResponsesItem[] = content === "" ? [] : [{ type: "message", role, content }];
    const calls = message.role === "assistant" ? (message.tool_calls ?? []) : [];
    for (const call of calls) {
      if (call.type !== "function")
        throw new Error("The Responses form of a custom call is not needed here.");
      const { name, arguments: text } = call.function;
      said.push({ type: "function_call", call_id: call.id, name, arguments: text });
    }
    return said;
  });
}

/** What the Responses API would refuse: calls without an output right behind their group, and the reverse. */
export function pairingProblems(items: readonly ResponsesItem[]): string[] {
  const problems: string[] = [];
  const open = new Set<string>();
  const used = new Set<string>();
  let isAnswering = false;
  for (const item of items) {
    if (item.type === "function_call") {
      if (isAnswering && open.size > 0) problems.push(`a call stands between ${[...open]} and its output`);
      if (used.has(item.call_id)) problems.push(`two calls have the id ${item.call_id}`);
      isAnswering = false;
      used.add(item.call_id);
      open.add(item.call_id);
    } else if (item.type === "function_call_output") {
      isAnswering = true;
      if (!open.delete(item.call_id)) problems.push(`the output ${item.call_id} has no open call before it`);
    } else if (open.size > 0) {
      problems.push(`a message stands between ${[...open]} and its output`);
    }
  }
  for (const callId of open) problems.push(`the call ${callId} has no output`);
  return problems;
}
