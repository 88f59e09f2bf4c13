/** Lets a handler of requests and responses serve `node:http`, and with it Express, Fastify and others. */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { runtime } from "../runtime.ts";
import { bodyOf } from "./node-body.ts";

export type FetchHandler = (request: Request) => Response | Promise<Response>;
export type NodeHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** How long a client may go on sending what nobody reads, before its connection is cut, in ms. */
const lingerMs = 1000;
/** How long a connection is silent before it is asked whether it is still there, in ms. */
const keepAliveMs = 30_000;

/**
 * The handler for `node:http`: the client's leaving aborts `request.signal`, the response is written at the pace at which
 * the client reads, nothing is collected. Behind a body parser of Express it takes what that has parsed.
 *
 * @example
 * import { createServer } from "node:http";
 * const handler = createHandler({ functions: [analyst], token: "a long random secret" });
 * createServer(toNodeHandler(handler)).listen(8080);
 */
export function toNodeHandler(handler: FetchHandler): NodeHandler {
  return (incoming, outgoing) => {
    serve(handler, incoming, outgoing).catch((error) => {
      // A client that leaves ends the writing with an error, which is no news.
      if (!outgoing.destroyed) runtime.report("An HTTP request could not be answered", error);
      // What has begun must not look like a whole answer.
      if (outgoing.headersSent) outgoing.destroy();
      else outgoing.writeHead(500).end();
    });
  };
}

async function serve(
  handler: FetchHandler,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  // A client that has vanished without a word is noticed also while nothing is sent to it.
  if (isHttp1(incoming)) incoming.socket.setKeepAlive(true, keepAliveMs);
  const address = addressOf(incoming);
  if (address === undefined) {
    outgoing.writeHead(400, { "content-type": "text/plain", connection: "close" });
    outgoing.end("The address or the Host header of this request cannot be read.\n");
    return;
  }
  const body = bodyOf(incoming);
  const request = new Request(address, {
    method: incoming.method ?? "GET",
    headers: headersOf(incoming),
    signal: gone.signal,
    ...(body === undefined ? {} : { body, duplex: "half" }),
  });
  // Holds on to the request: its signal is no longer told of anything once the request is collected.
  const leave = () => {
    if (!outgoing.writableFinished && !request.signal.aborted) {
      gone.abort(new Error("The client closed the connection."));
    }
  };
  outgoing.once("close", leave);
  outgoing.on("error", leave);
  if (outgoing.destroyed) leave();
  const response = await handler(request);
  await write(response, incoming, outgoing);
}

async function write(response: Response, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const reader = response.body?.getReader();
  if (outgoing.destroyed) {
    await reader?.cancel();
    return;
  }
  const leave = () => {
    reader?.cancel().catch(() => {}); // what breaks off with the client interests nobody
  };
  outgoing.once("close", leave);
  // A request whose body was not read to its end leaves a connection that cannot be used again.
  const isUnread = !incoming.complete;
  outgoing.writeHead(response.status, {
    ...Object.fromEntries(response.headers),
    ...(response.headers.has("set-cookie") ? { "set-cookie": response.headers.getSetCookie() } : {}),
    ...(isUnread && isHttp1(incoming) ? { connection: "close" } : {}),
  });
  outgoing.flushHeaders();
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
    if (done || outgoing.destroyed) break;
    if (!outgoing.write(value)) await drained(outgoing);
  }
  if (!outgoing.destroyed) outgoing.end();
  if (isUnread) setTimeout(() => incoming.destroy(), lingerMs).unref();
}

/** Resolves when the client has taken what was written, or is gone. */
async function drained(outgoing: ServerResponse): Promise<void> {
  const settled = new AbortController();
  const { signal } = settled;
  try {
    await Promise.race([once(outgoing, "drain", { signal }), once(outgoing, "close", { signal })]);
  } finally {
    settled.abort();
  }
}

/** In HTTP/2 a connection is not for one request to speak of. */
function isHttp1({ httpVersionMajor }: IncomingMessage): boolean {
  return httpVersionMajor === 1;
}

/** Routers that are mounted below a path cut it off, and keep the whole in `originalUrl`. */
function addressOf(incoming: IncomingMessage & { originalUrl?: string }): string | undefined {
  const protocol = "encrypted" in incoming.socket && incoming.socket.encrypted === true ? "https" : "http";
  const host = incoming.headers[":authority"] ?? incoming.headers.host ?? "localhost";
  const path = incoming.originalUrl ?? incoming.url ?? "/";
  const address = `${protocol}://${host}${path.startsWith("/") ? path : `/${path}`}`;
  return URL.canParse(address) ? address : undefined;
}

function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? "";
    if (!name.startsWith(":")) headers.append(name, rawHeaders[index + 1] ?? "");
  }
  return headers;
}
