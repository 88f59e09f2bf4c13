/**
 * A local server that speaks OpenAI's chat completions, so that the demo runs its whole path (HTTP, SSE,
 * SDK, loop, tools) without an API key; it is no language model and says so.
 *
 * It stands on `node:http` and not on `@copilotkit/aimock`: aimock can compute a reply from the request, but
 * its stream goes on after the client has left (the timers of a long answer hold the process for seconds)
 * and its `stop()` waits for open streams. Here a stream ends with its client, and `close()` ends all.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { reply } from "./stand-in/reply.ts";
import { type ChatRequest, readRequest } from "./stand-in/request.ts";
import { chunksOf, completionOf, errorBody, modelList } from "./stand-in/wire.ts";

export interface StandIn {
  /** The base URL for a client: `http://127.0.0.1:PORT/v1`. */
  readonly url: string;
  /** Ends every connection at once and frees the port. */
  close(): Promise<void>;
}

/**
 * Starts the stand-in on a free port of 127.0.0.1. Any `Authorization` is accepted.
 *
 * `pace` is the pause between two deltas in milliseconds (12 by default, 0 for none).
 */
export async function startStandIn(options: { pace?: number } = {}): Promise<StandIn> {
  const pace = options.pace ?? 12;
  const server = createServer((request, response) => {
    serve(request, response, pace).catch((error: unknown) => {
      if (response.headersSent || response.destroyed) response.destroy();
      else sendJson(response, 500, errorBody(String(error), "server_error"));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  let closing: Promise<void> | undefined;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    close() {
      closing ??= new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      return closing;
    },
  };
}

async function serve(request: IncomingMessage, response: ServerResponse, pace: number): Promise<void> {
  const path = new URL(request.url ?? "/", "http://127.0.0.1").pathname;
  if (request.method === "GET" && path === "/v1/models") return sendJson(response, 200, modelList());
  if (request.method !== "POST" || path !== "/v1/chat/completions") {
    request.resume();
    return sendJson(response, 404, errorBody(`${request.method} ${path} is not known to the stand-in.`));
  }
  const body = await readBody(request);
  if (body === undefined) return;
  const chat = readRequest(body);
  if ("problem" in chat) return sendJson(response, 400, errorBody(chat.problem));
  if (!chat.stream) return sendJson(response, 200, completionOf(reply(chat), chat));
  await stream(chat, response, pace);
}

/** Sends the reply in small deltas; the client's leaving ends the pause in which it is noticed. */
async function stream(chat: ChatRequest, response: ServerResponse, pace: number): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  response.on("error", () => gone.abort());
  const answer = reply(chat);
  const pause = pace * ("text" in answer ? (answer.slowness ?? 1) : 1);
  response.writeHead(200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
  });
  response.flushHeaders();
  try {
    for (const chunk of chunksOf(answer, chat)) {
      if (pause > 0) await sleep(pause, undefined, { signal: gone.signal });
      if (gone.signal.aborted) return;
      response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    }
    response.end("data: [DONE]\n\n");
  } catch (error) {
    if (!gone.signal.aborted) throw error;
  }
}

/** The request's body, or `undefined` when the client left while it was still sending. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  try {
    for await (const part of request) parts.push(part as Buffer);
  } catch {
    return undefined;
  }
  return Buffer.concat(parts).toString("utf8");
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}
