// Every route, on a store in memory and in a file, with requests handed to the handler as Hono and Next do.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { activeRuns, configure, MemoryRunStore, type RunStore, runs, startWorker } from "llmethod";
import { SqliteRunStore } from "llmethod/sqlite";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventText } from "../../src/server/sse.ts";
import { eventsIn, openPlace, type Place, requestTo, seen, talk, until } from "./place.ts";

const folder = mkdtempSync(join(tmpdir(), "llmethod-server-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

const stores: Record<string, () => RunStore> = {
  memory: () => new MemoryRunStore(),
  SQLite: () => new SqliteRunStore({ path: join(folder, `runs-${++files}.db`) }),
};

describe.each(Object.entries(stores))("a handler on a store in %s", (_name, makeStore) => {
  let place: Place;
  beforeEach(async () => {
    place = await openPlace({}, makeStore());
  });
  afterEach(() => place[Symbol.asyncDispose]());

  const ask = (path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    place.handler(
      requestTo("http://host.test/runs", { path, headers, ...(body === undefined ? {} : { body }) }),
    );
  const started = async (what: string, more: object = {}): Promise<string> => {
    const response = await ask("", { function: "say", args: [what], ...more });
    expect(response.status).toBe(202);
    return ((await response.json()) as { runId: string }).runId;
  };

  test("a run in the background is accepted, found by its address, waited for, and answered", async () => {
    const response = await ask("", { function: "say", args: ["hello"], runId: "a/b c", key: "k" });
    expect(response.status).toBe(202);
    expect(await response.json()).toEqual({
      runId: "a/b c",
      status: expect.stringMatching(/pending|running/),
    });
    expect(response.headers.get("location")).toBe("/runs/a%2Fb%20c");
    const record = await (await ask("/a%2Fb%20c?wait=10000")).json();
    expect(record).toMatchObject({
      runId: "a/b c",
      functionName: "say",
      key: "k",
      status: "completed",
      input: { args: ["hello"], options: {} },
      outcome: { value: "word1 word2 word3 (hello)" },
    });
  });

  test("the same id with the same input gives the same run, with another input a conflict", async () => {
    const before = seen.requests;
    await started("once", { runId: "same" });
    await started("once", { runId: "same" });
    await ask("/same?wait=10000");
    expect(seen.requests).toBe(before + 1);
    const other = await ask("", { function: "say", args: ["twice"], runId: "same" });
    expect(other.status).toBe(409);
    expect(await other.json()).toMatchObject({ code: "duplicate_run" });
    const foreground = await ask("", { function: "say", args: ["once"], runId: "same", mode: "sync" });
    expect(foreground.status).toBe(409);
  });

  test("a last argument that looks like options stays an argument", async () => {
    const runId = await started("hello", { args: ["hello", { timeout: 1 }], options: { maxTurns: 3 } });
    const record = await runs.wait(runId);
    expect(record.input).toEqual({ args: ["hello", { timeout: 1 }], options: { maxTurns: 3 } });
    const bare = await started("hello", { args: [{ metadata: { a: 1 } }] });
    expect((await runs.wait(bare)).input).toEqual({ args: [{ metadata: { a: 1 } }], options: {} });
  });

  test("a synchronous run is answered with its outcome, whatever that is", async () => {
    const done = await ask("", { function: "say", args: ["hello"], mode: "sync", runId: "sync-1" });
    expect(done.status).toBe(200);
    expect(done.headers.get("run-id")).toBe("sync-1");
    expect(await done.json()).toMatchObject({
      runId: "sync-1",
      status: "completed",
      turns: 1,
      text: expect.any(String),
    });
    const failed = await ask("", { function: "say", args: ["badly"], mode: "sync" });
    expect(failed.status).toBe(200);
    const outcome = (await failed.json()) as { error: object };
    expect(outcome).toMatchObject({ status: "error", error: { message: "the parrot has a cold" } });
    expect(JSON.stringify(outcome)).not.toContain(".ts:");
    const late = await ask("", {
      function: "say",
      args: ["for ever"],
      mode: "sync",
      options: { timeout: 40 },
    });
    expect(late.status).toBe(200);
    expect(await late.json()).toMatchObject({ status: "cancelled", cause: "timeout" });
  });

  test("an id in any script will do, and is percent-encoded in the header", async () => {
    for (const mode of ["sync", "stream"]) {
      const response = await ask("", { function: "say", args: ["hello"], mode, runId: "über 走る" });
      expect(response.status).toBe(200);
      expect(decodeURIComponent(response.headers.get("run-id") ?? "")).toBe("über 走る");
      await response.text();
    }
  });

  test("a chat over HTTP goes on with the history of its last reply", async () => {
    const first = await ask("", { function: "talk", args: ["hi"], mode: "sync" });
    const { value } = (await first.json()) as { value: { history: unknown[] } };
    const second = await ask("", {
      function: "talk",
      args: ["again"],
      mode: "sync",
      options: { history: value.history },
    });
    expect(((await second.json()) as { history: unknown[] }).history).toHaveLength(4);
  });

  test("a streamed run gives its events with their numbers, and ends with the terminal one", async () => {
    const response = await ask("", { function: "say", args: ["hello"], mode: "stream" });
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    const events = await Array.fromAsync(eventsIn(response));
    expect(events.map(({ id }) => Number(id))).toEqual(events.map((_, index) => index + 1));
    expect(events.at(0)?.data.type).toBe("run-start");
    expect(events.at(-1)?.data).toMatchObject({ type: "run-completed", value: "word1 word2 word3 (hello)" });
    expect(response.headers.get("run-id")).toBe(events.at(0)?.data.runId);
  });

  test("runs of every mode are stopped by their id", async () => {
    const sync = ask("", { function: "say", args: ["for ever"], mode: "sync", runId: "s" });
    const stream = await ask("", { function: "say", args: ["for ever"], mode: "stream", runId: "t" });
    const read = Array.fromAsync(eventsIn(stream));
    await started("for ever", { runId: "b" });
    await until(async () => (await runs.get("b"))?.status === "running", "the run is at work");
    for (const runId of ["s", "t", "b"]) {
      const response = await ask(`/${runId}/cancel`, { reason: { why: "enough" }, by: "a test", wait: true });
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ runId, found: true });
    }
    const reason = { why: "enough" };
    expect(await (await sync).json()).toMatchObject({ status: "cancelled", cause: "cancel", reason });
    expect((await read).at(-1)?.data).toMatchObject({ type: "run-cancelled", cause: "cancel", reason });
    expect(await runs.get("b")).toMatchObject({ status: "cancelled", stopRequest: { reason, by: "a test" } });
    expect(await (await ask("/b/cancel", {})).json()).toEqual({ runId: "b", found: false });
  });

  test("with wait, the answer to a cancel holds the record of the run that has ended", async () => {
    await started("for ever", { runId: "w" });
    const response = await ask("/w/cancel", { wait: true });
    expect(await response.json()).toMatchObject({ found: true, run: { status: "cancelled", runId: "w" } });
  });

  test("a stop that comes before its run ends it without a request to the model", async () => {
    const before = seen.requests;
    const early = await place.handler(
      requestTo("http://host.test/runs", { path: "/later/cancel", method: "POST" }),
    );
    expect(await early.json()).toEqual({ runId: "later", found: false });
    await started("hello", { runId: "later" });
    expect(await (await ask("/later?wait=10000")).json()).toMatchObject({ status: "cancelled" });
    expect(seen.requests).toBe(before);
  });

  test("a run that was cancelled is taken up again; one that was completed is not", async () => {
    await started("for ever", { runId: "r" });
    await ask("/r/cancel", { wait: true });
    const resumed = await ask("/r/resume", {});
    expect(resumed.status).toBe(202);
    expect(resumed.headers.get("location")).toBe("/runs/r");
    await until(async () => (await runs.get("r"))?.attempt === 2, "the second attempt is at work");
    await ask("/r/cancel", { wait: true });
    const done = await started("hello");
    await runs.wait(done);
    const refused = await ask(`/${done}/resume`, {});
    expect(refused.status).toBe(409);
    expect(await refused.json()).toMatchObject({ code: "not_resumable" });
  });

  test("runs are listed newest first, in pages, by what they are", async () => {
    for (const runId of ["one", "two", "three"])
      await started("hello", { runId, key: runId === "two" ? "x" : "y" });
    for (const runId of ["one", "two", "three"]) await runs.wait(runId);
    const listed = async (query: string) => {
      const page = (await (await ask(query)).json()) as { runs: { runId: string }[]; next?: string };
      return { ids: page.runs.map(({ runId }) => runId), next: page.next, first: page.runs[0] };
    };
    const all = await listed("");
    expect(all.ids).toEqual(["three", "two", "one"]);
    expect(all.first).not.toHaveProperty("input");
    expect(all.first).not.toHaveProperty("outcome");
    expect(all.next).toBeUndefined();
    const page = await listed("?limit=2");
    expect(page).toMatchObject({ ids: ["three", "two"], next: "two" });
    expect((await listed(`?limit=2&before=${page.next}`)).ids).toEqual(["one"]);
    expect((await listed("?key=x&function=say&status=completed,error")).ids).toEqual(["two"]);
    expect((await listed("?status=pending&status=running")).ids).toEqual([]);
  });

  test("a watched run is read from the start, from a number, and from Last-Event-ID, without a seam", async () => {
    const runId = await started("20 words");
    const whole = await Array.fromAsync(eventsIn(await ask(`/${runId}/events`)));
    expect(whole.map(({ data }) => data.seq)).toEqual(whole.map((_, index) => index + 1));
    expect(whole.at(-1)?.data.type).toBe("run-completed");
    for (let seam = 0; seam < whole.length; seam++) {
      const rest = await Array.fromAsync(eventsIn(await ask(`/${runId}/events?after=${seam}`)));
      expect(rest).toEqual(whole.slice(seam));
    }
    const again = await ask(`/${runId}/events?after=1`, undefined, { "last-event-id": "3" });
    expect(await Array.fromAsync(eventsIn(again))).toEqual(whole.slice(3));
    const nothing = await ask(`/${runId}/events`, undefined, { "last-event-id": String(whole.length) });
    expect(nothing.status).toBe(204);
  });

  test("a watcher that leaves does not stop the run, and the next one goes on where it left", async () => {
    const runId = await started("for ever");
    const types: string[] = [];
    let last = 0;
    for await (const { data } of eventsIn(await ask(`/${runId}/events`))) {
      types.push(data.type);
      last = data.seq;
      if (types.includes("text-delta")) break;
    }
    expect((await runs.get(runId))?.status).toBe("running");
    const response = await ask(`/${runId}/events`, undefined, { "last-event-id": String(last) });
    await ask(`/${runId}/cancel`, {});
    const rest = await Array.fromAsync(eventsIn(response));
    expect(rest[0]?.data.seq).toBe(last + 1);
    expect(rest.at(-1)?.data.type).toBe("run-cancelled");
  });

  test("events that were pruned are told of as a gap", async () => {
    const runId = await started("hello");
    const { lastSeq } = await runs.wait(runId);
    await until(
      async () => (await runs.prune({ olderThanMs: 0, what: "events" })) > 0,
      "the events are old enough",
    );
    const events = await Array.fromAsync(eventsIn(await ask(`/${runId}/events`)));
    expect(events.map(({ data }) => data)).toEqual([{ type: "gap", runId, seq: lastSeq }]);
  });

  test("an error that ended a run travels as its name and message", async () => {
    const runId = await started("badly");
    const events = await Array.fromAsync(eventsIn(await ask(`/${runId}/events`)));
    expect(events.at(-1)?.data).toMatchObject({
      type: "run-error",
      error: { message: "the parrot has a cold" },
    });
    expect(await (await ask(`/${runId}`)).json()).toMatchObject({ status: "error" });
  });
});

test("a request that is aborted ends its stream, and the run that it began", async () => {
  await using place = await openPlace();
  const stop = new AbortController();
  const body = { function: "say", args: ["for ever"], mode: "stream", runId: "aborted" };
  const response = await place.handler(requestTo("http://host.test/runs", { body, signal: stop.signal }));
  const types: string[] = [];
  for await (const { data } of eventsIn(response)) {
    types.push(data.type);
    if (data.type === "text-delta") stop.abort();
  }
  expect(types).toContain("text-delta");
  await until(async () => !(await activeRuns()).has("aborted"), "the run has ended");
});

test("a run that is asked for by a client who is gone already is stopped at its start", async () => {
  await using place = await openPlace();
  for (const mode of ["sync", "stream"]) {
    const before = seen.requests;
    const body = { function: "say", args: ["for ever"], mode, runId: `gone-${mode}` };
    const request = requestTo("http://host.test/runs", { body });
    Object.defineProperty(request, "signal", { value: AbortSignal.abort(new Error("gone")) });
    await (await place.handler(request)).text();
    await until(async () => !(await activeRuns()).has(`gone-${mode}`), "the run has ended");
    expect(seen.requests).toBe(before);
  }
});

test("a process that only submits leaves its runs to workers elsewhere, and can stop them", async () => {
  await using place = await openPlace();
  configure({ worker: false });
  try {
    const body = { function: "say", args: ["hello"], runId: "waiting" };
    await place.handler(requestTo("http://host.test/runs", { body }));
    const ask = (path: string, more: object) =>
      place.handler(requestTo("http://host.test/runs", { path: `/waiting${path}`, ...more }));
    expect(await (await ask("?wait=50", {})).json()).toMatchObject({ status: "pending" });
    const cancelled = await ask("/cancel", { body: { wait: true } });
    expect(await cancelled.json()).toMatchObject({ found: true, run: { status: "cancelled" } });
    expect((await ask("/resume", { body: {} })).status).toBe(202);
    expect(await (await ask("", {})).json()).toMatchObject({ status: "pending" });
  } finally {
    configure({ worker: {} });
  }
});

test("a worker without the function is a fault of the server, which is reported", async () => {
  await using place = await openPlace();
  const faults: string[] = [];
  configure({ onFault: ({ message }) => faults.push(message) });
  await using _worker = await startWorker({ functions: [talk], signals: false });
  const body = { function: "say", args: ["hello"] };
  const response = await place.handler(requestTo("http://host.test/runs", { body }));
  expect(response.status).toBe(500);
  expect(await response.json()).toMatchObject({ code: "internal_error" });
  expect(faults.join()).toContain("No worker of this process has the function say");
});

test("a store without a queue is a fault of the server too", async () => {
  const store: RunStore = new MemoryRunStore();
  Object.defineProperty(store, "claimNext", { value: undefined });
  await using place = await openPlace({}, store);
  const faults: Error[] = [];
  configure({ onFault: (error) => faults.push(error) });
  const body = { function: "say", args: ["hello"] };
  const response = await place.handler(requestTo("http://host.test/runs", { body }));
  expect(response.status).toBe(500);
  expect(faults.map(({ message }) => message).join()).toContain("cannot be used as it is configured");
});

test("what a tool is given and gives need not be JSON to be streamed", () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  const stamp = { runId: "r", seq: 3, at: 0 };
  const event = {
    type: "tool-start",
    callId: "c",
    toolName: "t",
    input: { big: 1n, cycle },
    ...stamp,
  } as const;
  expect(JSON.parse(eventText(event))).toMatchObject({
    type: "tool-start",
    seq: 3,
    input: expect.any(String),
  });
  const error = new Error("outer", { cause: new Error("inner") });
  const kept = {
    text: "",
    history: [],
    patches: [],
    usage: { inputTokens: 0, outputTokens: 0, totalTokens: 0 },
  };
  expect(JSON.parse(eventText({ type: "run-error", error, ...kept, ...stamp }))).toMatchObject({
    error: { name: "Error", message: "outer", cause: { message: "inner" } },
  });
});
