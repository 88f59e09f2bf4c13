// Is the OpenAI API on a local port: it judges every request strictly and answers as the test has scripted.

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type Answer, httpError } from "./answer.ts";
import { type ChatRequest, ClientGone, type Closing, Exchange } from "./exchange.ts";
import { notKnownHere, unauthorized, unexpected, unparsable, wrongAddress } from "./refused.ts";
import { refusalOf } from "./strict-request.ts";

export * from "./answer.ts";
export type { ChatRequest, Closing } from "./exchange.ts";
export { type Refusal, refusalOf } from "./strict-request.ts";
export { noUsage, type UsageOverride } from "./usage.ts";
export * from "./waits.ts";

export interface ServerOptions {
  /** Parameters that an older compatible server does not know: answered with 400, and no problem of ours. */
  readonly refuse?: readonly string[];
  /** Writes as few pieces as the script's waits allow, for benches. */
  readonly coalesce?: boolean;
}

export interface RecordedRequest {
  readonly body: ChatRequest;
  readonly headers: IncomingMessage["headers"];
  /** `performance.now()` when the whole request had come. */
  readonly at: number;
  /** Resolves when the script has been played, to its end or until the client left. */
  readonly answered: Promise<void>;
  readonly closed: Promise<Closing>;
}

export type Handler = (request: ChatRequest, index: number) => Answer;

export async function startServer(options: ServerOptions = {}): Promise<OpenAiServer> {
  const http = createServer({ keepAliveTimeout: 60_000 });
  const server = new OpenAiServer(http, options);
  http.listen({ host: "127.0.0.1", port: 0, backlog: 4096 });
  await once(http, "listening");
  return server;
}

/** What a test has seen and scripted since the last reset. */
class Log {
  readonly requests: RecordedRequest[] = [];
  readonly problems: string[] = [];
  readonly queue: Answer[] = [];
  readonly arrivals: (() => void)[] = [];
  handler: Handler | undefined;
  earlyCloses = 0;
}

export class OpenAiServer implements AsyncDisposable {
  readonly #http: Server;
  readonly #options: ServerOptions;
  readonly #sockets = new Set<Socket>();
  readonly #live = new Set<Exchange>();
  #log = new Log();

  constructor(http: Server, options: ServerOptions) {
    this.#http = http;
    this.#options = options;
    http.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    http.on("request", (request, response) => void this.#take(request, response));
  }

  /** To be used as `baseURL`. */
  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}/v1`;
  }

  get requests(): readonly RecordedRequest[] {
    return this.#log.requests;
  }

  get problems(): readonly string[] {
    return this.#log.problems;
  }

  /** How many answers the client has cut off. */
  get earlyCloses(): number {
    return this.#log.earlyCloses;
  }

  get openSockets(): number {
    return this.#sockets.size;
  }

  /** Every request takes the next answer. */
  script(...answers: readonly Answer[]): void {
    this.#log.queue.push(...answers);
  }

  /** Answers the requests for which nothing is scripted; `index` is that in `requests`. */
  handle(handler: Handler): void {
    this.#log.handler = handler;
  }

  /** Resolves when the request with this index has come, or at once if it is there. */
  async arrival(index = 0): Promise<RecordedRequest> {
    const log = this.#log;
    for (;;) {
      const found = log.requests[index];
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => log.arrivals.push(resolve));
    }
  }

  /** Throws where a request was refused or not expected, or a scripted answer was not asked for. */
  verify(): void {
    const { problems, queue } = this.#log;
    const unused = queue.length > 0 ? [`${queue.length} scripted answer(s) unused`] : [];
    const all = [...problems, ...unused];
    if (all.length > 0) throw new Error(`The OpenAI server has seen problems:\n- ${all.join("\n- ")}`);
  }

  /** Forgets everything, and cuts what is still being answered. */
  reset(): void {
    this.#log = new Log();
    for (const exchange of this.#live) exchange.drop();
  }

  async close(): Promise<void> {
    for (const exchange of this.#live) exchange.drop();
    const closed = [...this.#sockets].map((socket) => once(socket, "close"));
    for (const socket of this.#sockets) socket.destroy();
    if (this.#http.listening) {
      closed.push(once(this.#http, "close"));
      this.#http.close();
    }
    await Promise.all(closed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const log = this.#log;
    response.on("error", () => {});
    const body = await bodyOf(request).catch(() => undefined);
    if (body === undefined) return; // gone before it had asked
    const parsed = parse(body);
    const exchange = new Exchange(parsed as ChatRequest, response, this.#options.coalesce === true);
    this.#live.add(exchange);
    const answer = this.#answerTo(request, parsed, log);
    const answered = this.#play(answer, exchange, log);
    log.requests.push({
      body: exchange.request,
      headers: request.headers,
      at: performance.now(),
      answered,
      closed: exchange.closed,
    });
    for (const arrived of log.arrivals.splice(0)) arrived();
    const { early } = await exchange.closed;
    this.#live.delete(exchange);
    if (early) log.earlyCloses++;
  }

  #answerTo(request: IncomingMessage, body: unknown, log: Log): Answer {
    const problem = wrongAddress(request) ?? unauthorized(request) ?? unparsable(body);
    const old = problem === undefined ? notKnownHere(body, this.#options.refuse ?? []) : undefined;
    if (old !== undefined) return httpError(400, old);
    const refusal = problem === undefined ? refusalOf(body) : undefined;
    const next = problem ?? (refusal === undefined ? undefined : { status: 400, error: refusal });
    if (next !== undefined) {
      log.problems.push(next.error.message);
      return httpError(next.status, next.error);
    }
    const scripted = log.queue.shift();
    if (scripted !== undefined) return scripted;
    const [handler, index] = [log.handler, log.requests.length];
    if (handler !== undefined) return async (exchange) => handler(exchange.request, index)(exchange);
    const { status, error } = unexpected(body as ChatRequest);
    log.problems.push(error.message);
    return httpError(status, error);
  }

  async #play(answer: Answer, exchange: Exchange, log: Log): Promise<void> {
    try {
      await answer(exchange);
    } catch (error) {
      if (error instanceof ClientGone) return;
      log.problems.push(`a scripted answer failed: ${error}`);
      exchange.drop();
    }
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  request.setEncoding("utf8");
  let body = "";
  for await (const part of request) body += part;
  return body;
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
