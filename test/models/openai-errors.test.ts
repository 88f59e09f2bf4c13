// The table from a provider's errors to `ModelError`, over HTTP, row by row.

import { ModelError } from "llmethod";
import { describe, expect, it } from "vitest";
import { answer, httpError, text } from "../support/server.ts";
import { ask, rejection, textOf, useServer } from "./local.ts";

const local = useServer();
const once = () => local.model({ maxRetries: 0 });

async function failure(): Promise<ModelError> {
  const error = await rejection(ask(once()));
  expect(error).toBeInstanceOf(ModelError);
  return error as ModelError;
}

describe("a status", () => {
  it.each([
    { status: 400, code: "bad_request", retryable: false },
    { status: 401, code: "authentication", retryable: false },
    { status: 403, code: "permission", retryable: false },
    { status: 404, code: "not_found", retryable: false },
    { status: 408, code: "timeout", retryable: true },
    { status: 409, code: "server", retryable: true },
    { status: 413, code: "context_length", retryable: false },
    { status: 418, code: "bad_request", retryable: false },
    { status: 422, code: "bad_request", retryable: false },
    { status: 429, code: "rate_limit", retryable: true },
    { status: 500, code: "server", retryable: true },
    { status: 502, code: "server", retryable: true },
    { status: 503, code: "overloaded", retryable: true },
    { status: 504, code: "server", retryable: true },
    { status: 529, code: "overloaded", retryable: true },
  ])("$status reads as $code", async ({ status, code, retryable }) => {
    local.server.script(
      httpError(status, { message: "it went wrong", type: "other" }, { "x-request-id": "req_42" }),
    );
    const error = await failure();
    expect(error).toMatchObject({ name: "ModelError", code, status, retryable, requestId: "req_42" });
    expect(error.message).toContain("it went wrong");
    expect(error.message).toContain("gpt-4.1-mini");
    expect(error.cause).toBeInstanceOf(Error);
  });
});

describe("a provider's code", () => {
  it.each([
    { status: 400, provider: "context_length_exceeded", code: "context_length", retryable: false },
    { status: 429, provider: "insufficient_quota", code: "quota", retryable: false },
    { status: 429, provider: "rate_limit_exceeded", code: "rate_limit", retryable: true },
    { status: 400, provider: "content_filter", code: "content_filter", retryable: false },
    { status: 400, provider: "content_policy_violation", code: "content_filter", retryable: false },
    { status: 401, provider: "invalid_api_key", code: "authentication", retryable: false },
    { status: 404, provider: "model_not_found", code: "not_found", retryable: false },
  ])("$provider says more than the status $status", async ({ status, provider, code, retryable }) => {
    local.server.script(httpError(status, { message: "no", code: provider }));
    expect(await failure()).toMatchObject({ code, status, providerCode: provider, retryable });
  });

  it("falls back to the type where there is no code", async () => {
    local.server.script(httpError(400, { message: "busy", type: "overloaded_error" }));
    expect(await failure()).toMatchObject({
      code: "overloaded",
      providerCode: "overloaded_error",
      retryable: true,
    });
  });

  it("that the table does not know leaves the word to the status", async () => {
    local.server.script(httpError(429, { message: "slow down", code: "weekly_limit" }));
    expect(await failure()).toMatchObject({ code: "rate_limit", providerCode: "weekly_limit" });
  });
});

describe("a message", () => {
  it.each([
    { status: 401, hint: /OPENAI_API_KEY/ },
    { status: 404, hint: /model's name/ },
  ])("of a $status says what to do", async ({ status, hint }) => {
    local.server.script(httpError(status, { message: "no" }));
    expect((await failure()).message).toMatch(hint);
  });

  it("is there for a body that is no JSON", async () => {
    local.server.script(async ({ response }) => {
      response.writeHead(502, { "content-type": "text/html" });
      response.end("<html>Bad gateway</html>");
    });
    expect(await failure()).toMatchObject({ code: "server", status: 502, retryable: true });
  });
});

describe("the wait that a provider asks for", () => {
  it.each([
    { header: "retry-after", value: "7", ms: 7000 },
    { header: "retry-after", value: "0.5", ms: 500 },
    { header: "retry-after-ms", value: "1234", ms: 1234 },
    { header: "retry-after", value: "0", ms: 0 },
  ])("comes from $header: $value", async ({ header, value, ms }) => {
    local.server.script(httpError(429, { message: "wait" }, { [header]: value }));
    expect((await failure()).retryAfterMs).toBe(ms);
  });

  it("comes from a date", async () => {
    const date = new Date(Date.now() + 10_000).toUTCString();
    local.server.script(httpError(503, { message: "wait" }, { "retry-after": date }));
    const { retryAfterMs } = await failure();
    expect(retryAfterMs).toBeGreaterThan(8000);
    expect(retryAfterMs).toBeLessThanOrEqual(10_000);
  });

  it("is 0 for a date that has passed", async () => {
    const date = new Date(Date.now() - 60_000).toUTCString();
    local.server.script(httpError(503, { message: "wait" }, { "retry-after": date }));
    expect((await failure()).retryAfterMs).toBe(0);
  });

  it("is the finer one where both are given", async () => {
    const headers = { "retry-after": "2", "retry-after-ms": "1500" };
    local.server.script(httpError(429, { message: "wait" }, headers));
    expect((await failure()).retryAfterMs).toBe(1500);
  });

  it("is left out where there is none, or none that can be read", async () => {
    local.server.script(httpError(429, { message: "wait" }));
    expect((await failure()).retryAfterMs).toBeUndefined();
    local.server.script(httpError(429, { message: "wait" }, { "retry-after": "soon" }));
    expect((await failure()).retryAfterMs).toBeUndefined();
  });
});

describe("x-should-retry", () => {
  it("false forbids a retry that the status allows", async () => {
    local.server.script(httpError(500, { message: "no" }, { "x-should-retry": "false" }));
    expect(await rejection(ask(local.model()))).toMatchObject({ status: 500, retryable: false });
    expect(local.server.requests).toHaveLength(1);
  });

  it("true allows a retry that the status forbids", async () => {
    local.server.script(httpError(400, { message: "no" }, { "x-should-retry": "true" }), answer(text("ok")));
    expect(textOf(await ask(local.model()))).toBe("ok");
    expect(local.server.requests).toHaveLength(2);
  });
});
