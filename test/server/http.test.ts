// Over real connections: what happens when clients leave, read slowly, send too much, or nothing happens for a while.

import { once } from "node:events";
import { createServer, request as send } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2";
import { type AddressInfo, connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { activeRuns, configure, runs } from "llmethod";
import { toNodeHandler } from "llmethod/server";
import { afterEach, describe, expect, test } from "vitest";
import { eventResponse, type SentEvent } from "../../src/server/sse.ts";
import { eventsIn, openPlace, type Place, requestTo, seen, token, until } from "./place.ts";

let place: Place;
afterEach(() => place[Symbol.asyncDispose]());

const run = (mode: string, what = "for ever", runId?: string) => ({
  function: "say",
  args: [what],
  mode,
  runId,
});
/** By the address and not as a `Request`: Node forgets the signal of one that is collected while it is sent. */
const sent = (init: Parameters<typeof requestTo>[1], signal?: AbortSignal) => {
  const { method, headers } = requestTo(place.url, init);
  const body = init?.body === undefined ? {} : { body: JSON.stringify(init.body) };
  return fetch(place.url + (init?.path ?? ""), { method, headers, ...body, signal: signal ?? null });
};
const post = (body: object, signal?: AbortSignal) => sent({ body }, signal);

describe("a client that leaves", () => {
  test("stops the run that it streams, at once", async () => {
    place = await openPlace();
    const before = seen.aborts;
    const leaving = new AbortController();
    const response = await post(run("stream", "for ever", "left"), leaving.signal);
    const types: string[] = [];
    try {
      for await (const { data } of eventsIn(response)) {
        types.push(data.type);
        globalThis.gc?.();
        if (data.type === "text-delta") leaving.abort();
      }
    } catch (error) {
      expect(error).toHaveProperty("name", "AbortError");
    }
    expect(types).toContain("text-delta");
    await until(() => seen.aborts > before, "the model's stream is aborted");
    await until(async () => !(await activeRuns()).has("left"), "the run has ended");
  });

  test("stops the run that it waits for, also after the request was collected", async () => {
    place = await openPlace();
    const before = seen.aborts;
    const leaving = new AbortController();
    const response = post(run("sync", "for ever", "waited"), leaving.signal);
    await until(async () => (await activeRuns()).has("waited"), "the run is at work");
    for (let round = 0; round < 3; round++) {
      globalThis.gc?.();
      await sleep(10);
    }
    leaving.abort();
    await expect(response).rejects.toHaveProperty("name", "AbortError");
    await until(() => seen.aborts > before, "the model's stream is aborted");
    await until(async () => !(await activeRuns()).has("waited"), "the run has ended");
  });

  test("does not stop the run that it watches", async () => {
    place = await openPlace();
    const { runId } = (await (await post(run("background"))).json()) as { runId: string };
    const leaving = new AbortController();
    const response = await sent({ path: `/${runId}/events` }, leaving.signal);
    for await (const { data } of eventsIn(response)) if (data.type === "text-delta") break;
    leaving.abort();
    const { lastSeq } = (await runs.get(runId)) ?? { lastSeq: 0 };
    await until(async () => ((await runs.get(runId))?.lastSeq ?? 0) > lastSeq, "the run goes on");
    expect((await runs.get(runId))?.status).toBe("running");
    await runs.cancel(runId);
    await runs.wait(runId);
  });

  test("while it sends is no fault of the server", async () => {
    place = await openPlace();
    const { hostname, port } = new URL(place.url);
    const socket = connect(Number(port), hostname);
    await once(socket, "connect");
    const head = ["POST /runs HTTP/1.1", "Host: x", `Authorization: Bearer ${token}`, "Content-Length: 100"];
    socket.write(`${head.join("\r\n")}\r\n\r\n{"function":`);
    await sleep(30);
    socket.destroy();
    await until(async () => (await place.connections()) === 0, "the connection is closed");
    expect((await post(run("sync", "hello"))).status).toBe(200);
  });
});

test("a watcher that stops reading holds nothing up", async () => {
  place = await openPlace();
  const { runId } = (await (await post(run("background", "large 5000 words"))).json()) as { runId: string };
  const headers = { authorization: `Bearer ${token}` };
  const slow = send(`${place.url}/${runId}/events`, { headers });
  slow.end();
  const [response] = await once(slow, "response");
  response.pause();
  expect((await runs.wait(runId)).status).toBe("completed");
  let length = 0;
  for await (const part of response) length += part.length;
  expect(length).toBeGreaterThan(5_000_000);
});

test("no more events are fetched than the sockets of a slow reader take", async () => {
  place = await openPlace();
  let fetched = 0;
  let hasLeft = false;
  const events: AsyncIterator<SentEvent> = {
    async next() {
      const delta = "x".repeat(10_000);
      return { done: false, value: { type: "text-delta", delta, runId: "endless", seq: ++fetched, at: 0 } };
    },
  };
  const leave = () => {
    hasLeft = true;
  };
  const handler = toNodeHandler(({ signal }) =>
    eventResponse(events, { heartbeatMs: 60_000, signal, leave }),
  );
  const server = createServer(handler);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const slow = send({ host: "127.0.0.1", port: (server.address() as AddressInfo).port });
  slow.end();
  const [response] = await once(slow, "response");
  response.on("error", () => {}); // it is destroyed below
  response.pause();
  let last = -1;
  await until(async () => {
    const isStill = fetched === last;
    last = fetched;
    await sleep(100);
    return isStill;
  }, "the server waits for the reader");
  expect(fetched).toBeLessThan(5_000);
  expect(hasLeft).toBe(false);
  response.destroy();
  await until(() => hasLeft, "the server hears that the reader has left");
  server.close();
});

test("a reader sets the pace of the run that it streams", async () => {
  place = await openPlace();
  const before = seen.deltas;
  const body = JSON.stringify(run("stream", "large 20000 words", "paced"));
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const slow = send(place.url, { method: "POST", headers });
  slow.end(body);
  const [response] = await once(slow, "response");
  response.pause();
  let last = -1;
  await until(async () => {
    const isStill = seen.deltas === last;
    last = seen.deltas;
    await sleep(100);
    return isStill;
  }, "the run waits for its reader");
  // What the sockets hold: a few MB, not the 20 MB of the whole.
  expect(seen.deltas - before).toBeLessThan(15_000);
  let length = 0;
  for await (const part of response) length += part.length;
  expect(seen.deltas - before).toBe(20_000);
  expect(length).toBeGreaterThan(20_000_000);
});

test("a stream that has nothing to tell sends comments", async () => {
  place = await openPlace({ heartbeatMs: 20 });
  const answer = await post({ function: "say", args: ["hello"], delayMs: 60_000 });
  const { runId } = (await answer.json()) as { runId: string };
  const response = await fetch(requestTo(place.url, { path: `/${runId}/events` }));
  let text = "";
  for await (const part of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    text += part;
    if (text.split(":\n\n").length > 4) break;
  }
  expect(text.startsWith("retry: 1000\n\n")).toBe(true);
  await runs.cancel(runId);
});

test("events come one by one, as they happen", async () => {
  place = await openPlace();
  const response = await post(run("stream", "for ever", "live"));
  const times: number[] = [];
  for await (const { data } of eventsIn(response)) {
    if (data.type === "text-delta") times.push(Number(data.at));
    if (times.length === 5) break;
  }
  expect(times).toHaveLength(5);
  await until(async () => !(await activeRuns()).has("live"), "the run has ended");
});

test("a client that sends too much reads why, and its connection is closed", async () => {
  place = await openPlace({ maxBodyBytes: 1000 });
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const large = send(place.url, { method: "POST", headers });
  large.on("error", () => {}); // the rest of what it sends is not taken
  large.write("x".repeat(5000));
  const [response] = await once(large, "response");
  expect(response.statusCode).toBe(413);
  expect(response.headers.connection).toBe("close");
  let text = "";
  for await (const part of response) text += part;
  expect(JSON.parse(text)).toMatchObject({ code: "body_too_large" });
  await until(async () => (await place.connections()) === 0, "the connection is closed");
});

test("connections are used again", async () => {
  place = await openPlace();
  for (let count = 0; count < 20; count++) {
    const response = await post(run("sync", "hello"));
    expect(response.status).toBe(200);
    await response.text();
  }
  expect(await place.connections()).toBeLessThan(5);
});

test("behind a router and a body parser, the path and the body are those that the client has sent", async () => {
  place = await openPlace();
  const inner = toNodeHandler(place.handler);
  const server = createServer(async (incoming, outgoing) => {
    let text = "";
    for await (const part of incoming.setEncoding("utf8")) text += part;
    const mounted = Object.assign(incoming, { originalUrl: incoming.url, body: JSON.parse(text) });
    mounted.url = "/";
    inner(mounted, outgoing);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/runs`;
  const response = await fetch(requestTo(url, { body: run("sync", "hello") }));
  expect(await response.json()).toMatchObject({ value: "word1 word2 word3 (hello)" });
  server.close();
});

test("a stream whose source fails is cut, so that nobody takes it for the end, and the fault is told", async () => {
  place = await openPlace();
  const faults: string[] = [];
  configure({ onFault: ({ message }) => faults.push(message) });
  const events: AsyncIterator<SentEvent> = {
    next: async () => {
      throw new Error("the disk is gone");
    },
  };
  const handler = toNodeHandler(({ signal }) =>
    eventResponse(events, { heartbeatMs: 60_000, signal, leave: () => {} }),
  );
  const server = createServer(handler);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  expect(response.status).toBe(200);
  await expect(response.text()).rejects.toThrow();
  expect(faults.join()).toContain("the disk is gone");
  server.close();
});

test("a handler that throws is answered for, and told of", async () => {
  place = await openPlace();
  const faults: string[] = [];
  configure({ onFault: ({ message }) => faults.push(message) });
  const server = createServer(
    toNodeHandler(() => {
      throw new Error("a mistake");
    }),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  expect(response.status).toBe(500);
  expect(await response.text()).toBe("");
  expect(faults.join()).toContain("a mistake");
  server.close();
});

test("HTTP/2 is served as well, and a stream that is cancelled stops its run", async () => {
  place = await openPlace({ maxBodyBytes: 1000 });
  // Its requests and responses are those of node:http in all that counts here.
  const serve = toNodeHandler(place.handler) as unknown as Parameters<typeof createHttp2Server>[1];
  const server = createHttp2Server({}, serve);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const ask = (body: string) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const stream = session.request({ ":path": "/runs", ":method": "POST", ...headers });
    stream.setEncoding("utf8").end(body);
    return stream;
  };
  const whole = ask(JSON.stringify(run("sync", "hello")));
  const text = (await Array.fromAsync(whole)).join("");
  expect(JSON.parse(text)).toMatchObject({ status: "completed", value: "word1 word2 word3 (hello)" });
  const large = ask("x".repeat(5000));
  expect((await Array.fromAsync(large)).join("")).toContain("body_too_large");
  const stream = ask(JSON.stringify(run("stream", "for ever", "second")));
  stream.on("error", () => {}); // it is cancelled below
  for await (const part of stream) if (String(part).includes("text-delta")) break;
  await until(async () => !(await activeRuns()).has("second"), "the run has ended");
  session.destroy();
  server.close();
});
