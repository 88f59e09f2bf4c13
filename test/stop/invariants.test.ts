// What holds for every stop, whoever stops and whatever the models and the tools do about it.

import { getEventListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { llmChat, type Model, prompt, RunCancelledError, type RunStream, tool } from "llmethod";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { chatOf, taskOf } from "./ask.ts";
import { checkInvariants, ended } from "./checks.ts";
import { aborted, calls, delta, finish, own, talks, thenWaits, waits } from "./own-models.ts";
import { loops, until } from "./stage.ts";
import { watchTimers } from "./timer-watch.ts";
import { ignores, obeys } from "./tools-told.ts";

const modes = ["awaited", "streamed"] as const;

describe("several stops in one tick", () => {
  const second: Record<string, (run: RunStream<unknown>, controller: AbortController) => void> = {
    "a second cancel": (run) => run.cancel("second"),
    "the signal": (_run, controller) => controller.abort("second"),
  };

  test.each(Object.keys(second))("the first reason wins over %s", async (name) => {
    const controller = new AbortController();
    const run = chatOf(waits())("Go", { abortSignal: controller.signal });
    await until(() => run.history.length === 2);
    run.cancel("first");
    second[name]?.(run, controller);
    const seen = await ended(run);
    expect(seen.outcome).toMatchObject({ status: "cancelled", cause: "cancel", reason: "first" });
    checkInvariants(seen);
  });

  test("a signal before a cancel keeps the signal's cause and reason", async () => {
    const controller = new AbortController();
    const run = chatOf(waits())("Go", { abortSignal: controller.signal });
    await until(() => run.history.length === 2);
    controller.abort("first");
    run.cancel("second");
    expect(await run.outcome).toMatchObject({ cause: "signal", reason: "first" });
  });

  test.each([0, 1, 2, 3, 4, 5])(
    "a stop and a timeout in about the same tick give one outcome (%i)",
    async () => {
      const controller = new AbortController();
      const run = chatOf(waits())("Go", { abortSignal: controller.signal, timeout: 20 });
      setTimeout(() => controller.abort("halt"), 20);
      const seen = await ended(run);
      expect(seen.outcome.status).toBe("cancelled");
      checkInvariants(seen);
    },
  );

  test.each(["stop first", "error first"])(
    "a stop and an error in one tick give one outcome: %s",
    async (order) => {
      const controller = new AbortController();
      let fail = (_error: Error) => {};
      const failed = new Promise<never>((_resolve, reject) => {
        fail = reject;
      });
      const model = own(async function* () {
        yield delta("Once");
        await failed;
      });
      const run = chatOf(model)("Go", { abortSignal: controller.signal });
      await until(() => run.history.length === 2);
      if (order === "error first") fail(new Error("broken"));
      controller.abort("halt");
      fail(new Error("broken"));
      const seen = await ended(run);
      expect(seen.outcome).toMatchObject({ status: "cancelled", reason: "halt", text: "Once" });
      checkInvariants(seen);
    },
  );

  test("a stop from a tool that fails in the same tick gives one outcome", async () => {
    const controller = new AbortController();
    const bad = tool({
      name: "bad",
      description: "Fails",
      execute: () => {
        controller.abort("halt");
        throw new Error("broken");
      },
    });
    const seen = await ended(chatOf(calls("bad", "bad"), [bad])("Go", { abortSignal: controller.signal }));
    expect(seen.outcome).toMatchObject({ status: "cancelled", reason: "halt", turns: 1 });
    checkInvariants(seen);
  });
});

describe("the reason of a stop", () => {
  const circular: { self?: unknown } = {};
  circular.self = circular;
  const endless = new Error("endless");
  endless.cause = endless;
  const reasons: Record<string, unknown> = {
    "a string": "the user pressed stop",
    "an empty string": "",
    "a string with half an emoji": "smile \ud83d",
    "an Error": new Error("halt"),
    "an Error with a cause": new TypeError("halt", { cause: new Error("why") }),
    "an Error that is its own cause": endless,
    "a DOMException": new DOMException("halt", "AbortError"),
    undefined: undefined,
    null: null,
    "a number": 0,
    "an object": { code: 7, by: "user" },
    "a circular object": circular,
    "a bigint": 7n,
  };

  test.each(Object.keys(reasons))("is kept by identity by run.cancel: %s", async (name) => {
    const reason = reasons[name];
    const run = taskOf(waits())("Go");
    await until(() => run.history.length === 2);
    run.cancel(reason);
    await checkReason(run, reason);
  });

  test.each(Object.keys(reasons))("is kept by identity by a signal: %s", async (name) => {
    const controller = new AbortController();
    const run = taskOf(waits())("Go", { abortSignal: controller.signal });
    await until(() => run.history.length === 2);
    controller.abort(reasons[name]);
    await checkReason(run, controller.signal.reason);
  });

  async function checkReason(run: RunStream<string> & PromiseLike<string>, reason: unknown): Promise<void> {
    const error = await run.then(
      () => undefined,
      (failure: unknown) => failure,
    );
    const seen = await ended(run);
    const { outcome, events } = seen;
    if (outcome.status !== "cancelled" || !(error instanceof RunCancelledError))
      throw new Error("not cancelled");
    expect(outcome.reason === reason).toBe(true);
    expect(error.cause === reason).toBe(true);
    checkInvariants(seen);
    expect(outcome.patches).toEqual([
      { kind: "text-truncated", partialText: "Once", reason: expect.stringMatching(/./) as unknown },
    ]);
    for (const carrier of [outcome, events.at(-1)]) {
      const json: unknown = JSON.parse(JSON.stringify(carrier));
      expect(json).toHaveProperty("reason");
      expect((json as { reason: unknown }).reason).toEqual(readable(reason));
    }
  }

  function readable(reason: unknown): unknown {
    if (reason instanceof Error)
      return expect.objectContaining({ name: reason.name, message: reason.message });
    if (reason === undefined || reason === circular || typeof reason === "bigint") return expect.any(String);
    return reason;
  }
});

describe("a model that is stopped", () => {
  const models: Record<string, Model> = {
    "ignores its signal": own(async function* () {
      yield delta("Once");
      await ignores();
    }),
    "ends quietly": waits(() => {}),
    "throws the reason": waits(),
    "throws an AbortError": waits(() => {
      throw new DOMException("This operation was aborted", "AbortError");
    }),
    "throws an error of its own": waits(() => {
      throw new Error("socket hang up");
    }),
    "goes on talking": own(async function* ({ abortSignal }) {
      yield delta("Once");
      await aborted(abortSignal);
      yield delta(" more");
      yield finish();
    }),
    "fails while it is left": leaving(() => Promise.reject(new Error("cannot leave"))),
    "throws while it is left": leaving(() => {
      throw new Error("cannot leave");
    }),
    "cannot be left": leaving(undefined),
  };

  /** An iterator without a generator around it. */
  function leaving(end: (() => Promise<IteratorResult<never>>) | undefined): Model {
    return own(() => ({
      [Symbol.asyncIterator]() {
        const steps = [delta("Once")];
        return {
          next: async () => {
            const value = steps.shift();
            return value === undefined ? ignores() : { value, done: false };
          },
          ...(end === undefined ? {} : { return: end }),
        };
      },
    }));
  }

  const plays = modes.flatMap((mode) => Object.keys(models).map((name) => [name, mode] as const));
  test.each(plays)("gives the same outcome where it %s, %s", async (name, mode) => {
    const model = models[name] ?? talks();
    const controller = new AbortController();
    const options = { abortSignal: controller.signal };
    const run: RunStream<unknown> =
      mode === "awaited" ? chatOf(model)("Go", options) : chatOf(model).stream("Go", options);
    await until(() => run.history.length === 2);
    controller.abort("halt");
    const seen = await ended(run);
    checkInvariants(seen);
    expect(seen.outcome).toMatchObject({
      status: "cancelled",
      cause: "signal",
      reason: "halt",
      text: "Once",
      turns: 1,
      history: [
        { role: "user", content: "Go" },
        { role: "assistant", content: "Once\n\n[stopped: halt]" },
      ],
      patches: [{ kind: "text-truncated", partialText: "Once", reason: "halt" }],
    });
    expect(seen.events.map(({ type }) => type)).toEqual([
      "run-start",
      "turn-start",
      "text-delta",
      "turn-end",
      "run-cancelled",
    ]);
  });
});

describe("what a run leaves behind", () => {
  const rejections: unknown[] = [];
  const warnings: Error[] = [];
  const noteRejection = (reason: unknown) => rejections.push(reason);
  const noteWarning = (warning: Error) => warnings.push(warning);

  beforeEach(() => {
    rejections.length = 0;
    warnings.length = 0;
    process.on("unhandledRejection", noteRejection).on("warning", noteWarning);
  });

  afterEach(async () => {
    await loops(5);
    process.off("unhandledRejection", noteRejection).off("warning", noteWarning);
    expect(rejections).toEqual([]);
    expect(warnings).toEqual([]);
  });

  test("is no unhandled rejection where a tool rejects after it was given up", async () => {
    const late = tool({
      name: "late",
      description: "Ignores the stop and fails later",
      execute: async () => {
        await sleep(80);
        throw new Error("too late");
      },
    });
    const run = chatOf(calls("late", "late"), [late], { abortGraceMs: 10 }).stream("Go");
    await until(() => run.history.length === 4);
    run.cancel("halt");
    const seen = await ended(run);
    checkInvariants(seen);
    expect(seen.outcome.patches).toMatchObject([{ state: "unknown" }, { state: "unknown" }]);
    let isSettled = false;
    run.settled.then(() => {
      isSettled = true;
    });
    await loops(2);
    expect(isSettled, "tools are still alive").toBe(false);
    await run.settled;
    await sleep(20);
  });

  test("is no unhandled rejection where nobody looks at a run that is streamed and fails", async () => {
    const model = own(() => {
      throw new Error("broken");
    });
    chatOf(model).stream("Go");
    chatOf(waits()).stream("Go").cancel("halt");
    chatOf(waits())("Go").cancel("halt");
    await sleep(20);
  });

  test("is no listener on the signal, however the run ended", async () => {
    const { signal } = new AbortController();
    const broken = own(() => {
      throw new Error("broken");
    });
    const ends = [talks("All."), broken, waits(), calls("none")];
    for (const model of ends) {
      const run = chatOf(model).stream("Go", { abortSignal: signal });
      setTimeout(() => run.cancel(), 10);
      checkInvariants(await ended(run));
      expect(getEventListeners(signal, "abort")).toEqual([]);
    }
    const bad = llmChat({ model: talks() })((_text: string, _options?: object) => "no prompt" as never);
    expect(() => bad("Go", { abortSignal: signal })).toThrow(/must return prompt/);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  test("is no listener on the signal after 1,000 runs, one by one and side by side", async () => {
    const { signal } = new AbortController();
    const chat = chatOf(talks("All."));
    for (let i = 0; i < 500; i++) await chat("Go", { abortSignal: signal });
    await Promise.all(Array.from({ length: 500 }, () => chat("Go", { abortSignal: signal })));
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  test("is nothing of 1,000 live runs on one signal, which all settle soon after its abort", async () => {
    const controller = new AbortController();
    const chat = chatOf(waits());
    const runs = Array.from({ length: 1000 }, () => chat("Go", { abortSignal: controller.signal }));
    await until(() => runs.every((run) => run.history.length === 2));
    const at = performance.now();
    controller.abort("halt");
    const replies = await Promise.all(runs);
    expect(performance.now() - at).toBeLessThan(2500);
    expect(replies.every(({ status, text }) => status === "cancelled" && text === "Once")).toBe(true);
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });

  test("is no timer, with every kind of timeout set and tools that were given up", async () => {
    const stuck = tool({ name: "stuck", description: "Never ends", execute: ignores });
    const minute = 60_000;
    const timeout = { total: minute, turn: minute, firstToken: minute, idle: minute, tool: minute };
    using watch = watchTimers();
    const fast = chatOf(talks("All."));
    await fast("Go", { timeout });
    for (const model of [waits(), calls("stuck")]) {
      const run = chatOf(model, [stuck], { abortGraceMs: 5 }).stream("Go", { timeout });
      await until(() => run.history.length >= 2);
      run.cancel("halt");
      checkInvariants(await ended(run));
    }
    const obedient = tool({
      name: "obedient",
      description: "Obeys",
      execute: (_input, context) => obeys(context),
    });
    const told = chatOf(calls("obedient"), [obedient], { abortGraceMs: minute }).stream("Go", { timeout });
    await until(() => told.history.length === 3);
    told.cancel("halt");
    checkInvariants(await ended(told));
    const quick = tool({ name: "quick", description: "Quick", execute: () => "found" });
    const later = chatOf(thenWaits("quick"), [quick], { abortGraceMs: minute }).stream("Go", { timeout });
    await until(() => later.history.length === 4);
    later.cancel("halt");
    checkInvariants(await ended(later));
    const deferred = llmChat({ model: talks() })((_text: string, _options?: object) => prompt(ignores));
    const waiting = deferred.stream("Go", { timeout });
    await loops(3);
    waiting.cancel("halt");
    await waiting.outcome;
    expect(watch.left).toEqual([]);
  });
});
