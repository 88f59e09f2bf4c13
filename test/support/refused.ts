// Names the answers that a request gets before its body is judged, or when no script expects it.

import type { IncomingMessage } from "node:http";
import type { ChatRequest } from "./exchange.ts";
import type { Fields } from "./refusal.ts";
import type { ApiError } from "./wire.ts";

export interface Failure {
  readonly status: number;
  readonly error: ApiError;
}

export function wrongAddress({ method, url }: IncomingMessage): Failure | undefined {
  if (method === "POST" && url === "/v1/chat/completions") return undefined;
  const message = `Unknown request URL: ${method} ${url}. Please check the URL for typos, or see the docs at https://platform.openai.com/docs/api-reference/.`;
  return { status: 404, error: { message, code: "unknown_url" } };
}

export function unauthorized({ headers }: IncomingMessage): Failure | undefined {
  if (/^Bearer \S+$/.test(headers.authorization ?? "")) return undefined;
  const message =
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
  return { status: 401, error: { message } };
}

export function unparsable(body: unknown): Failure | undefined {
  if (body !== undefined) return undefined;
  const message =
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)";
  return { status: 400, error: { message } };
}

export function unexpected(request: ChatRequest): Failure {
  const last = JSON.stringify(request.messages.at(-1)) ?? "";
  const message = `unexpected request: no scripted answer is left; its last message is ${last.slice(0, 200)}`;
  return { status: 500, error: { message } };
}

/** The first parameter of the body, such as `stream_options` or `response_format.json_schema`, that is refused. */
export function notKnownHere(body: unknown, refused: readonly string[]): ApiError | undefined {
  const param = refused.find((path) => at(body, path.split(".")) !== undefined);
  if (param === undefined) return undefined;
  return { message: `Unknown parameter: '${param}'.`, param, code: "unknown_parameter" };
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === "object" && inner !== null ? (inner as Fields)[key] : undefined),
    value,
  );
}
