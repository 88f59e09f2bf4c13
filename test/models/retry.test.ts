// Retries: when they come, how long they wait, and that nothing is doubled by one.

import type { AddressInfo } from "node:net";
import { createServer, type Server } from "node:net";
import type { Model, ModelEvent } from "llmethod";
import { llmFunction, ModelError, openai, prompt, withRetry } from "llmethod";
import { describe, expect, it } from "vitest";
import { answer, cut, drop, httpError, sseError, text, toolCall } from "../support/server.ts";
import { ask, rejection, textOf, useServer } from "./local.ts";

const local = useServer();
const busy = (headers: Record<string, string> = {}) => httpError(503, { message: "busy" }, headers);

describe("a retry", () => {
  it("comes after a failure that may pass, and the answer is as if nothing had been", async () => {
    local.server.script(busy(), httpError(429, { message: "slow" }), answer(text("Hello")));
    expect(await llmFunction({ model: local.model() })(() => prompt`Hi`)()).toBe("Hello");
    expect(local.server.requests).toHaveLength(3);
  });

  it("sends the same request again", async () => {
    local.server.script(busy(), answer(text("Hello")));
    await ask(local.model());
    const [first, second] = local.server.requests;
    expect(second?.body).toEqual(first?.body);
  });

  it("comes no more than maxRetries times", async () => {
    local.server.script(busy(), busy(), busy());
    expect(await rejection(ask(local.model()))).toMatchObject({ code: "overloaded", status: 503 });
    expect(local.server.requests).toHaveLength(3);
  });

  it("is left out with maxRetries 0", async () => {
    local.server.script(busy());
    await rejection(ask(local.model({ maxRetries: 0 })));
    expect(local.server.requests).toHaveLength(1);
  });

  it.each([400, 401, 403, 404, 422])("never comes after a %d", async (status) => {
    local.server.script(httpError(status, { message: "no" }));
    await rejection(ask(local.model()));
    expect(local.server.requests).toHaveLength(1);
  });

  it("never comes after a quota that is used up", async () => {
    local.server.script(httpError(429, { message: "no", code: "insufficient_quota" }));
    expect(await rejection(ask(local.model()))).toMatchObject({ code: "quota" });
    expect(local.server.requests).toHaveLength(1);
  });

  it("comes where the connection is dropped before anything was said", async () => {
    local.server.script(answer(drop()), answer(text("Hello")));
    expect(textOf(await ask(local.model()))).toBe("Hello");
    expect(local.server.requests).toHaveLength(2);
  });

  it("comes where the first thing in the stream is an error", async () => {
    local.server.script(answer(sseError({ message: "overloaded" })), answer(text("Hello")));
    expect(textOf(await ask(local.model()))).toBe("Hello");
  });

  it("comes where the stream ends empty", async () => {
    local.server.script(answer(cut()), answer(text("Hello")));
    expect(await llmFunction({ model: local.model() })(() => prompt`Hi`)()).toBe("Hello");
    expect(local.server.requests).toHaveLength(2);
  });
});

describe("after the first visible event", () => {
  it.each([
    { name: "a drop", step: drop() },
    { name: "an error event", step: sseError({ message: "overloaded" }) },
    { name: "an early end", step: cut() },
  ])("$name is an error, and no text is doubled", async ({ step }) => {
    local.server.script(answer(text("Hel", "lo"), step));
    const run = llmFunction({ model: local.model() })(() => prompt`Hi`).stream();
    let streamed = "";
    const error = await rejection(
      (async () => {
        for await (const delta of run.textStream()) streamed += delta;
      })(),
    );
    expect(error).toBeInstanceOf(ModelError);
    expect(streamed).toBe("Hello");
    expect(await run.outcome).toMatchObject({ status: "error", text: "Hello" });
    expect(local.server.requests).toHaveLength(1);
  });

  it("a call whose arguments were seen is not asked for again", async () => {
    local.server.script(answer(toolCall({ id: "a", name: "find", arguments: '{"x"' }), drop()));
    await rejection(ask(local.model()));
    expect(local.server.requests).toHaveLength(1);
  });
});

