// Whatever is wrong with a request is answered as problem+json, with a status, a code, and what to do.

import { configure, MemoryRunStore, UsageError } from "llmethod";
import { createHandler, type HandlerOptions } from "llmethod/server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openPlace, type Place, requestTo, say, seen, token } from "./place.ts";

const base = "http://host.test/runs";
let place: Place;
beforeEach(async () => {
  place = await openPlace({ maxBodyBytes: 2000 });
});
afterEach(() => place[Symbol.asyncDispose]());

type Sent = NonNullable<Parameters<typeof requestTo>[1]>;
const run = (more: object = {}) => ({ function: "say", args: ["hello"], ...more });
const deep = `{"function":"say","args":[${"[".repeat(300)}${"]".repeat(300)}]}`;

const cases: readonly [what: string, sent: Sent, status: number, code: string, says: RegExp][] = [
  ["no token", { headers: { authorization: "" } }, 401, "unauthorized", /Authorization: Bearer <token>/],
  ["a wrong token", { headers: { authorization: "Bearer nope" } }, 401, "unauthorized", /not known/],
  ["another scheme", { headers: { authorization: `Basic ${token}` } }, 401, "unauthorized", /Bearer/],
  ["an unknown path", { path: "/a/b/c" }, 404, "not_found", /the runs are at \/runs/],
  ["a path with a hole", { path: "//constructor" }, 404, "not_found", /the runs are at/],
  ["a path of the language", { path: "/a/constructor" }, 404, "not_found", /the runs are at/],
  ["an unknown method", { method: "DELETE" }, 405, "method_not_allowed", /only GET, POST/],
  ["GET where something is done", { path: "/a/cancel" }, 405, "method_not_allowed", /only POST/],
  ["an unknown function", { body: run({ function: "sing" }) }, 404, "unknown_function", /It has say, talk/],
  ["an unknown run", { path: "/nobody" }, 404, "unknown_run", /mode "background" are stored/],
  ["events of an unknown run", { path: "/nobody/events" }, 404, "unknown_run", /no run "nobody"/],
  ["resuming an unknown run", { path: "/nobody/resume", body: {} }, 404, "unknown_run", /no run "nobody"/],
  ["an id that is not encoded", { path: "/%E0%A4%A" }, 400, "invalid_option", /encodeURIComponent/],
  ["an id that is too long", { path: `/${"x".repeat(300)}` }, 422, "invalid_option", /1 to 256/],
  ["text that is no JSON", { body: "{nope" }, 400, "invalid_json", /JSON.stringify/],
  ["JSON that is no object", { body: "[1]" }, 422, "invalid_body", /not an array/],
  ["an empty body", { body: "" }, 422, "invalid_body", /"function" must be the name/],
  ["data nested without end", { body: deep }, 422, "invalid_body", /200 levels/],
  ["a large body", { body: run({ args: ["x".repeat(3000)] }) }, 413, "body_too_large", /maxBodyBytes/],
  [
    "another content type",
    { body: run(), headers: { "content-type": "text/plain" } },
    415,
    "unsupported_media_type",
    /application\/json, not text\/plain/,
  ],
  ["an unknown key", { body: run({ arguments: [] }) }, 422, "invalid_body", /does not know arguments/],
  ["args that are no list", { body: run({ args: "hello" }) }, 422, "invalid_body", /not a string/],
  ["an unknown mode", { body: run({ mode: "later" }) }, 422, "invalid_body", /"sync", "stream"/],
  ["an id that is a path", { body: run({ runId: ".." }) }, 422, "invalid_option", /"runId" must be/],
  [
    "an unknown option",
    { body: run({ options: { abortSignal: {} } }) },
    422,
    "invalid_option",
    /does not know/,
  ],
  ["an id with a zero", { body: run({ runId: "a\u0000" }) }, 422, "invalid_option", /printable/],
  ["half a character", { body: run({ runId: "\ud800" }) }, 422, "invalid_option", /"runId" must be/],
  ["a bad timeout", { body: run({ options: { timeout: -1 } }) }, 422, "invalid_option", /milliseconds/],
  ["a bad history", { body: run({ options: { history: "x" } }) }, 422, "invalid_history", /array/],
  ["a bad priority", { body: run({ priority: "high" }) }, 422, "invalid_option", /"priority" must be/],
  ["a delay of a call", { body: run({ mode: "sync", delayMs: 5 }) }, 422, "invalid_option", /delayMs: only/],
  [
    "a message that is none",
    { body: run({ function: "talk", args: [7] }) },
    422,
    "invalid_message",
    /message/,
  ],
  ["an unknown status", { path: "?status=lost" }, 422, "invalid_option", /"lost"/],
  ["an unknown filter", { path: "?state=error" }, 422, "invalid_option", /does not know state/],
  ["a bad limit", { path: "?limit=0" }, 422, "invalid_option", /1 to 1000/],
  ["a bad wait", { path: "/a?wait=soon" }, 422, "invalid_option", /0 to 60000/],
  ["a bad cursor", { path: "/a/events?after=-1" }, 422, "invalid_option", /"after"/],
  [
    "a bad Last-Event-ID",
    { path: "/a/events", headers: { "last-event-id": "x" } },
    422,
    "invalid_option",
    /"Last-Event-ID"/,
  ],
  [
    "a wait that is no boolean",
    { path: "/a/cancel", body: { wait: 5 } },
    422,
    "invalid_body",
    /true or false/,
  ],
  [
    "a page of another origin",
    {
      path: "/a/cancel",
      method: "POST",
      headers: { "sec-fetch-site": "cross-site", origin: "https://evil.test" },
    },
    403,
    "forbidden_origin",
    /cors/,
  ],
];

