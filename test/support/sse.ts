// Streams an answer as server-sent events, chunk by chunk, in the shapes that OpenAI sends.

import type { Exchange } from "./exchange.ts";
import { type UsageOverride, usageOf } from "./usage.ts";
import { type ApiError, type Delta, errorBody, type FinishReason, lengthOf, type Wire } from "./wire.ts";

export class SseWire implements Wire {
  readonly exchange: Exchange;
  readonly #said = { answer: 0, reasoning: 0 };
  readonly #head: object;
  readonly #withUsage: boolean;
  #calls = 0;
  #started = false;
  #settled = false;

  constructor(exchange: Exchange, id: string) {
    this.exchange = exchange;
    const { model, stream_options: options } = exchange.request;
    this.#withUsage = options?.include_usage === true;
    this.#head = {
      id,
      object: "chat.completion.chunk",
      created: Math.floor(Date.now() / 1000),
      model,
      service_tier: "default",
      system_fingerprint: "fp_local",
    };
    exchange.response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      "x-request-id": id,
    });
    exchange.response.flushHeaders();
  }

  async delta(delta: Delta): Promise<void> {
    this.#said.answer += lengthOf(delta);
    this.#said.reasoning += (delta.reasoning_content ?? "").length;
    if (this.#started) return this.#choice(delta, null);
    this.#started = true;
    if (delta.content === undefined)
      return this.#choice({ role: "assistant", content: null, ...delta }, null);
    await this.#choice({ role: "assistant", content: "", refusal: null }, null);
    await this.#choice(delta, null);
  }

  callIndex(given = this.#calls): number {
    this.#calls = Math.max(this.#calls, given + 1);
    return given;
  }

  async finish(reason: FinishReason): Promise<void> {
    this.#settled = true;
    if (!this.#started) await this.delta({ content: "" });
    await this.#choice({}, reason);
  }

  async usage(override: UsageOverride): Promise<void> {
    if (!this.#withUsage || override === null) return;
    const usage = usageOf(this.exchange.request, this.#said, override);
    await this.#data({ ...this.#head, choices: [], usage });
  }

  async done(): Promise<void> {
    this.#settled = true;
    this.exchange.complete();
    await this.exchange.write("data: [DONE]\n\n");
  }

  async error(error: ApiError): Promise<void> {
    this.#settled = true;
    this.exchange.complete();
    await this.#data(errorBody(error));
  }

  async chunk(value: object): Promise<void> {
    await this.#data(value);
  }

  async raw(bytes: string): Promise<void> {
    this.#settled = true;
    await this.exchange.write(bytes);
  }

  async close(): Promise<void> {
    if (!this.#settled) {
      await this.finish(this.#calls > 0 ? "tool_calls" : "stop");
      await this.usage({});
      await this.done();
    }
    await this.exchange.end();
  }

  async cut(): Promise<void> {
    this.#settled = true;
    await this.exchange.end();
  }

  async #choice(delta: object, reason: FinishReason | null): Promise<void> {
    const choices = [{ index: 0, delta, logprobs: null, finish_reason: reason }];
    await this.#data({ ...this.#head, choices, ...(this.#withUsage ? { usage: null } : {}) });
  }

  async #data(value: object): Promise<void> {
    await this.exchange.write(`data: ${JSON.stringify(value)}\n\n`);
  }
}
