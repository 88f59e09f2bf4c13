/** From the chunks of a Chat Completions stream to model events, tolerant of what compatible servers leave out. */
import { asError, ModelError } from "../errors.ts";
import type { Usage } from "../events.ts";
import { freeId } from "../history.ts";
import { isPlainObject, parseJson } from "../json.ts";
import type { ModelEvent } from "../model.ts";
import { streamError } from "./openai-errors.ts";
import { endMark } from "./sse.ts";

interface OpenCall {
  readonly callId: string;
  /** As the server named it; empty where it did not. */
  readonly sentId: string;
  toolName: string;
  input: string;
  isComplete: boolean;
  isTold: boolean;
}

type Finish = Extract<ModelEvent, { type: "finish" }>;

/** Reads one stream. A call is complete when the next one begins, or when the model says that it is done. */
export class ChunkReader {
  readonly #modelName: string;
  readonly #calls: OpenCall[] = [];
  readonly #atIndex = new Map<number, OpenCall>();
  #text = "";
  #isRefusal = false;
  #isDone = false;
  #failure: Error | undefined;
  #hasAnswered = false;
  #finishReason: string | undefined;
  #usage: Usage | undefined;

  constructor(modelName: string) {
    this.#modelName = modelName;
  }

  /** The end of the stream was marked, and told of by the last events that were read. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Whether something of an answer has come. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /** All text that has come. */
  get text(): string {
    return this.#text;
  }

  /** The events of some chunks, each given as JSON text. Where one tells of an error, `failure` holds it. */
  read(batch: readonly string[]): ModelEvent[] {
    const events: ModelEvent[] = [];
    try {
      for (const data of batch) {
        if (data === endMark) {
          this.#isDone = true;
          this.#finish(events);
          break;
        }
        this.#readChunk(data, events);
      }
    } catch (error) {
      // Thrown only when the events that came before are told.
      this.#failure = asError(error);
    }
    return events;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  /** The events at the end of a stream without a mark; throws where the model did not say that it was done. */
  end(): ModelEvent[] {
    if (this.#finishReason === undefined) {
      const message = `${this.#modelName} ended its stream before the answer was complete.`;
      throw new ModelError("stream", message, { text: this.#text, retryable: true });
    }
    const events: ModelEvent[] = [];
    this.#finish(events);
    return events;
  }

  #readChunk(data: string, events: ModelEvent[]): void {
    const chunk = parseJson(data);
    if (chunk === undefined) throw streamError(`no JSON: ${data.slice(0, 200)}`, this.#modelName, this.#text);
    if (!isPlainObject(chunk)) return;
    if (chunk.error !== undefined && chunk.error !== null) {
      throw streamError(chunk.error, this.#modelName, this.#text);
    }
    if (isPlainObject(chunk.usage)) this.#usage = usageOf(chunk.usage);
    this.#hasAnswered = true;
    const choice: unknown = Array.isArray(chunk.choices) ? chunk.choices[0] : undefined;
    if (!isPlainObject(choice)) return;
    const delta = isPlainObject(choice.delta) ? choice.delta : choice.message;
    if (isPlainObject(delta)) this.#readDelta(delta, events);
    if (typeof choice.finish_reason === "string") {
      this.#finishReason = choice.finish_reason;
      // The usage is still to come, and perhaps a stop before it: what is complete is told now.
      if (!isCut(choice.finish_reason)) this.#complete(events, () => true);
    }
  }

  #finish(events: ModelEvent[]): void {
    // A server that closes with [DONE] but names no reason has said all that it will.
    const reason = this.#finishReason ?? "stop";
    const finishReason = this.#isRefusal ? "refusal" : reasonOf(reason, this.#calls.length > 0);
    if (!isCut(reason)) this.#complete(events, () => true);
    const finish: Finish = { type: "finish", finishReason };
    events.push(this.#usage === undefined ? finish : { ...finish, usage: this.#usage });
  }

  #readDelta(delta: Record<string, unknown>, events: ModelEvent[]): void {
    const { content, refusal, tool_calls: calls, function_call: call } = delta;
    if (typeof content === "string" && content !== "") {
      this.#text += content;
      events.push({ type: "text-delta", delta: content });
    } else if (Array.isArray(content)) {
      // Some servers send content parts.
      for (const part of content) {
        if (isPlainObject(part) && typeof part.text === "string")
          this.#readDelta({ content: part.text }, events);
      }
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

  #readCall(item: unknown, events: ModelEvent[]): void {
    if (!isPlainObject(item)) return;
    const fields = isPlainObject(item.function) ? item.function : {};
    const name = typeof fields.name === "string" ? fields.name : "";
    const id = typeof item.id === "string" ? item.id : "";
    const index = typeof item.index === "number" ? item.index : undefined;
    const call = this.#known(index, id, name) ?? this.#begin(index, id, name, events);
    if (call.toolName === "") call.toolName = name;
    // Some servers send the arguments as an object instead of its JSON text.
    const given = fields.arguments;
    const fragment = typeof given === "string" ? given : isPlainObject(given) ? JSON.stringify(given) : "";
    // An empty first fragment tells that the call has begun.
    if (fragment === "" && call.isTold) return;
    call.isTold = true;
    call.input += fragment;
    const { callId, toolName } = call;
    events.push({ type: "tool-input-delta", callId, toolName, delta: fragment });
  }

  /**
   * The call that a fragment goes on with. Servers leave out the index, the id, or both, and some give every
   * call the index 0: a new id is a new call, and so is a name without id and index.
   */
  #known(index: number | undefined, id: string, name: string): OpenCall | undefined {
    if (id !== "") {
      const there = index === undefined ? undefined : this.#atIndex.get(index);
      if (there !== undefined && (there.sentId === id || there.sentId === "")) return there;
      // The same id with a name at another index is another call: some servers give every call one id.
      if (index !== undefined && name !== "") return undefined;
      return this.#calls.findLast((call) => call.sentId === id);
    }
    if (index !== undefined) return this.#atIndex.get(index);
    return name === "" ? this.#calls.at(-1) : undefined;
  }

  #begin(index: number | undefined, id: string, toolName: string, events: ModelEvent[]): OpenCall {
    // Where the next call begins, the ones before are complete, unless a server mixes their fragments.
    this.#complete(events, ({ input }) => input === "" || parseJson(input) !== undefined);
    const callId =
      id === "" ? `call_${randomId()}` : freeId(id, new Set(this.#calls.map((call) => call.callId)));
    const call: OpenCall = { callId, sentId: id, toolName, input: "", isComplete: false, isTold: false };
    this.#calls.push(call);
    if (index !== undefined) this.#atIndex.set(index, call);
    return call;
  }

  #complete(events: ModelEvent[], isWhole: (call: OpenCall) => boolean): void {
    for (const call of this.#calls) {
      if (call.isComplete || !isWhole(call)) continue;
      call.isComplete = true;
      const { callId, toolName, input } = call;
      events.push({ type: "tool-call", callId, toolName, input });
    }
  }
}

/** At the output limit, and by a content filter, the last call was cut off in its arguments, however they look. */
function isCut(reason: string): boolean {
  return reason === "length" || reason === "max_tokens" || reason === "content_filter";
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