test.each(cases)("%s is refused", async (_what, sent, status, code, says) => {
  const before = seen.requests;
  const response = await place.handler(requestTo(base, sent));
  expect(response.status).toBe(status);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const problem = (await response.json()) as { detail: string };
  expect(problem).toEqual({ title: expect.any(String), status, code, detail: expect.stringMatching(says) });
  expect(problem.detail).not.toMatch(/\n\s+at /);
  expect(seen.requests).toBe(before);
  if (status === 401) expect(response.headers.get("www-authenticate")).toMatch(/^Bearer realm=/);
  if (status === 405) expect(response.headers.get("allow")).toMatch(/POST/);
});

test("a body that is sent in pieces is refused as soon as it is too large", async () => {
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 500;
      controller.enqueue(new Uint8Array(500).fill(32));
    },
  });
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const request = new Request(base, { method: "POST", body, headers, duplex: "half" });
  expect((await place.handler(request)).status).toBe(413);
  expect(sent).toBeLessThan(5000);
});

test("a fault of the server is reported there, and told without its text", async () => {
  const faults: Error[] = [];
  const broken = new MemoryRunStore();
  broken.get = async () => {
    throw new Error("password of the database is hunter2");
  };
  configure({ store: broken, onFault: (error) => faults.push(error) });
  const response = await place.handler(requestTo(base, { path: "/a" }));
  expect(response.status).toBe(500);
  const text = await response.text();
  expect(JSON.parse(text)).toMatchObject({ code: "internal_error", detail: expect.stringMatching(/log/) });
  expect(text).not.toContain("hunter2");
  expect(faults.map(({ message }) => message).join()).toContain("hunter2");
});

describe("a token", () => {
  const tried = async (option: HandlerOptions["token"], headers: Record<string, string>) => {
    const handler = createHandler({ functions: [say], token: option });
    return (await handler(new Request(base, { headers }))).status;
  };

  test("is needed, unless it is said that there is none", async () => {
    expect(() => createHandler({ functions: [say] })).toThrow(/needs a "token".*token: false/);
    expect(() => createHandler({ functions: [say], token: undefined })).toThrow(UsageError);
    expect(await tried(false, {})).toBe(200);
  });

  test("is one of those that the server knows", async () => {
    expect(await tried(["one", "two"], { authorization: "Bearer two" })).toBe(200);
    expect(await tried(["one", "two"], { authorization: "bearer  one" })).toBe(200);
    expect(await tried(["one", "two"], { authorization: "Bearer three" })).toBe(401);
    expect(await tried("one", { authorization: "Bearer one two" })).toBe(401);
  });

  test("can be judged by a function, which sees the request", async () => {
    const check = async (given: string, request: Request) =>
      given === "x" || request.headers.get("cookie") === "session=1";
    expect(await tried(check, { authorization: "Bearer x" })).toBe(200);
    expect(await tried(check, { cookie: "session=1" })).toBe(200);
    expect(await tried(check, {})).toBe(401);
  });

  test.each([[""], [[]], [["a", ""]], ["a b"], [7], [true]])("cannot be %j", (option) => {
    expect(() => createHandler({ functions: [say], token: option as string })).toThrow(/"token" must be/);
  });
});

test.each([
  [{ functions: [] }, /"functions" must be a list/],
  [{ functions: [{}] }, /no LLM function/],
  [{ basePath: "runs" }, /"basePath" must be a path/],
  [{ maxBodyBytes: 0 }, /"maxBodyBytes"/],
  [{ heartbeatMs: Number.NaN }, /"heartbeatMs"/],
  [{ cors: ["example.com"] }, /"cors"/],
  [{ tokens: "x" }, /does not know tokens/],
])("the options %j are refused when the handler is made", (options, says) => {
  const given = { functions: [say], token, ...options } as HandlerOptions;
  expect(() => createHandler(given)).toThrow(says);
  expect(() => createHandler(given)).toThrow(UsageError);
});

test.each(["/", "", "/api/v1/runs/"])("runs are served at %j as well", async (basePath) => {
  const handler = createHandler({ functions: [say], token, basePath });
  const at = `http://host.test${basePath.replace(/\/$/, "")}`;
  expect((await handler(requestTo(`${at}/`))).status).toBe(200);
  const response = await handler(requestTo(at || "http://host.test/", { body: run({ mode: "sync" }) }));
  expect(response.status).toBe(200);
});

describe("pages of other origins", () => {
  const page = "https://app.test";
  const preflight = (origin: string) =>
    new Request(base, { method: "OPTIONS", headers: { origin, "access-control-request-method": "POST" } });

  test("may call where they are named, and read the answer", async () => {
    const handler = createHandler({ functions: [say], token, cors: [page] });
    const asked = await handler(preflight(page));
    expect(asked.status).toBe(204);
    expect(asked.headers.get("access-control-allow-origin")).toBe(page);
    expect(asked.headers.get("access-control-allow-headers")).toContain("last-event-id");
    const headers = { origin: page, "sec-fetch-site": "cross-site" };
    const answer = await handler(requestTo(base, { body: run({ mode: "sync" }), headers }));
    expect(answer.status).toBe(200);
    expect(answer.headers.get("access-control-allow-origin")).toBe(page);
    const refused = await handler(requestTo(base, { headers: { origin: page, authorization: "" } }));
    expect(refused.headers.get("access-control-allow-origin")).toBe(page);
  });

  test("may not where they are not", async () => {
    const handler = createHandler({ functions: [say], token, cors: [page] });
    const asked = await handler(preflight("https://evil.test"));
    expect(asked.ok).toBe(false);
    expect(asked.headers.has("access-control-allow-origin")).toBe(false);
    const plain = await place.handler(requestTo(base, { headers: { origin: page } }));
    expect(plain.headers.has("access-control-allow-origin")).toBe(false);
  });
});
