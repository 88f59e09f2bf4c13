// Serves a few functions over real HTTP, on a store of its own, and puts everything away afterwards.

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type CallOptions,
  configure,
  llmChat,
  llmFunction,
  MemoryRunStore,
  type Model,
  prompt,
  type RunStore,
} from "llmethod";
import { createHandler, type HandlerOptions, toNodeHandler } from "llmethod/server";
import { workersOf } from "../../src/worker.ts";

export const token = "open-sesame";

/** What the models of this process have seen. */
export const seen = { requests: 0, aborts: 0, deltas: 0 };

/** Says what it was asked, word by word; "for ever" goes on until it is stopped, "badly" fails. */
const model: Model = {
  name: "parrot",
  async *stream({ messages, abortSignal }) {
    seen.requests++;
    const content = messages.at(-1)?.content;
    const question = typeof content === "string" ? content : JSON.stringify(content);
    if (question.includes("badly")) throw new Error("the parrot has a cold");
    const size = Number(/(\d+) words/.exec(question)?.[1] ?? 3);
    const isEndless = question.includes("for ever");
    const pauseMs = isEndless ? 5 : 0;
    try {
      for (let count = 1; isEndless || count <= size; count++) {
        if (pauseMs > 0) await sleep(pauseMs, undefined, { signal: abortSignal });
        seen.deltas++;
        yield {
          type: "text-delta",
          delta: question.includes("large") ? `${"x".repeat(1000)} ` : `word${count} `,
        };
      }
    } catch (error) {
      if (abortSignal.aborted) seen.aborts++;
      throw error;
    }
    yield { type: "text-delta", delta: `(${question})` };
    yield { type: "finish", finishReason: "stop" };
  },
};

export const say = llmFunction({ model, name: "say" })(
  (what: string, _options?: CallOptions) => prompt`${what}`,
);
export const talk = llmChat({ model, name: "talk" })(
  (_message: string, _options?: CallOptions) => prompt`You are a parrot.`,
);

export interface Place extends AsyncDisposable {
  /** The address of the runs. */
  readonly url: string;
  readonly handler: (request: Request) => Promise<Response>;
  /** How many connections there are. */
  connections(): Promise<number>;
  /** Cuts every connection. */
  cut(): void;
}

export async function openPlace(
  options: Partial<HandlerOptions> = {},
  store: RunStore = new MemoryRunStore(),
): Promise<Place> {
  configure({ store });
  const handler = createHandler({ functions: [say, talk], token, ...options });
  const server = createServer(toNodeHandler(handler));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    handler,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${options.basePath ?? "/runs"}`,
    connections: () =>
      new Promise((resolve, reject) => {
        server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
      }),
    cut: () => server.closeAllConnections(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      for (const worker of workersOf(store)) await worker.stop({ drainMs: 0 });
      await store.close();
    },
  };
}

interface Sent {
  readonly path?: string;
  /** Makes it a POST. */
  readonly body?: unknown;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export function requestTo(url: string, { path = "", body, method, headers, signal }: Sent = {}): Request {
  return new Request(url + path, {
    method: method ?? (body === undefined ? "GET" : "POST"),
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** The events of a response, each with its id; ends with the stream. */
export async function* eventsIn(
  response: Response,
): AsyncGenerator<{ id: string; data: { type: string; seq: number; [key: string]: unknown } }> {
  let text = "";
  for await (const part of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    text += part;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const block = text.slice(0, end);
      text = text.slice(end + 2);
      const id = /^id: (.*)$/m.exec(block)?.[1];
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (id !== undefined && data !== undefined) yield { id, data: JSON.parse(data) };
    }
  }
}

/** Resolves when it is so; fails where that takes too long. */
export async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`It did not come to it that ${what}.`);
    await sleep(10);
  }
}
