/** The table that translates what the `openai` SDK throws, and what a stream says in an error event. */
import type { APIError } from "openai";
import { asError, ModelError, type ModelErrorCode } from "../errors.ts";
import { isPlainObject } from "../json.ts";

interface Row {
  readonly code: ModelErrorCode;
  readonly retryable: boolean;
}

/** By HTTP status. Source: OpenAI's guide "Error codes". */
const byStatus: Readonly<Record<number, Row>> = {
  400: { code: "bad_request", retryable: false },
  401: { code: "authentication", retryable: false },
  403: { code: "permission", retryable: false },
  404: { code: "not_found", retryable: false },
  408: { code: "timeout", retryable: true },
  409: { code: "server", retryable: true },
  413: { code: "context_length", retryable: false },
  422: { code: "bad_request", retryable: false },
  425: { code: "server", retryable: true },
  429: { code: "rate_limit", retryable: true },
  503: { code: "overloaded", retryable: true },
  529: { code: "overloaded", retryable: true },
};

/** By the provider's own code or type, which says more than the status. */
const byProviderCode: Readonly<Record<string, Row>> = {
  context_length_exceeded: { code: "context_length", retryable: false },
  insufficient_quota: { code: "quota", retryable: false },
  billing_hard_limit_reached: { code: "quota", retryable: false },
  rate_limit_exceeded: { code: "rate_limit", retryable: true },
  invalid_api_key: { code: "authentication", retryable: false },
  model_not_found: { code: "not_found", retryable: false },
  content_filter: { code: "content_filter", retryable: false },
  content_policy_violation: { code: "content_filter", retryable: false },
  overloaded_error: { code: "overloaded", retryable: true },
};

const hints: Partial<Record<ModelErrorCode, string>> = {
  authentication: "Check the API key (OPENAI_API_KEY, or apiKey in openai(…)).",
  not_found: "Check the model's name and the base URL (OPENAI_BASE_URL, or baseURL in openai(…)).",
  connection: "Check the base URL (OPENAI_BASE_URL, or baseURL in openai(…)) and the network.",
  context_length: "Shorten the history or the prompt.",
  quota: "Check the account's plan and billing.",
};

/** A `ModelError` for anything that a request or the reading of its stream threw. */
export async function translateError(
  error: unknown,
  modelName: string,
  { hasAnswered, text }: { readonly hasAnswered: boolean; readonly text: string },
): Promise<Error> {
  if (error instanceof ModelError) return error;
  // The SDK is loaded by the first request only, so that importing this package costs little.
  const { APIConnectionError, APIConnectionTimeoutError, APIError } = await import("openai");
  if (error instanceof APIConnectionTimeoutError) return build("timeout", true, error, modelName);
  if (error instanceof APIConnectionError) return build("connection", true, error, modelName);
  if (error instanceof APIError) return fromApi(error, modelName);
  if (isNetworkError(error)) {
    if (!hasAnswered) return build("connection", true, error, modelName);
    const message = `${modelName}: the connection was lost before the answer was complete (${said(error)}).`;
    return new ModelError("connection", message, { retryable: true, cause: error, text });
  }
  return asError(error);
}

/** What fetch throws when a connection breaks in the middle of a body: "terminated", with a socket's error. */
function isNetworkError(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  const hasCode = [error, error.cause].some(
    (one) => one instanceof Error && "code" in one && /^(UND_ERR|E[A-Z]{3})/.test(String(one.code)),
  );
  return hasCode || (error instanceof TypeError && /terminated|fetch failed|network/i.test(error.message));
}

/** The error that a stream holds as `data: {"error": …}` (vLLM, OpenRouter, llama.cpp). */
export function streamError(detail: unknown, modelName: string, text: string): ModelError {
  const fields = isPlainObject(detail) ? detail : { message: detail };
  const providerCode = [fields.code, fields.type].find((value) => typeof value === "string");
  const status = typeof fields.code === "number" ? fields.code : undefined;
  const row = rowOf(status, providerCode) ?? {
    code: providerCode === "server_error" ? "server" : "stream",
    retryable: true,
  };
  const message = typeof fields.message === "string" ? fields.message : JSON.stringify(detail);
  return new ModelError(row.code, `${modelName} broke its stream off: ${message}`, {
    status,
    providerCode,
    retryable: row.retryable,
    text,
  });
}

function fromApi(error: APIError, modelName: string): ModelError {
  const providerCode = error.code ?? error.type ?? undefined;
  const row = rowOf(error.status, providerCode) ?? {
    code: (error.status ?? 500) >= 500 ? "server" : "bad_request",
    retryable: (error.status ?? 500) >= 500,
  };
  return new ModelError(row.code, messageOf(row.code, error, modelName), {
    status: error.status,
    providerCode,
    requestId: error.requestID ?? undefined,
    retryable: askedByHeader(error.headers) ?? row.retryable,
    retryAfterMs: retryAfterMs(error.headers),
    cause: error,
  });
}

function rowOf(status: number | undefined, providerCode: string | undefined): Row | undefined {
  return (
    (providerCode === undefined ? undefined : byProviderCode[providerCode]) ??
    (status === undefined ? undefined : byStatus[status])
  );
}

function build(code: ModelErrorCode, retryable: boolean, error: Error, modelName: string): ModelError {
  return new ModelError(code, messageOf(code, error, modelName), { retryable, cause: error });
}

function messageOf(code: ModelErrorCode, error: Error, modelName: string): string {
  const hint = hints[code];
  return hint === undefined ? `${modelName}: ${said(error)}` : `${modelName}: ${said(error)}. ${hint}`;
}

/** The message with those of its causes: the last one is what the network really said. */
function said({ message, cause }: Error): string {
  const text = message.replace(/[.\s]+$/, "");
  if (!(cause instanceof Error)) return text;
  const code = "code" in cause ? String(cause.code) : "";
  const why = cause.message === "" ? code : said(cause);
  return why === "" ? text : `${text}: ${why}`;
}

/** OpenAI's servers may say themselves whether to try again. */
function askedByHeader(headers: Headers | undefined): boolean | undefined {
  const asked = headers?.get("x-should-retry");
  return asked === "true" ? true : asked === "false" ? false : undefined;
}

/** `retry-after-ms`, or `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3), in milliseconds. */
function retryAfterMs(headers: Headers | undefined): number | undefined {
  const inMs = Number.parseFloat(headers?.get("retry-after-ms") ?? "");
  if (Number.isFinite(inMs)) return Math.max(0, inMs);
  const given = headers?.get("retry-after");
  if (given === null || given === undefined) return undefined;
  const seconds = Number.parseFloat(given);
  if (/^\s*[\d.]+\s*$/.test(given) && Number.isFinite(seconds)) return seconds * 1000;
  const date = Date.parse(given);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}
