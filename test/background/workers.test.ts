// What a worker is started with, what it refuses, and how it leaves; stops that come from within a run.

import {
  cancelRun,
  configure,
  MemoryRunStore,
  type RunRecord,
  runs,
  startWorker,
  UsageError,
  type WorkerOptions,
} from "llmethod";
import { describe, expect, test } from "vitest";
import { allEvents, checkLog } from "./checks.ts";
import { askOf, byTurn, calls, chatOf, hangs, modelOf, says, toolOf, until } from "./models.ts";
import { usePlace } from "./place.ts";

const place = usePlace("memory");
const model = modelOf(() => says("Done."));

describe("a worker", () => {
  test.each<[string, object, string]>([
    ["no functions", { functions: [] }, "invalid_option"],
    ["functions that are no list", { functions: askOf(model) }, "invalid_option"],
    ["an object without LLM functions", { functions: [{ a: 1, b: () => 2 }] }, "unknown_function"],
    ["two functions of one name", { functions: [askOf(model), askOf(model)] }, "invalid_option"],
    ["an unknown option", { functions: [askOf(model)], paralel: 4 }, "invalid_option"],
    ["a concurrency of 0", { functions: [askOf(model)], concurrency: 0 }, "invalid_option"],
    ["a negative drain limit", { functions: [askOf(model)], drainMs: -1 }, "invalid_option"],
    ["maxAttempts that are no number", { functions: [askOf(model)], maxAttempts: "3" }, "invalid_option"],
    ["limits of an unknown kind", { functions: [askOf(model)], limits: { perUser: 1 } }, "invalid_option"],
    ["a limit of 0 for each key", { functions: [askOf(model)], limits: { perKey: 0 } }, "invalid_option"],
    ["an end listener that is no function", { functions: [askOf(model)], onRunEnd: "log" }, "invalid_option"],
  ])("refuses %s", async (_what, options, code) => {
    const error: unknown = await startWorker(options as WorkerOptions).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UsageError);
    expect(error).toMatchObject({ code });
    expect(() => configure({ worker: { concurrency: 0 } })).toThrow(UsageError);
  });

  test("finds functions in objects, their properties and by themselves", async () => {
    const group = { ask: askOf(model), chat: chatOf(model), other: 7 };
    const worker = await place.worker([group, askOf(model, "own")]);
    expect(worker.functionNames).toEqual(["ask", "chat", "own"]);
    const handles = [await group.ask.background("x"), await group.chat.background("y")];
    for (const handle of handles) expect((await handle.wait()).status).toBe("completed");
  });

  test("works on a store of its own", async () => {
    const store = new MemoryRunStore();
    const ask = askOf(model);
    await using worker = await startWorker({ functions: [ask], store, signals: false });
    const input = { args: ["x"], options: {} };
    await store.create({ runId: "r", functionName: "ask", input, priority: 0 });
    await until(async () => (await store.get("r"))?.status === "completed");
    expect(worker.active).toBe(0);
    expect(await runs.get("r")).toBeUndefined();
  });

  test("leaves once, gives back what it has, and says when it is done", async () => {
    const ask = askOf(modelOf((request) => hangs("Once", request)));
    const worker = await place.worker([ask]);
    const handle = await ask.background("x");
    await until(async () => (await handle.get()).lastSeq >= 3);
    expect(worker.active).toBe(1);
    await Promise.all([worker.stop({ drainMs: 50 }), worker.stop(), worker[Symbol.asyncDispose]()]);
    expect(worker.active).toBe(0);
    expect(await handle.get()).toMatchObject({ status: "pending", attempt: 1 });
    await handle.cancel();
    const record = await handle.get();
    expect(record.status).toBe("cancelled");
    checkLog(record, await allEvents(place.store, handle.runId));
  });
});

describe("a tool", () => {
  const stops: Record<string, (runId: string) => Promise<unknown>> = {
    "runs.cancel": (runId) => runs.cancel(runId, "enough"),
    cancelRun: (runId) => cancelRun(runId, "enough"),
    "cancelRun, and waits": (runId) => cancelRun(runId, "enough", { wait: true }),
  };

  test.each(Object.keys(stops))("may stop its own run by %s", async (how) => {
    const stop = toolOf("stop", async ({ runId, abortSignal }) => {
      await stops[how]?.(runId);
      await new Promise<void>((resolve) => {
        if (abortSignal.aborted) resolve();
        abortSignal.addEventListener("abort", () => resolve(), { once: true });
      });
      return "stopped";
    });
    const stopping = modelOf(byTurn(() => calls("stop")));
    const handle = await askOf(stopping, "ask", [stop]).background("x");
    const record: RunRecord = await handle.wait({ timeoutMs: 5000 });
    expect(record.outcome).toMatchObject({
      status: "cancelled",
      reason: "enough",
      cause: "cancel",
      turns: 1,
    });
    checkLog(record, await allEvents(place.store, handle.runId));
  });
});
