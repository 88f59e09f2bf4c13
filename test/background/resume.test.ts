// Taking up runs that were cancelled or that failed: from the last whole turn, with one end in the log.

import { cancelRun, configure, ModelError, type RunRecord, runs, startWorker } from "llmethod";
import { describe, expect, test } from "vitest";
import { allEvents, checkLog } from "./checks.ts";
import {
  type Answering,
  askOf,
  byTurn,
  calls,
  chatOf,
  hangs,
  modelOf,
  says,
  toolOf,
  until,
} from "./models.ts";
import { storeKinds, usePlace } from "./place.ts";

/** One answer the first time, another from then on. */
function firstThen(first: Answering, then: Answering): Answering {
  let count = 0;
  return (request) => (count++ === 0 ? first : then)(request);
}

const failing: Answering = () => {
  throw new ModelError("bad_request", "No.");
};

describe.each(storeKinds)("a resumed run of the store %s", (kind) => {
  const place = usePlace(kind);

  async function checked(runId: string): Promise<RunRecord> {
    const record = await runs.wait(runId, { timeoutMs: 15_000 });
    checkLog(record, await allEvents(place.store, runId));
    return record;
  }

  const has = (runId: string, wanted: string) =>
    until(async () => (await allEvents(place.store, runId)).some(({ type }) => type === wanted));

  test("that had failed goes on behind its last whole turn, and repeats no tool", async () => {
    let looks = 0;
    const look = toolOf("look", () => `look ${++looks}`);
    const model = modelOf(
      byTurn(
        () => calls("look"),
        firstThen(failing, () => says("Done.")),
      ),
    );
    const handle = await askOf(model, "ask", [look]).background("Why?");
    expect((await checked(handle.runId)).outcome).toMatchObject({ status: "error", turns: 2 });
    const again = await runs.resume(handle.runId);
    expect(await again.result({ timeoutMs: 10_000 })).toBe("Done.");
    const record = await checked(handle.runId);
    expect(record).toMatchObject({ status: "completed", attempt: 2, outcome: { turns: 2 } });
    expect([looks, model.requests.length]).toEqual([1, 3]);
    expect(model.requests[2]?.messages).toEqual(model.requests[1]?.messages);
  });

  test("that was cancelled in its text says it again, and the reader is told", async () => {
    const chat = chatOf(
      modelOf(
        firstThen(
          (request) => hangs("Once", request),
          () => says("Twice."),
        ),
      ),
    );
    const handle = await chat.background("Hello");
    await has(handle.runId, "text-delta");
    await handle.cancel("enough");
    expect(await handle.result()).toMatchObject({ status: "cancelled", text: "Once" });
    await runs.resume(handle.runId);
    const reply = await handle.result({ timeoutMs: 10_000 });
    expect(reply).toMatchObject({ status: "completed", text: "Twice.", patches: [] });
    expect(reply.history).toHaveLength(2);
    const record = await checked(handle.runId);
    expect(record.stopRequest).toBeUndefined();
    const types = (await allEvents(place.store, handle.runId)).map(({ type }) => type);
    expect(types.filter((type) => type === "run-resumed").length).toBeGreaterThan(0);
    expect(types.filter((type) => type === "run-cancelled")).toEqual([]);
  });

  test.each(["obeys", "ignores"])(
    "that was cancelled in a tool that %s ends that turn, and goes on",
    async (how) => {
      const executed: string[] = [];
      const wait = toolOf("wait", ({ abortSignal, callId }) => {
        executed.push(callId);
        return new Promise((_, reject) => {
          if (how === "obeys") abortSignal.addEventListener("abort", () => reject(abortSignal.reason));
        });
      });
      const model = modelOf(
        byTurn(
          () => calls("wait"),
          () => says("Done."),
        ),
      );
      const handle = await askOf(model, "ask", [wait]).background("Why?");
      await has(handle.runId, "tool-start");
      await handle.cancel("enough");
      await checked(handle.runId);
      await runs.resume(handle.runId);
      expect(await handle.result({ timeoutMs: 10_000 })).toBe("Done.");
      const record = await checked(handle.runId);
      expect(record.outcome).toMatchObject({
        turns: 2,
        patches: [{ kind: "call-cancelled", toolName: "wait" }],
      });
      expect(executed).toEqual(["call_1"]);
      expect(model.requests).toHaveLength(2);
    },
  );

  test("that was cancelled before it began begins", async () => {
    configure({ worker: false });
    const ask = askOf(modelOf(() => says("Done.")));
    const handle = await ask.background("Why?");
    await handle.cancel("enough");
    await runs.resume(handle.runId);
    expect((await handle.get()).status).toBe("pending");
    await startWorker({ functions: [ask], signals: false });
    expect(await handle.result({ timeoutMs: 10_000 })).toBe("Done.");
    await checked(handle.runId);
  });

  test.each(["waited", "ran", "had ended"])(
    "is not hit by the cancelRun that came when it %s",
    async (when) => {
      const model = modelOf(
        firstThen(when === "ran" ? (request) => hangs("Once", request) : failing, () => says("Done.")),
      );
      const ask = askOf(model);
      if (when === "waited") configure({ worker: false });
      const handle = await ask.background("Why?");
      if (when === "ran") await has(handle.runId, "text-delta");
      if (when === "had ended") await handle.wait();
      await cancelRun(handle.runId, "enough", { wait: true });
      if (when === "waited") await place.worker([askOf(modelOf(() => says("Done.")))]);
      await runs.resume(handle.runId);
      expect(await handle.result({ timeoutMs: 10_000 })).toBe("Done.");
    },
  );

  test("can be stopped and resumed again and again", async () => {
    const model = modelOf((request) => hangs("Once", request));
    const handle = await askOf(model).background("Why?");
    for (let attempt = 1; attempt <= 3; attempt++) {
      await until(async () => (await handle.get()).attempt === attempt && model.requests.length === attempt);
      await handle.cancel(`reason ${attempt}`);
      const record = await checked(handle.runId);
      expect(record).toMatchObject({ attempt, outcome: { reason: `reason ${attempt}` } });
      if (attempt < 3) await runs.resume(handle.runId);
    }
  });

  test("that was given up gets new attempts", async () => {
    configure({ worker: false });
    const ask = askOf(modelOf(() => says("Done.")));
    const handle = await ask.background("Why?");
    for (let attempt = 1; attempt <= 2; attempt++) {
      const taken = await place.store.claim(handle.runId, "a worker that gives up");
      if (taken.kind === "claimed") await place.store.release(taken.claim);
    }
    await place.worker([ask], { maxAttempts: 2 });
    await expect(handle.result()).rejects.toMatchObject({ name: "GaveUpError", code: "gave_up" });
    await checked(handle.runId);
    await runs.resume(handle.runId);
    expect(await handle.result({ timeoutMs: 10_000 })).toBe("Done.");
  });

  test("must have been cancelled or have failed", async () => {
    const handle = await askOf(modelOf(() => says("Done."))).background("Why?");
    await handle.wait();
    await expect(runs.resume(handle.runId)).rejects.toMatchObject({ code: "invalid_option" });
    await expect(runs.resume("nobody")).rejects.toMatchObject({ code: "unknown_run" });
  });
});
