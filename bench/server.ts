/**
 * A local server in a process of its own that speaks the Chat Completions API. The model's name says what it
 * does, and the number of tool results in the request where it stands:
 *
 * - `text-<deltas>-<per write>`: an answer; `object-<deltas>`: a JSON object that fits `Report`
 * - `rounds-<n>`: one tool call a turn, n times, then text; `parallel-<n>`: n calls in one turn, then text
 * - `first`: one delta at once, the others 5 ms later
 * - `mute`: no headers, ever; `stuck`: headers and one delta, then nothing
 * - `slow-text`, `slow-call`: a delta of text, or of a call's arguments, every 2 ms without an end
 */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { machineNow } from "./measure.ts";
import { report } from "./report-sample.ts";
import { argumentsChunk, callsAnswer, pieces, textAnswer, words, writes } from "./wire.ts";

/** What a model does: `first` and `second` stand in its name, `results` were counted in the request. */
interface Ask {
  readonly model: string;
  readonly first: string;
  readonly second: string;
  readonly results: number;
}

const behaviours: Record<string, (response: ServerResponse, ask: Ask) => void> = {
  text(response, { model, first, second }) {
    const make = () => writes(textAnswer(words(Number(first))), Number(second));
    send(response, rendered(model, make));
  },
  object(response, { model, first }) {
    send(
      response,
      whole(model, () => textAnswer(pieces(JSON.stringify(report), Number(first)))),
    );
  },
  rounds(response, { first, results }) {
    if (results >= Number(first)) send(response, lastAnswer());
    else
      send(
        response,
        whole(`round-${results}`, () => callsAnswer([call(results)])),
      );
  },
  parallel(response, { model, first, results }) {
    const calls = () => Array.from({ length: Number(first) }, (_, index) => call(index));
    if (results > 0) send(response, lastAnswer());
    else
      send(
        response,
        whole(model, () => callsAnswer(calls())),
      );
  },
  first(response) {
    const events = textAnswer(words(64));
    response.writeHead(200, headers);
    response.write(Buffer.concat(events.slice(0, 2)));
    setTimeout(() => response.end(Buffer.concat(events.slice(2))), 5);
  },
  mute() {},
  stuck(response) {
    response.writeHead(200, headers);
    response.write(Buffer.concat(textAnswer(words(1)).slice(0, 2)));
  },
  slow(response, { first }) {
    const isText = first === "text";
    const events = isText ? textAnswer(words(1)) : callsAnswer([call(0)]);
    response.writeHead(200, headers);
    response.write(Buffer.concat(events.slice(0, 2)));
    const delta = isText ? events[1] : argumentsChunk(0, "  ");
    const timer = setInterval(() => response.write(delta), 2);
    response.on("close", () => clearInterval(timer));
  },
};

const headers = {
  "content-type": "text/event-stream; charset=utf-8",
  "openai-processing-ms": "12",
  "openai-version": "2020-10-01",
  "x-request-id": "req_8c1f0a2b3d4e5f60718293a4b5c6d7e8",
};

let requests = 0;
/** When clients closed sockets before their answer was complete. */
const closes: number[] = [];
const cache = new Map<string, readonly Buffer[]>();

const server = createServer((request, response) => {
  if (request.url?.startsWith("/control/") === true) {
    control(request.url, response);
    return;
  }
  const body: Buffer[] = [];
  request.on("data", (part: Buffer) => body.push(part));
  request.on("end", () => answer(Buffer.concat(body), response));
});
server.keepAliveTimeout = 120_000;
server.on("connection", (socket) => socket.setNoDelay(true));
server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on("disconnect", () => process.exit());

function answer(body: Buffer, response: ServerResponse): void {
  requests++;
  response.on("close", () => {
    if (!response.writableEnded) closes.push(machineNow());
  });
  const model = /"model":"([^"]+)"/.exec(body.toString("latin1"))?.[1] ?? "";
  const [name = "", first = "", second = ""] = model.split("-");
  const behave = behaviours[name];
  if (behave !== undefined) {
    behave(response, { model, first, second, results: count(body, '"role":"tool"') });
    return;
  }
  response.writeHead(404, { "content-type": "application/json" });
  response.end(JSON.stringify({ error: { message: `no model ${model}`, code: "model_not_found" } }));
}

function call(index: number) {
  const id = `call_${String(index).padStart(24, "0")}`;
  return { id, input: { query: `question ${index}`, limit: 5 } };
}

function lastAnswer(): readonly Buffer[] {
  return whole("last", () => textAnswer(words(8)));
}

/** An answer in one write. */
function whole(key: string, make: () => readonly Buffer[]): readonly Buffer[] {
  return rendered(key, () => [Buffer.concat(make())]);
}

function rendered(key: string, make: () => readonly Buffer[]): readonly Buffer[] {
  const known = cache.get(key) ?? make();
  cache.set(key, known);
  return known;
}

/** Every buffer is a network write of its own, as soon as the one before it is on its way. */
function send(response: ServerResponse, buffers: readonly Buffer[]): void {
  response.writeHead(200, headers);
  let next = 0;
  const write = () => {
    const buffer = buffers[next++];
    if (response.destroyed || buffer === undefined) return;
    if (next === buffers.length) response.end(buffer);
    else if (response.write(buffer)) setImmediate(write);
    else response.once("drain", write);
  };
  write();
}

/** `/control/close/<n>`: answers once n early closes were seen, with the time of the n-th; `/control/counts`. */
function control(url: string, response: ServerResponse): void {
  const [, , what, number = "0"] = url.split("/");
  const giveUpAt = machineNow() + 3000;
  const look = () => {
    const isThere = what === "counts" || closes.length >= Number(number);
    if (!isThere && machineNow() < giveUpAt) setTimeout(look, 2);
    else
      response.end(
        JSON.stringify({ requests, closes: closes.length, at: closes[Number(number) - 1] ?? null }),
      );
  };
  look();
}

function count(body: Buffer, text: string): number {
  let found = 0;
  for (let at = body.indexOf(text); at >= 0; at = body.indexOf(text, at + text.length)) found++;
  return found;
}
