// Builds what the server answers out of small steps, so that a test reads as the script of a stream.

import { randomBytes } from "node:crypto";
import type { Exchange } from "./exchange.ts";
import { SseWire } from "./sse.ts";
import type { UsageOverride } from "./usage.ts";
import { sendJson, WholeWire } from "./whole.ts";
import { type ApiError, type Delta, errorBody, type FinishReason, type Wire } from "./wire.ts";

export type Step = (wire: Wire) => Promise<void>;
export type Answer = (exchange: Exchange) => Promise<void>;

/** Streamed, or one JSON body where the request did not ask to stream. Ends properly if no step says otherwise. */
export function answer(...steps: readonly Step[]): Answer {
  return async (exchange) => {
    const id = `chatcmpl-${randomBytes(12).toString("hex")}`;
    const wire = exchange.request.stream === true ? new SseWire(exchange, id) : new WholeWire(exchange, id);
    for (const step of steps) await step(wire);
    await wire.close();
  };
}

// What the model says

export const text = (...deltas: readonly string[]): Step => said(deltas.map((content) => ({ content })));

export const refusal = (...deltas: readonly string[]): Step =>
  said(deltas.map((part) => ({ refusal: part })));

export const reasoning = (...deltas: readonly string[]): Step =>
  said(deltas.map((part) => ({ reasoning_content: part })));

export interface ScriptedCall {
  readonly id: string;
  readonly name: string;
  /** The fragments, and steps such as a checkpoint between them. */
  readonly arguments: string | readonly (string | Step)[];
  readonly index?: number;
}

/** First the id and the name, then the fragments of the arguments, as OpenAI sends them. */
export function toolCall({ id, name, arguments: fragments, index: given }: ScriptedCall): Step {
  return async (wire) => {
    const index = wire.callIndex(given);
    await wire.delta({ tool_calls: [{ index, id, type: "function", function: { name, arguments: "" } }] });
    for (const fragment of typeof fragments === "string" ? [fragments] : fragments) {
      if (typeof fragment === "string") await argumentsOf(index, fragment)(wire);
      else await fragment(wire);
    }
  };
}

/** More of a call's arguments, for calls whose fragments interleave. */
export const argumentsOf = (index: number, fragment: string): Step =>
  said([{ tool_calls: [{ index, function: { arguments: fragment } }] }]);

function said(deltas: readonly Delta[]): Step {
  return async (wire) => {
    for (const delta of deltas) await wire.delta(delta);
  };
}

// How it ends

/** The finish reason, the usage if it was asked for, and `[DONE]`. */
export const finish = (reason: FinishReason, counted: UsageOverride = {}): Step =>
  inTurn(finishReason(reason), usage(counted), done());

export const finishReason =
  (reason: FinishReason): Step =>
  (wire) =>
    wire.finish(reason);

export const usage =
  (counted: UsageOverride = {}): Step =>
  (wire) =>
    wire.usage(counted);

export const done = (): Step => (wire) => wire.done();

export const sseError =
  (error: ApiError): Step =>
  (wire) =>
    wire.error(error);

/** The body ends without a finish reason and without `[DONE]`. */
export const cut = (): Step => (wire) => wire.cut();

/** The server destroys the socket. */
export const drop = (): Step => async (wire) => {
  await wire.exchange.flush();
  wire.exchange.drop();
};

// Anything else

export const chunk =
  (value: object): Step =>
  (wire) =>
    wire.chunk(value);

/** Bytes as they are; after them the script must end the stream itself. */
export const raw =
  (bytes: string): Step =>
  (wire) =>
    wire.raw(bytes);

const inTurn =
  (...steps: readonly Step[]): Step =>
  async (wire) => {
    for (const step of steps) await step(wire);
  };

// Answers that are no stream

export function httpError(status: number, error: ApiError, headers: Record<string, string> = {}): Answer {
  const type = status >= 500 ? "server_error" : status === 429 ? "requests" : "invalid_request_error";
  return (exchange) => sendJson(exchange, status, errorBody({ type, ...error }), headers);
}

export const json =
  (body: object): Answer =>
  (exchange) =>
    sendJson(exchange, 200, body);

/** Takes the request and says nothing until the client leaves. */
export const hangBeforeHeaders = (): Answer => (exchange) => exchange.wait(new Promise<never>(() => {}));

export const slowHeaders =
  (ms: number, then: Answer): Answer =>
  async (exchange) => {
    await exchange.pause(ms);
    await then(exchange);
  };

/** One write where there would be many, for benches. */
export const coalesced =
  (then: Answer): Answer =>
  (exchange) => {
    exchange.coalesce = true;
    return then(exchange);
  };
