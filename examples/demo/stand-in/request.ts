/** Reads a chat completion request once, at the edge, and refuses a history that OpenAI would refuse. */
import { z } from "zod";
import { type Outcome, outcomeOf } from "./outcome.ts";

/** A tool call together with what came of it. */
export interface Exchange {
  readonly tool: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly outcome: Outcome;
}

/** One message of the user and everything that followed it. */
export interface Round {
  readonly question: string;
  readonly texts: readonly string[];
  readonly exchanges: readonly Exchange[];
}

export interface OfferedTool {
  readonly name: string;
  readonly description: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

export interface ChatRequest {
  readonly model: string;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly tools: readonly OfferedTool[];
  /** What the answer must be: a JSON Schema, any JSON, or text when left out. */
  readonly format?: { readonly schema?: Readonly<Record<string, unknown>> };
  readonly rounds: readonly [...Round[], Round];
  /** Characters in the request, for the usage estimate. */
  readonly size: number;
}

const Json = z.record(z.string(), z.unknown());
const Content = z
  .union([z.string(), z.array(z.looseObject({ type: z.string(), text: z.string().optional() }))])
  .nullish()
  .transform((content) =>
    typeof content === "string" ? content : (content ?? []).map((part) => part.text ?? "").join(""),
  );
const Call = z.object({ id: z.string(), function: z.object({ name: z.string(), arguments: z.string() }) });
const Message = z.discriminatedUnion("role", [
  z.object({ role: z.enum(["system", "developer", "user"]), content: Content }),
  z.object({ role: z.literal("assistant"), content: Content, tool_calls: z.array(Call).min(1).optional() }),
  z.object({ role: z.literal("tool"), content: Content, tool_call_id: z.string() }),
]);
const Tool = z.object({
  function: z.object({ name: z.string(), description: z.string().default(""), parameters: Json.default({}) }),
});
const Body = z.object({
  model: z.string(),
  messages: z.array(Message).min(1),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().optional() }).nullish(),
  tools: z.array(Tool).min(1).optional(),
  tool_choice: z.unknown().optional(),
  response_format: z
    .object({ type: z.string(), json_schema: z.object({ schema: Json.optional() }).optional() })
    .nullish(),
});
type Message = z.output<typeof Message>;

/** The request in the stand-in's words, or the problem to send back with status 400. */
export function readRequest(body: string): ChatRequest | { problem: string } {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return { problem: "The body is not JSON." };
  }
  const parsed = Body.safeParse(json);
  if (!parsed.success) return { problem: z.prettifyError(parsed.error) };
  const { messages, tools, response_format: format, ...rest } = parsed.data;
  const rounds = roundsOf(messages);
  if ("problem" in rounds) return rounds;
  return {
    model: rest.model,
    stream: rest.stream ?? false,
    includeUsage: rest.stream_options?.include_usage ?? false,
    tools: rest.tool_choice === "none" ? [] : (tools ?? []).map((tool) => tool.function),
    ...(format && format.type !== "text" && { format: schemaOf(format.json_schema?.schema) }),
    rounds,
    size: body.length,
  };
}

function schemaOf(schema: Record<string, unknown> | undefined) {
  return schema === undefined ? {} : { schema };
}

/** Groups the messages by the user's messages, and checks that every call has its result and the reverse. */
function roundsOf(messages: readonly Message[]): [...Round[], Round] | { problem: string } {
  const rounds: { question: string; texts: string[]; exchanges: Exchange[] }[] = [];
  const open = new Map<string, { name: string; arguments: string }>();
  let current = { question: instructionsOf(messages), texts: [] as string[], exchanges: [] as Exchange[] };
  for (const message of messages) {
    if (message.role === "tool") {
      const call = open.get(message.tool_call_id);
      if (!call) return { problem: `A tool message has no preceding call '${message.tool_call_id}'.` };
      open.delete(message.tool_call_id);
      const outcome = outcomeOf(message.content);
      current.exchanges.push({ tool: call.name, input: inputOf(call.arguments), outcome });
      continue;
    }
    const problem = unanswered(open);
    if (problem) return { problem };
    if (message.role === "user") {
      current = { question: message.content, texts: [], exchanges: [] };
      rounds.push(current);
    } else if (message.role === "assistant") {
      if (message.content) current.texts.push(message.content);
      for (const call of message.tool_calls ?? []) open.set(call.id, call.function);
    }
  }
  const problem = unanswered(open);
  if (problem) return { problem };
  const last = rounds.pop() ?? current;
  return [...rounds, last];
}

function unanswered(open: ReadonlyMap<string, unknown>): string | undefined {
  if (open.size === 0) return undefined;
  return `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. Without a response: ${[...open.keys()].join(", ")}`;
}

/** The last system message stands for the question where nobody has said anything yet. */
function instructionsOf(messages: readonly Message[]): string {
  return messages.findLast(({ role }) => role === "system" || role === "developer")?.content ?? "";
}

function inputOf(text: string): Record<string, unknown> {
  try {
    return Json.catch({}).parse(JSON.parse(text));
  } catch {
    return {};
  }
}
