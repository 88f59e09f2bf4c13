// The client against a real server: the surface of `runs`, over connections that break.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { activeRuns, RunCancelledError, runs, TimeoutError, UsageError } from "llmethod";
import { createClient, RequestError, type RunsClient } from "llmethod/client";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openPlace, type Place, seen, token, until } from "./place.ts";

let place: Place;
let client: RunsClient;
beforeEach(async () => {
  place = await openPlace();
  client = createClient({ url: place.url, token });
});
afterEach(() => place[Symbol.asyncDispose]());

describe("a client", () => {
  test("starts a run, watches it to its end, and has its record and its answer", async () => {
    const run = await client.start<string>("say", ["hello"], {
      runId: "a/1",
      key: "k",
      metadata: { by: "me" },
    });
    expect(run.runId).toBe("a/1");
    const events = await Array.fromAsync(run.events());
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
    expect(events.at(-1)).toMatchObject({ type: "run-completed" });
    expect(await run.result()).toBe("word1 word2 word3 (hello)");
    expect(await run.get()).toMatchObject({
      status: "completed",
      key: "k",
      input: { options: { metadata: { by: "me" } } },
    });
    expect(await client.get("nobody")).toBeUndefined();
    expect(await Array.fromAsync(client.events("a/1", { after: events.length }))).toEqual([]);
    expect(
      (await client.list({ key: "k", status: "completed", limit: 5 })).map(({ runId }) => runId),
    ).toEqual(["a/1"]);
    expect(await client.list({ status: ["error", "pending"] })).toEqual([]);
  });

  test("calls a function as if it were here", async () => {
    expect(await client.call("say", ["hello"])).toBe("word1 word2 word3 (hello)");
    expect(await client.call("talk", ["hi"])).toMatchObject({
      status: "completed",
      text: expect.any(String),
    });
    await expect(client.call("say", ["badly"])).rejects.toThrow("the parrot has a cold");
    const late = client.call("say", ["for ever"], { timeout: 50, runId: "late" });
    const error = await late.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(RunCancelledError);
    expect(error).toMatchObject({
      runId: "late",
      text: expect.stringContaining("word1"),
      history: expect.any(Array),
    });
  });

  test("streams a run, and stops it by leaving", async () => {
    const events = await Array.fromAsync(client.stream<string>("say", ["hello"]));
    expect(events.at(-1)).toMatchObject({ type: "run-completed", value: "word1 word2 word3 (hello)" });
    const before = seen.aborts;
    for await (const event of client.stream("say", ["for ever"])) if (event.type === "text-delta") break;
    await until(() => seen.aborts > before, "the model's stream is aborted");
    const failed = await Array.fromAsync(client.stream("say", ["badly"]));
    expect(failed.at(-1)).toMatchObject({ type: "run-error", error: expect.any(Error) });
  });

  test("stops what it calls or streams by a signal, and is told its reason", async () => {
    const stop = new AbortController();
    const reason = new Error("enough");
    const called = client.call("say", ["for ever"], { abortSignal: stop.signal, runId: "c" });
    const streamed = Array.fromAsync(
      client.stream("say", ["for ever"], { abortSignal: stop.signal, runId: "s" }),
    );
    await until(async () => (await activeRuns()).size === 2, "both runs are at work");
    stop.abort(reason);
    await expect(called).rejects.toBe(reason);
    await expect(streamed).rejects.toBe(reason);
    await until(async () => (await activeRuns()).size === 0, "both runs have ended");
  });

  test("stops a run by its id and takes it up again", async () => {
    const run = await client.start("say", ["for ever"]);
    expect(await run.cancel({ why: "enough" }, { by: "me" })).toBe(true);
    await expect(run.result()).rejects.toThrow(RunCancelledError);
    expect(await client.cancel(run.runId)).toBe(false);
    const again = await client.resume(run.runId);
    await until(async () => (await again.get()).attempt === 2, "the second attempt is at work");
    expect(await client.cancel(run.runId, "over", { wait: true })).toBe(true);
    expect((await run.get()).status).toBe("cancelled");
  });

  test("waits with a limit, which ends the waiting only", async () => {
    const run = await client.start("say", ["for ever"]);
    await expect(run.wait({ timeoutMs: 60 })).rejects.toThrow(TimeoutError);
    const stop = new AbortController();
    const waiting = run.wait({ abortSignal: stop.signal });
    stop.abort("no longer");
    await expect(waiting).rejects.toBe("no longer");
    expect((await run.get()).status).not.toBe("cancelled");
    await run.cancel();
    expect((await run.wait()).status).toBe("cancelled");
  });

  test("tells what the server has against a request, by status and code", async () => {
    const told = (work: Promise<unknown>) =>
      work.then(
        () => "nothing",
        (error: unknown) => error,
      );
    const unknown = await told(client.start("sing", []));
    expect(unknown).toBeInstanceOf(RequestError);
    expect(unknown).toMatchObject({
      status: 404,
      code: "unknown_function",
      message: expect.stringMatching(/say, talk/),
    });
    expect(await told(client.wait("nobody"))).toMatchObject({ status: 404, code: "unknown_run" });
    expect(await told(Array.fromAsync(client.events("nobody")))).toMatchObject({ code: "unknown_run" });
    const stranger = createClient({ url: place.url, token: async () => "wrong" });
    expect(await told(stranger.list())).toMatchObject({ status: 401, code: "unauthorized" });
    const lost = createClient({ url: place.url.replace("/runs", "/elsewhere"), token });
    expect(await told(lost.list())).toMatchObject({ status: 404, code: "not_found" });
    const page = createClient({ url: place.url, fetch: async () => new Response("<html>", { status: 502 }) });
    expect(await told(page.list())).toMatchObject({ status: 502, code: "http_502" });
    const nowhere = createClient({ url: "http://127.0.0.1:1/runs" });
    expect(await told(nowhere.list())).toMatchObject({ status: 0, code: "connection" });
    expect(() => createClient({ url: "" })).toThrow(UsageError);
    expect(() => client.events("")).toThrow(UsageError);
  });
});

