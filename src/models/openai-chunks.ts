/** From the chunks of a Chat Completions stream to model events, tolerant of what compatible servers leave out. */
import type { Usage } from "../events.ts";
import { isPlainObject } from "../json.ts";
import type { ModelEvent } from "../model.ts";
import { streamError } from "./openai-errors.ts";

interface OpenCall {
  readonly callId: string;
  readonly toolName: string;
  input: string;
}

type Finish = Extract<ModelEvent, { type: "finish" }>;

/** Reads one stream. A call is complete when the next one begins, or when the model says that it is done. */
export class ChunkReader {
  readonly #modelName: string;
  readonly #calls = new Map<number, OpenCall>();
  #lastIndex = -1;
  #open: OpenCall | undefined;
  #text = "";
  #isRefusal = false;
  #finishReason: string | undefined;
  #usage: Usage | undefined;

  constructor(modelName: string) {
    this.#modelName = modelName;
  }

  /** The events of one chunk, given as JSON text. */
  read(data: string, events: ModelEvent[]): void {
    const chunk: unknown = JSON.parse(data);
    if (!isPlainObject(chunk)) return;
    if (chunk.error !== undefined && chunk.error !== null) {
      throw streamError(chunk.error, this.#modelName, this.#text);
    }
    if (isPlainObject(chunk.usage)) this.#usage = usageOf(chunk.usage);
    const choice: unknown = Array.isArray(chunk.choices) ? chunk.choices[0] : undefined;
    if (!isPlainObject(choice)) return;
    const delta = isPlainObject(choice.delta) ? choice.delta : choice.message;
    if (isPlainObject(delta)) this.#readDelta(delta, events);
    if (typeof choice.finish_reason === "string") this.#finishReason = choice.finish_reason;
  }

  /** The end of the stream; nothing where the model did not say that it was done. */
  finish(isMarkedDone: boolean, events: ModelEvent[]): void {
    // A server that closes with [DONE] but names no reason has said all that it will.
    const reason = this.#finishReason ?? (isMarkedDone ? "stop" : undefined);
    if (reason === undefined) return;
    const finishReason = this.#isRefusal ? "refusal" : reasonOf(reason, this.#calls.size > 0);
    // At the output limit the last call was cut off in its arguments, whatever they look like.
    if (finishReason !== "length") this.#complete(events);
    const finish: Finish = { type: "finish", finishReason };
    events.push(this.#usage === undefined ? finish : { ...finish, usage: this.#usage });
  }

  #readDelta(delta: Record<string, unknown>, events: ModelEvent[]): void {
    const { content, refusal, tool_calls: calls, function_call: call } = delta;
    if (typeof content === "string" && content !== "") {
      this.#text += content;
      events.push({ type: "text-delta", delta: content });
    }
    const reasoning = delta.reasoning_content ?? delta.reasoning;
    if (typeof reasoning === "string" && reasoning !== "") {
      events.push({ type: "reasoning-delta", delta: reasoning });
    }
    if (typeof refusal === "string" && refusal !== "") {
      this.#isRefusal = true;
      this.#text += refusal;
      events.push({ type: "text-delta", delta: refusal });
    }
    if (Array.isArray(calls)) for (const item of calls) this.#readCall(item, events);
    if (isPlainObject(call)) this.#readCall({ index: 0, function: call }, events);
  }

  /** Servers leave out the index, the id, or both: a new id, or a new name without an index, is a new call. */
  #readCall(item: unknown, events: ModelEvent[]): void {
    if (!isPlainObject(item)) return;
    const fields = isPlainObject(item.function) ? item.function : {};
    const name = typeof fields.name === "string" ? fields.name : "";
    const id = typeof item.id === "string" ? item.id : "";
    const index = this.#indexOf(item.index, id, name);
    let call = this.#calls.get(index);
    if (call === undefined) {
      this.#complete(events);
      call = { callId: id === "" ? `call_${randomId()}` : id, toolName: name, input: "" };
      this.#calls.set(index, call);
      this.#lastIndex = index;
    }
    this.#open = call;
    // Some servers send the arguments as an object instead of its JSON text.
    const given = fields.arguments;
    const fragment = typeof given === "string" ? given : isPlainObject(given) ? JSON.stringify(given) : "";
    if (fragment === "") return;
    call.input += fragment;
    const { callId, toolName } = call;
    events.push({ type: "tool-input-delta", callId, toolName, delta: fragment });
  }

  #indexOf(index: unknown, id: string, name: string): number {
    const known = [...this.#calls].find(([, call]) => id !== "" && call.callId === id)?.[0];
    if (known !== undefined) return known;
    if (typeof index === "number") {
      const there = this.#calls.get(index);
      // Another id at a known index is another call: some servers give every call the index 0.
      const isOther = there !== undefined && id !== "" && name !== "" && there.callId !== id;
      return isOther ? this.#lastIndex + 1 : index;
    }
    return id !== "" || name !== "" || this.#lastIndex < 0 ? this.#lastIndex + 1 : this.#lastIndex;
  }

  #complete(events: ModelEvent[]): void {
    if (this.#open === undefined) return;
    for (const call of this.#calls.values()) {
      if (this.#completed.has(call)) continue;
      this.#completed.add(call);
      events.push({ type: "tool-call", ...call });
    }
  }

  readonly #completed = new Set<OpenCall>();
}

function reasonOf(reason: string, hasCalls: boolean): Finish["finishReason"] {
  if (reason === "length" || reason === "max_tokens") return "length";
  if (reason === "content_filter") return "content-filter";
  return hasCalls ? "tool-calls" : "stop";
}

function usageOf(usage: Record<string, unknown>): Usage {
  const count = (value: unknown) => (typeof value === "number" ? value : 0);
  const inputTokens = count(usage.prompt_tokens);
  const outputTokens = count(usage.completion_tokens);
  const cached = detail(usage.prompt_tokens_details, "cached_tokens");
  const reasoning = detail(usage.completion_tokens_details, "reasoning_tokens");
  return {
    inputTokens,
    outputTokens,
    totalTokens: count(usage.total_tokens) || inputTokens + outputTokens,
    ...(cached === undefined ? {} : { cachedTokens: cached }),
    ...(reasoning === undefined ? {} : { reasoningTokens: reasoning }),
  };
}

function detail(details: unknown, key: string): number | undefined {
  const value = isPlainObject(details) ? details[key] : undefined;
  return typeof value === "number" ? value : undefined;
}

function randomId(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 24);
}
