// The trailing options of a call: told from ordinary arguments by their keys, and still passed to the body.
import {
  type CallOptions,
  llmFunction,
  type ModelRequest,
  prompt,
  type Run,
  tool,
  withTimeout,
} from "llmethod";
import { beforeEach, describe, expect, test } from "vitest";
import { answer, hang, text, toolCall } from "../support/server.ts";
import { useServer } from "./use-server.ts";

const place = useServer();
const { model } = place;
let given: readonly unknown[] = [];

beforeEach(() => {
  given = [];
  place.server.handle(() => answer(text("done")));
});

class Asker {
  @llmFunction({ model })
  ask(...args: readonly unknown[]): Run<string> {
    given = args;
    return prompt`${args.length} arguments`;
  }

  @llmFunction({ model })
  about(question: string, options: CallOptions = {}): Run<string> {
    return prompt`${question} for ${String(options.context)}`;
  }
}

const asker = new Asker();

describe("the call options", () => {
  test("are the last argument, and the body gets them too", async () => {
    const options = { runId: "run-1", context: { user: "Ada" } };
    const run = asker.ask("Why?", options);
    expect(run.runId).toBe("run-1");
    await run;
    expect(given).toEqual(["Why?", options]);
    expect(given[1]).toBe(options);
  });

  test("can be used by the body", async () => {
    await asker.about("Why?", { context: "Ada" });
    expect(place.lastContent()).toBe("Why? for Ada");
  });

  test("may be all that is passed", async () => {
    expect((await asker.ask({ runId: "run-2" }).outcome).runId).toBe("run-2");
  });

  test("may have no prototype", async () => {
    const options: object = Object.assign(Object.create(null), { runId: "run-3" });
    expect(asker.ask.stream(options).runId).toBe("run-3");
  });

  test("may leave any of them undefined", async () => {
    const options = {
      abortSignal: undefined,
      timeout: undefined,
      runId: undefined,
      history: undefined,
      context: undefined,
      maxTurns: undefined,
      metadata: undefined,
    };
    expect(await asker.ask("Why?", options)).toBe("done");
  });

  test("are no options unless they stand last", async () => {
    const run = asker.ask({ runId: "run-4" }, "Why?");
    expect(run.runId).not.toBe("run-4");
    await run;
  });

  test("may be frozen, and are not changed", async () => {
    const options = Object.freeze({ runId: "run-5", history: Object.freeze([]) });
    expect(await asker.ask("Why?", options)).toBe("done");
  });

  test("carry metadata to the model", async () => {
    let seen: unknown;
    const watching = llmFunction({
      model: {
        name: "watching",
        stream(request: ModelRequest) {
          seen = request.metadata;
          return model.stream(request);
        },
      },
    })((_options?: CallOptions) => prompt`Go.`);
    await watching({ metadata: { user: "Ada", tags: ["a"] } });
    expect(seen).toEqual({ user: "Ada", tags: ["a"] });
  });
});

describe("an ordinary last argument", () => {
  class Options {
    readonly runId = "from a class";
  }

  test.each([
    ["a plain object with another key", { runId: "no", topic: "cats" }],
    ["a plain object with other keys only", { topic: "cats", depth: 3 }],
    ["an empty object", {}],
    ["a class instance with the keys of options", new Options()],
    ["a list", [{ runId: "no" }]],
    ["a map", new Map([["runId", "no"]])],
    ["null", null],
    ["a function", () => ({ runId: "no" })],
  ])("that is %s is left alone", async (_what, argument) => {
    const run = asker.ask("Why?", argument);
    expect(run.runId).toMatch(/^[0-9a-f]{8}-/);
    await run;
    expect(given[1]).toBe(argument);
  });

  test("that is a tool's context is left alone", async () => {
    let input: unknown;
    const outer = llmFunction({
      model,
      toolkit: [
        tool({
          name: "ask",
          description: "Ask",
          execute: (given, context) => {
            input = given;
            return asker.ask(context);
          },
        }),
      ],
    })((_options?: CallOptions) => prompt`Go.`);
    place.server.script(answer(toolCall({ id: "call_1", name: "ask", arguments: "{}" })));
    await outer({ runId: "outer", context: { runId: "not this one" } });
    expect(input).toEqual({});
    expect(given[0]).toMatchObject({ runId: "outer", callId: "call_1" });
  });
});

describe("withTimeout", () => {
  test("limits any LLM function, keeps it bound, and can be streamed", async () => {
    place.server.script(answer(hang()), answer(hang()));
    const quick = withTimeout(asker.about, 30);
    const outcome = await quick("Why?").outcome;
    expect(outcome).toMatchObject({
      status: "cancelled",
      cause: "timeout",
      reason: { which: "total", ms: 30 },
    });
    expect(await quick.stream("Why?").outcome).toMatchObject({ status: "cancelled", cause: "timeout" });
    expect(place.lastContent()).toBe("Why? for undefined");
  });

  test("gives way to the call's own timeout", async () => {
    place.server.script(answer(hang()));
    const slow = withTimeout(asker.about, { total: 60_000, idle: 60_000 });
    const outcome = await slow("Why?", { timeout: 20 }).outcome;
    expect(outcome).toMatchObject({ reason: { which: "total", ms: 20 } });
  });

  test("may be put around what it gave", async () => {
    place.server.script(answer(hang()));
    const quick = withTimeout(withTimeout(asker.about, { idle: 20 }), 60_000);
    expect(await quick("Why?").outcome).toMatchObject({ reason: { which: "idle" } });
  });

  test("keeps the function's name", () => {
    expect(withTimeout(asker.about, 30).name).toBe("about");
  });
});