describe("the wait before a retry", () => {
  it("doubles, with at most a quarter taken off", async () => {
    local.server.script(busy(), busy(), answer(text("ok")));
    await ask(local.model({ maxRetries: { baseDelayMs: 60 } }));
    const [first, second, third] = local.server.requests.map(({ at }) => at);
    const waits = [(second ?? 0) - (first ?? 0), (third ?? 0) - (second ?? 0)];
    expect(waits[0]).toBeGreaterThanOrEqual(44);
    expect(waits[1]).toBeGreaterThanOrEqual(89);
    expect(waits[1]).toBeLessThan(1000);
  });

  it("is the provider's where it says one", async () => {
    local.server.script(busy({ "retry-after-ms": "80" }), answer(text("ok")));
    await ask(local.model({ maxRetries: { baseDelayMs: 5000 } }));
    const [first, second] = local.server.requests.map(({ at }) => at);
    expect((second ?? 0) - (first ?? 0)).toBeGreaterThanOrEqual(79);
    expect((second ?? 0) - (first ?? 0)).toBeLessThan(2000);
  });

  it("is not taken where the provider asks for more than maxDelayMs", async () => {
    local.server.script(busy({ "retry-after": "3600" }));
    const error = await rejection(ask(local.model()));
    expect(error).toMatchObject({ retryAfterMs: 3_600_000 });
    expect(local.server.requests).toHaveLength(1);
  });

  it("ends at once when the request is aborted, and no request follows", async () => {
    local.server.script(busy({ "retry-after": "20" }));
    const controller = new AbortController();
    const reason = new Error("enough");
    const work = rejection(ask(local.model(), { abortSignal: controller.signal }));
    await (await local.server.arrival(0)).answered;
    setTimeout(() => controller.abort(reason), 20);
    const before = performance.now();
    expect(await work).toBe(reason);
    expect(performance.now() - before).toBeLessThan(1000);
    expect(local.server.requests).toHaveLength(1);
  });

  it("ends at once when the run is cancelled", async () => {
    local.server.script(busy({ "retry-after": "20" }));
    const run = llmFunction({ model: local.model() })(() => prompt`Hi`)();
    const outcome = run.outcome;
    await (await local.server.arrival(0)).answered;
    await new Promise((resolve) => setTimeout(resolve, 20));
    run.cancel("enough");
    expect(await outcome).toMatchObject({ status: "cancelled", reason: "enough", text: "" });
    await run.settled;
    expect(local.server.requests).toHaveLength(1);
  });
});

describe("a server that is not there", () => {
  async function freePort(): Promise<number> {
    const server: Server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }

  it("gives a connection error that names the base URL", async () => {
    const baseURL = `http://127.0.0.1:${await freePort()}/v1`;
    const model = openai("gpt-4.1-mini", { apiKey: "test", baseURL, maxRetries: { baseDelayMs: 1 } });
    const error = await rejection(ask(model));
    expect(error).toBeInstanceOf(ModelError);
    expect(error).toMatchObject({ code: "connection", retryable: true });
    expect((error as Error).message).toMatch(/base URL/);
    expect((error as Error).message).toMatch(/ECONNREFUSED|refused/i);
  });
});

describe("withRetry around any model", () => {
  function flaky(
    failures: number,
    error: Error,
    first: readonly ModelEvent[] = [],
  ): Model & { asked: number } {
    return {
      name: "flaky",
      asked: 0,
      async *stream() {
        if (this.asked++ < failures) {
          yield* first;
          throw error;
        }
        yield { type: "text-delta", delta: "ok" };
        yield { type: "finish", finishReason: "stop" };
      },
    };
  }
  const passing = () => new ModelError("server", "down", { retryable: true });

  it("keeps its name and tries again", async () => {
    const inner = flaky(2, passing());
    const model = withRetry(inner, { baseDelayMs: 1 });
    expect(model.name).toBe("flaky");
    expect(textOf(await ask(model))).toBe("ok");
    expect(inner.asked).toBe(3);
  });

  it("leaves every other error alone", async () => {
    const error = new Error("a bug");
    const inner = flaky(1, error);
    expect(await rejection(ask(withRetry(inner, { baseDelayMs: 1 })))).toBe(error);
    expect(inner.asked).toBe(1);
  });

  it("does not try again once an event was seen, whatever its kind", async () => {
    const inner = flaky(1, passing(), [{ type: "reasoning-delta", delta: "hm" }]);
    expect(await rejection(ask(withRetry(inner, { baseDelayMs: 1 })))).toBeInstanceOf(ModelError);
    expect(inner.asked).toBe(1);
  });
});
