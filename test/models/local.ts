// Gives a test file one strict local server, a model that talks to it, and short ways to ask and to watch.

import type { Model, ModelEvent, ModelRequest, OpenAIOptions, RunEvent, RunStream } from "llmethod";
import { openai } from "llmethod";
import { afterAll, afterEach, beforeAll } from "vitest";
import { type OpenAiServer, type ServerOptions, startServer } from "../support/server.ts";

export interface Local {
  readonly server: OpenAiServer;
  /** Talks to the server; retries without noticeable waits. */
  model(options?: OpenAIOptions): Model;
}

/** Starts the server before the file's tests, and verifies and resets it after each. */
export function useServer(options: ServerOptions = {}): Local {
  let server: OpenAiServer | undefined;
  const started = (): OpenAiServer => {
    if (server === undefined) throw new Error("the server has not been started");
    return server;
  };
  beforeAll(async () => {
    server = await startServer(options);
  });
  afterEach(() => {
    try {
      started().verify();
    } finally {
      started().reset();
    }
  });
  afterAll(async () => {
    await server?.close();
  });
  return {
    get server() {
      return started();
    },
    model: (more = {}) =>
      openai("gpt-4.1-mini", {
        apiKey: "test",
        baseURL: started().url,
        maxRetries: { maxRetries: 2, baseDelayMs: 1 },
        ...more,
      }),
  };
}

export function requestTo(more: Partial<ModelRequest> = {}): ModelRequest {
  return {
    messages: [{ role: "user", content: "Hi" }],
    tools: [],
    toolChoice: "auto",
    abortSignal: new AbortController().signal,
    runId: "run",
    ...more,
  };
}

/** Everything that the model streams for one request. */
export async function ask(model: Model, more: Partial<ModelRequest> = {}): Promise<ModelEvent[]> {
  const events: ModelEvent[] = [];
  for await (const event of model.stream(requestTo(more))) events.push(event);
  return events;
}

export function textOf(events: readonly { readonly type: string; readonly delta?: string }[]): string {
  return events.map((event) => (event.type === "text-delta" ? event.delta : "")).join("");
}

/** All events of a run, to its end. */
export async function eventsOf<T>(stream: RunStream<T>): Promise<RunEvent<T>[]> {
  const events: RunEvent<T>[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

/** The events of one type. */
export function only<T, K extends RunEvent<T>["type"]>(
  events: readonly RunEvent<T>[],
  type: K,
): Extract<RunEvent<T>, { type: K }>[] {
  return events.filter((event): event is Extract<RunEvent<T>, { type: K }> => event.type === type);
}

/** What a promise rejects with; fails where it does not. */
export async function rejection(work: PromiseLike<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error("it did not reject");
}
