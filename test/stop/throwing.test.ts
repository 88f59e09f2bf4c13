// User code that throws where it should not: every run still ends, with one outcome and nothing left behind.

import { getEventListeners } from "node:events";
import {
  activeRuns,
  type CallOptions,
  configure,
  llmChat,
  llmFunction,
  type Model,
  prompt,
  type Run,
  tool,
} from "llmethod";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { chatOf } from "./ask.ts";
import { checkInvariants, ended } from "./checks.ts";
import { calls, delta, own, talks, waits } from "./own-models.ts";
import { loops, until } from "./stage.ts";

const boom = new Error("boom");
const throws = (): never => {
  throw boom;
};

let faults: Error[] = [];
const rejections: unknown[] = [];
const noteRejection = (reason: unknown) => rejections.push(reason);

beforeEach(() => {
  faults = [];
  configure({ onFault: (fault) => faults.push(fault) });
  process.on("unhandledRejection", noteRejection);
});

afterEach(async () => {
  configure({ stopNote: (reason) => `[stopped: ${reason}]` });
  await loops(5);
  process.off("unhandledRejection", noteRejection);
  expect(rejections.splice(0)).toEqual([]);
  expect(await activeRuns()).toEqual(new Map());
});

describe("a callback that throws ends the run as an error", () => {
  type Ask = (message: string, options?: CallOptions) => Run<unknown>;
  const model = talks('{"n":1}');
  const unfit = z.object({ n: z.number() }).refine(throws);
  const asks: Record<string, Ask> = {
    "the prompt's body": llmChat({ model })((_m: string, _o?: CallOptions) => throws()),
    "an async prompt": llmChat({ model })((_m: string, _o?: CallOptions) => prompt(async () => throws())),
    "the toolkit's function": llmChat({ model, toolkit: throws })(
      (_m: string, _o?: CallOptions) => prompt`Hi`,
    ),
    "the model's function": llmChat({ model: throws })((_m: string, _o?: CallOptions) => prompt`Hi`),
    "the check of the answer": llmFunction({ model, returns: unfit })(
      (m: string, _o?: CallOptions) => prompt`${m}`,
    ),
    "the model at its call": chatOf(own(throws)),
    "the model's iterator": chatOf(own(() => ({ [Symbol.asyncIterator]: throws }))),
    "the model's first step": chatOf(own(() => ({ [Symbol.asyncIterator]: () => ({ next: throws }) }))),
    "the model in its stream": chatOf(
      own(async function* () {
        yield delta("Once");
        throws();
      }),
    ),
  };

  test.each(Object.keys(asks))("%s", async (name) => {
    const { signal } = new AbortController();
    const stream = asks[name]?.stream("Go", { abortSignal: signal });
    if (stream === undefined) throw new Error("no such case");
    const seen = await ended(stream);
    checkInvariants(seen);
    expect(seen.outcome.status === "error" && seen.outcome.error === boom).toBe(true);
    expect(getEventListeners(signal, "abort")).toEqual([]);
    await expect(asks[name]?.("Go")).rejects.toBe(boom);
  });

  test.each(Object.keys(asks))("%s, and a run with the same id can begin at once", async (name) => {
    for (let i = 0; i < 2; i++) {
      const attempt = async () => await asks[name]?.("Go", { runId: "again" });
      await expect(attempt()).rejects.toBe(boom);
    }
  });
});

describe("a tool that misbehaves", () => {
  const circular = Object.create(null) as { self?: unknown };
  circular.self = circular;
  const wild = {
    toJSON: throws,
    toString: throws,
  };
  const executes: Record<string, () => unknown> = {
    "throws an error": throws,
    "throws nothing": () => {
      throw undefined;
    },
    "throws null": () => {
      throw null;
    },
    "throws a circular object without a prototype": () => {
      throw circular;
    },
    "throws an object that cannot be written": () => {
      throw wild;
    },
    "rejects with an object that cannot be written": () => Promise.reject(wild),
    "returns a circular object": () => circular,
    "returns an object that cannot be written": () => wild,
    "returns an object whose getter throws": () => ({
      get type() {
        return throws();
      },
    }),
    "returns a bigint": () => 7n,
    "returns a promise whose then throws": () => ({
      // biome-ignore lint/suspicious/noThenProperty: that is what is tested
      then: throws,
    }),
    "is a generator that throws": function* () {
      yield 1;
      throws();
    },
    "is a generator that yields what is no JSON": function* () {
      yield 7n;
    },
  };

  test.each(Object.keys(executes))("has a result all the same where it %s", async (name) => {
    const bad = tool({ name: "bad", description: "Misbehaves", execute: () => executes[name]?.() });
    const run = chatOf(calls("bad", "bad"), [bad]).stream("Go", { timeout: 2000 });
    const seen = await ended(run);
    checkInvariants(seen);
    expect(seen.outcome).toMatchObject({ status: "completed", text: "Done." });
    const ends = seen.events.filter(({ type }) => type === "tool-end");
    expect(ends).toMatchObject([{ status: "error" }, { status: "error" }]);
  });

  test("ends with the run where the check of its input throws", async () => {
    const bad = tool({
      name: "bad",
      description: "Bad",
      input: z.object({}).refine(throws),
      execute: () => 1,
    });
    const seen = await ended(chatOf(calls("bad"), [bad]).stream("Go", { timeout: 2000 }));
    checkInvariants(seen);
    expect(seen.outcome.status).not.toBe("cancelled");
  });
});

describe("a hook that throws", () => {
  const stopped = async (model: Model = waits()) => {
    const run = chatOf(model).stream("Go");
    await until(() => run.status === "running" && run.history.length === 2);
    run.cancel("halt");
    return ended(run);
  };

  test("stopNote: the default note stands, and the fault is told", async () => {
    configure({ stopNote: throws });
    const seen = await stopped();
    checkInvariants(seen);
    expect(seen.outcome.history.at(-1)).toEqual({ role: "assistant", content: "Once\n\n[stopped: halt]" });
    expect(faults).toHaveLength(1);
    expect(faults[0]?.message).toContain("boom");
    expect(faults[0]?.cause).toBe(boom);
  });

  test("stopNote that gives half an emoji leaves a history that can be sent", async () => {
    configure({ stopNote: () => "[halt \ud83d]" });
    checkInvariants(await stopped());
  });

  test("onFault: the run ends, and a warning tells of it", async () => {
    const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
    configure({
      stopNote: () => {
        throw new Error("another fault");
      },
      onFault: throws,
    });
    const seen = await stopped();
    checkInvariants(seen);
    expect((await warned).message).toMatch(/onFault/);
  });

  test("the reader's own loop: its error comes out, and the run is cancelled as left", async () => {
    const stream = chatOf(waits()).stream("Go");
    const read = async () => {
      for await (const event of stream) if (event.type === "text-delta") throws();
    };
    await expect(read()).rejects.toBe(boom);
    const seen = await ended(stream);
    checkInvariants(seen);
    expect(seen.outcome).toMatchObject({ status: "cancelled", cause: "consumer" });
  });
});
