// Streams that break: each way ends as one typed error that holds what was received.

import { llmFunction, ModelError, prompt } from "llmethod";
import { describe, expect, it } from "vitest";
import {
  type Answer,
  answer,
  checkpoint,
  cut,
  drop,
  finish,
  raw,
  sseError,
  text,
  toolCall,
} from "../support/server.ts";
import { ask, eventsOf, only, rejection, requestTo, textOf, useServer } from "./local.ts";

const local = useServer();
const say = () => llmFunction({ model: local.model({ maxRetries: 0 }) })(() => prompt`Hi`);

async function broken(script: Answer) {
  local.server.script(script);
  const outcome = await say()().outcome;
  if (outcome.status !== "error") throw new Error(`the run ended as ${outcome.status}`);
  expect(outcome.error).toBeInstanceOf(ModelError);
  return { ...outcome, error: outcome.error as ModelError };
}

describe("a stream that breaks", () => {
  it("by a dropped connection is a connection error with the text so far", async () => {
    const { error, text: said } = await broken(answer(text("Hel", "lo"), drop()));
    expect(error).toMatchObject({ code: "connection", retryable: true });
    expect(said).toBe("Hello");
    expect(error.text).toBe("Hello");
  });

  it("by an early end is a stream error with the text so far", async () => {
    const { error, text: said } = await broken(answer(text("Hel", "lo"), cut()));
    expect(error).toMatchObject({ code: "stream", retryable: true, text: "Hello" });
    expect(said).toBe("Hello");
  });

  it("by an error event keeps the text that came before it", async () => {
    const door = checkpoint();
    setTimeout(door.open, 30);
    const event = sseError({ message: "the engine died", code: "server_error" });
    const { error, text: said } = await broken(answer(text("Hel", "lo"), door.step, event));
    expect(error).toMatchObject({
      code: "server",
      providerCode: "server_error",
      retryable: true,
      text: "Hello",
    });
    expect(error.message).toContain("the engine died");
    expect(said).toBe("Hello");
  });

  it("by an error event in the same packet keeps the text that came before it", async () => {
    const delta = JSON.stringify({ choices: [{ index: 0, delta: { content: "Hello" } }] });
    const event = JSON.stringify({ error: { message: "the engine died", type: "server_error" } });
    const { error, text: said } = await broken(answer(raw(`data: ${delta}\n\ndata: ${event}\n\n`)));
    expect(error.text).toBe("Hello");
    expect(said).toBe("Hello");
  });

  it.each([
    { detail: { message: "too fast", code: 429 }, code: "rate_limit" },
    { detail: { message: "too long", code: "context_length_exceeded" }, code: "context_length" },
    { detail: { message: "no idea" }, code: "stream" },
    { detail: "just text", code: "stream" },
  ])("by the error $detail reads as $code", async ({ detail, code }) => {
    const { error } = await broken(answer(raw(`data: ${JSON.stringify({ error: detail })}\n\n`)));
    expect(error.code).toBe(code);
  });

  it("by something that is no JSON is a stream error with the text so far", async () => {
    const door = checkpoint();
    setTimeout(door.open, 30);
    const { error, text: said } = await broken(answer(text("Hello"), door.step, raw("data: {oops\n\n")));
    expect(error).toMatchObject({ code: "stream", text: "Hello" });
    expect(said).toBe("Hello");
  });

  it("by a page of HTML says to check the base URL", async () => {
    const { error } = await broken(async ({ response }) => {
      response.writeHead(200, { "content-type": "text/html" });
      response.end("<html><body>Sign in first</body></html>");
    });
    expect(error.code).toBe("not_found");
    expect(error.message).toMatch(/web page.*base URL/);
  });

  it("by a JSON body that is cut off is a stream error", async () => {
    const { error } = await broken(async ({ response }) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end('{"choices": [{"mess');
    });
    expect(error.code).toBe("stream");
  });

  it("keeps the history whole, with one end for each start", async () => {
    local.server.script(answer(text("Hel"), toolCall({ id: "a", name: "find", arguments: '{"x' }), drop()));
    const stream = say().stream();
    const events = await eventsOf(stream);
    expect(only(events, "turn-start")).toHaveLength(1);
    expect(only(events, "turn-end")).toMatchObject([{ finishReason: "error" }]);
    expect(events.at(-1)?.type).toBe("run-error");
    const { history, patches } = await stream.outcome;
    expect(history).toHaveLength(2);
    expect(history[1]).not.toHaveProperty("tool_calls");
    expect(patches.map(({ kind }) => kind)).toEqual(["text-truncated", "call-dropped"]);
  });
});

describe("a stream that is slow to end", () => {
  it("is over once it says [DONE], though the connection stays open", async () => {
    local.server.handle(() => answer(text("Hello"), finish("stop"), () => new Promise<void>(() => {})));
    const before = performance.now();
    const run = say()();
    expect(await run).toBe("Hello");
    await run.settled;
    expect(performance.now() - before).toBeLessThan(1500);
    local.server.reset();
  });

  it("gives an aborted request's reason, and closes the socket", async () => {
    const door = checkpoint();
    local.server.script(answer(text("Hello"), door.step));
    const controller = new AbortController();
    const reason = { why: "enough" };
    let seen = "";
    const work = rejection(
      (async () => {
        const request = { abortSignal: controller.signal };
        for await (const event of local.model().stream(requestTo(request))) seen += textOf([event]);
      })(),
    );
    await door.reached;
    controller.abort(reason);
    await work;
    const { closed } = await local.server.arrival(0);
    expect((await closed).early).toBe(true);
    expect(local.server.requests).toHaveLength(1);
    expect(["", "Hello"]).toContain(seen);
  });

  it("hands out nothing after the request was aborted before it began", async () => {
    const abortSignal = AbortSignal.abort(new Error("never"));
    await rejection(ask(local.model(), { abortSignal }));
    expect(local.server.requests).toHaveLength(0);
  });
});
