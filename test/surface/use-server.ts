// Gives each test a strict local OpenAI server and a model that talks to it, and judges the requests afterwards.
import type { ChatMessage, ContentPart, Model } from "llmethod";
import { openai } from "llmethod";
import { afterEach, beforeEach } from "vitest";
import { type OpenAiServer, startServer } from "../support/server.ts";

/** The server and the model of the test that runs now. */
export interface Place {
  readonly server: OpenAiServer;
  readonly model: Model;
  /** What the model was asked, message by message, in the request with this index. */
  messages(index?: number): ChatMessage[];
  /** The content of the last message of the request with this index. */
  lastContent(index?: number): string | ContentPart[] | unknown;
  /** The names of the tools that the request with this index offers. */
  toolNames(index?: number): string[];
}

export function useServer(): Place {
  let server: OpenAiServer;
  beforeEach(async () => {
    server = await startServer();
  });
  afterEach(async () => {
    try {
      server.verify();
    } finally {
      await server.close();
    }
  });
  // One model for all tests: the server's address is asked for at each request.
  const model: Model = {
    name: "gpt-test",
    stream: (request) =>
      openai("gpt-test", { apiKey: "sk-test", baseURL: server.url, maxRetries: 0 }).stream(request),
  };
  const body = (index: number) => {
    const request = server.requests[index];
    if (request === undefined) throw new Error(`The server has seen ${server.requests.length} requests.`);
    return request.body;
  };
  return {
    model,
    get server() {
      return server;
    },
    messages: (index = 0) => body(index).messages,
    lastContent: (index = 0) => body(index).messages.at(-1)?.content,
    toolNames: (index = 0) =>
      (body(index).tools ?? []).map((tool) => (tool.type === "function" ? tool.function.name : "")),
  };
}
