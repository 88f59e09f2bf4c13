// Gathers the same steps into one JSON answer, for requests that do not stream.

import type { Exchange } from "./exchange.ts";
import { type UsageOverride, usageOf } from "./usage.ts";
import { type ApiError, type Delta, errorBody, type FinishReason, lengthOf, type Wire } from "./wire.ts";

interface Call {
  id: string;
  name: string;
  arguments: string;
}

export class WholeWire implements Wire {
  readonly exchange: Exchange;
  readonly #id: string;
  readonly #said = { answer: 0, reasoning: 0 };
  readonly #texts: Partial<Record<"content" | "refusal" | "reasoning_content", string>> = {};
  readonly #calls: Call[] = [];
  #next = 0;
  #reason: FinishReason | undefined;
  #usage: UsageOverride = {};

  constructor(exchange: Exchange, id: string) {
    this.exchange = exchange;
    this.#id = id;
  }

  async delta(delta: Delta): Promise<void> {
    this.#said.answer += lengthOf(delta);
    this.#said.reasoning += (delta.reasoning_content ?? "").length;
    for (const key of ["content", "refusal", "reasoning_content"] as const) {
      const text = delta[key];
      if (text !== undefined) this.#texts[key] = (this.#texts[key] ?? "") + text;
    }
    for (const call of delta.tool_calls ?? []) {
      const known = this.#calls[call.index] ?? {
        id: call.id ?? "",
        name: call.function.name ?? "",
        arguments: "",
      };
      known.arguments += call.function.arguments;
      this.#calls[call.index] = known;
    }
  }

  callIndex(given = this.#next): number {
    this.#next = Math.max(this.#next, given + 1);
    return given;
  }

  async finish(reason: FinishReason): Promise<void> {
    this.#reason = reason;
  }

  async usage(override: UsageOverride): Promise<void> {
    this.#usage = override;
  }

  async done(): Promise<void> {}

  async error(error: ApiError): Promise<void> {
    await sendJson(this.exchange, 500, errorBody(error));
  }

  async chunk(): Promise<void> {
    throw new Error("a chunk needs a request with stream: true");
  }

  async raw(bytes: string): Promise<void> {
    this.exchange.response.writeHead(200, { "content-type": "application/json" });
    await this.exchange.end(bytes);
  }

  async cut(): Promise<void> {
    await this.raw("");
  }

  async close(): Promise<void> {
    if (this.exchange.response.headersSent) return;
    const calls = Object.values(this.#calls).map((call) => ({
      id: call.id,
      type: "function",
      function: { name: call.name, arguments: call.arguments },
    }));
    const message = {
      role: "assistant",
      content: null,
      refusal: null,
      ...this.#texts,
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
    };
    const reason = this.#reason ?? (calls.length > 0 ? "tool_calls" : "stop");
    const usage =
      this.#usage === null ? {} : { usage: usageOf(this.exchange.request, this.#said, this.#usage) };
    await sendJson(this.exchange, 200, {
      id: this.#id,
      object: "chat.completion",
      created: Math.floor(Date.now() / 1000),
      model: this.exchange.request.model,
      choices: [{ index: 0, message, logprobs: null, finish_reason: reason }],
      ...usage,
      service_tier: "default",
      system_fingerprint: "fp_local",
    });
  }
}

export async function sendJson(
  exchange: Exchange,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): Promise<void> {
  exchange.response.writeHead(status, { "content-type": "application/json", ...headers });
  await exchange.end(JSON.stringify(body));
}