/** A connection that breaks after so many bytes of each body, or is refused. */
function breaking(bytesOf: (request: number) => number | undefined): {
  fetch: typeof fetch;
  requests: () => number;
} {
  let count = 0;
  return {
    requests: () => count,
    fetch: async (input, init) => {
      const bytes = bytesOf(++count);
      if (bytes === undefined) throw new TypeError("fetch failed");
      const response = await fetch(input, init);
      if (response.body === null) return response;
      const reader = response.body.getReader();
      let left = bytes;
      const body = new ReadableStream<Uint8Array>({
        async pull(controller) {
          const { done, value } = await reader.read();
          if (done) return controller.close();
          controller.enqueue(value.subarray(0, left));
          left -= value.length;
          if (left > 0) return;
          await reader.cancel();
          controller.error(new Error("the connection was reset"));
        },
        cancel: () => reader.cancel(),
      });
      return new Response(body, { status: response.status, headers: response.headers });
    },
  };
}

describe("events over connections that break", () => {
  test("come each once and in order, wherever the break is", async () => {
    const { runId } = await client.start("say", ["20 words"]);
    const whole = await Array.fromAsync(client.events(runId));
    for (const size of [120, 400, 1000]) {
      const { fetch, requests } = breaking((request) => (request % 3 === 2 ? undefined : size * request));
      const shaky = createClient({ url: place.url, token, fetch });
      expect(await Array.fromAsync(shaky.events(runId))).toEqual(whole);
      expect(requests()).toBeGreaterThan(1);
    }
  });

  test("go on live where all connections are cut", async () => {
    const { runId } = await client.start("say", ["for ever"]);
    const numbers: number[] = [];
    let cuts = 0;
    for await (const event of client.events(runId)) {
      numbers.push(event.seq);
      if (numbers.length % 10 === 0 && cuts < 3) {
        cuts++;
        place.cut();
      }
      if (numbers.length === 45) await runs.cancel(runId);
    }
    expect(cuts).toBe(3);
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    expect((await runs.get(runId))?.lastSeq).toBe(numbers.length);
  });

  test("go on after a connection that has fallen silent", async () => {
    const { runId } = await client.start("say", ["hello"], { delayMs: 400 });
    const { fetch, requests } = breaking(() => Number.POSITIVE_INFINITY);
    const watcher = createClient({ url: place.url, token, fetch, silenceMs: 100 });
    const events = await Array.fromAsync(watcher.events(runId));
    expect(events.at(-1)).toMatchObject({ type: "run-completed" });
    expect(requests()).toBeGreaterThan(1);
  });

  test("end with the signal, also between two connections", async () => {
    const { runId } = await client.start("say", ["hello"], { delayMs: 60_000 });
    const stop = new AbortController();
    const open = Array.fromAsync(client.events(runId, { abortSignal: stop.signal }));
    const shut = createClient({
      url: place.url,
      token,
      fetch: async () => Promise.reject(new TypeError("no")),
    });
    const waiting = Array.fromAsync(shut.events(runId, { abortSignal: stop.signal }));
    setTimeout(() => stop.abort("enough"), 50);
    await expect(open).rejects.toBe("enough");
    await expect(waiting).rejects.toBe("enough");
    await runs.cancel(runId);
  });

  test("of a streamed run are an error, as the run is stopped with its connection", async () => {
    const { fetch } = breaking(() => 500);
    const shaky = createClient({ url: place.url, token, fetch });
    const streamed = Array.fromAsync(shaky.stream("say", ["for ever"]));
    await expect(streamed).rejects.toMatchObject({ status: 0, code: "connection" });
    await until(async () => (await activeRuns()).size === 0, "the run has ended");
  });
});

test("the client loads nothing of Node, nor anything of the server", () => {
  const root = join(import.meta.dirname, "../../src");
  const loaded = new Map<string, string>();
  const visit = (path: string) => {
    if (loaded.has(path)) return;
    const text = readFileSync(path, "utf8");
    loaded.set(path, text);
    const values = text.matchAll(/^(?:import|export) (?!type\b)[^;]*?from "([^"]+)"/gm);
    for (const [, specifier = ""] of values) {
      if (specifier.startsWith(".")) visit(join(dirname(path), specifier));
      else expect(specifier).toBe("eventsource-parser");
    }
  };
  visit(join(root, "server/client.ts"));
  const names = [...loaded.keys()].map((path) => path.slice(root.length + 1));
  expect(
    names.every(
      (name) =>
        name.startsWith("server/client") || ["errors.ts", "json.ts", "stored-outcome.ts"].includes(name),
    ),
  ).toBe(true);
  for (const text of loaded.values()) expect(text).not.toMatch(/\b(Buffer|process|setImmediate)\b[.(]/);
});

test("a program that has used the client ends by itself", async () => {
  const program = `
    const { createClient } = await import(${JSON.stringify(join(import.meta.dirname, "../../src/server/client.ts"))});
    const client = createClient({ url: ${JSON.stringify(place.url)}, token: ${JSON.stringify(token)} });
    const run = await client.start("say", ["for ever"]);
    for await (const event of run.events()) if (event.type === "text-delta") break;
    for await (const event of client.stream("say", ["for ever"])) if (event.type === "text-delta") break;
    await run.cancel();
    console.log((await run.wait()).status);`;
  const { spawn } = await import("node:child_process");
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  for await (const part of child.stdout.setEncoding("utf8")) text += part;
  expect(text).toBe("cancelled\n");
});
