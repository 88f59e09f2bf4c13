// Plays one turn of tool calls against the local server, and a second one that ends the run.

import type { CallOptions, ChatMessage, RunEvent, RunOutcome, Tool, Toolkit } from "llmethod";
import { llmFunction, prompt, tool } from "llmethod";
import { z } from "zod";
import { eventsOf, type Local } from "../models/local.ts";
import { answer, refusalOf, type ScriptedCall, text, toolCall } from "../support/server.ts";

export interface Played {
  readonly events: readonly RunEvent<string>[];
  readonly outcome: RunOutcome<string>;
  /** The content of the tool messages that the model was sent, in order. */
  readonly results: readonly unknown[];
  readonly messages: readonly ChatMessage[];
}

/** A call of a tool by name; the id is the name where none is given. */
export function call(name: string, input: unknown = {}, id = name): ScriptedCall {
  return { id, name, arguments: typeof input === "string" ? input : JSON.stringify(input) };
}

export async function play(
  local: Local,
  toolkit: Toolkit,
  calls: readonly ScriptedCall[],
  options: CallOptions = {},
): Promise<Played> {
  local.server.script(answer(...calls.map(toolCall)), answer(text("done")));
  const go = llmFunction({ model: local.model(), toolkit, abortGraceMs: 50 })(
    (_options: CallOptions) => prompt`Go`,
  );
  const stream = go.stream(options);
  const events = await eventsOf(stream);
  const outcome = await stream.outcome;
  const messages = local.server.requests[1]?.body.messages ?? [];
  const refusal = refusalOf({ model: "m", messages: outcome.history });
  if (refusal !== undefined) throw new Error(`the history is not valid: ${refusal.message}`);
  const results = messages.flatMap(({ role, content }) => (role === "tool" ? [content] : []));
  return { events, outcome, results, messages };
}

/** A tool that takes anything. */
export function loose(name: string, execute: Parameters<typeof make>[1], more: object = {}): Tool {
  return make(name, execute, more);
}

function make(
  name: string,
  execute: (input: Record<string, unknown>, context: Parameters<Tool["execute"]>[1]) => unknown,
  more: object,
): Tool {
  return tool({ name, description: `Does ${name}`, input: z.looseObject({}), execute, ...more });
}
