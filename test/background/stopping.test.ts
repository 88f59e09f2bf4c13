// Stopping runs in the background: while they wait, while they run, after they have ended, and before they are there.

import { cancelRun, configure, RunCancelledError, type RunRecord, runs } from "llmethod";
import { describe, expect, test } from "vitest";
import { allEvents, checkLog } from "./checks.ts";
import { askOf, byTurn, calls, chatOf, hangs, modelOf, says, toolOf, until } from "./models.ts";
import { storeKinds, usePlace } from "./place.ts";

describe.each(storeKinds)("a stop of a run in the store %s", (kind) => {
  const place = usePlace(kind);
  const speaking = () => modelOf((request) => hangs("Once upon", request));

  async function checked(runId: string): Promise<RunRecord> {
    const record = await runs.wait(runId, { timeoutMs: 15_000 });
    checkLog(record, await allEvents(place.store, runId));
    return record;
  }

  /** Its model has spoken. */
  async function spoken(runId: string): Promise<void> {
    await until(async () => (await allEvents(place.store, runId)).some(({ type }) => type === "text-delta"));
  }

  describe.each(["runs.cancel", "cancelRun", "handle.cancel"] as const)("by %s", (by) => {
    const cancel = (runId: string, reason?: unknown) =>
      by === "cancelRun" ? cancelRun(runId, reason) : runs.cancel(runId, reason);

    test("while it waits ends it at once, without a worker and without a request", async () => {
      configure({ worker: false });
      const model = speaking();
      const handle = await askOf(model).background("Why?");
      const found = by === "handle.cancel" ? handle.cancel("enough") : cancel(handle.runId, "enough");
      expect(await found).toBe(true);
      const record = await handle.get();
      expect(record).toMatchObject({
        status: "cancelled",
        outcome: { cause: "cancel", reason: "enough", turns: 0 },
      });
      await checked(handle.runId);
      await place.worker([askOf(model)]);
      await expect(handle.result()).rejects.toMatchObject({ name: "AbortError", cause: "enough", text: "" });
      expect(model.requests).toEqual([]);
    });

    test("while it runs keeps its text, with a note and a patch", async () => {
      const handle = await askOf(speaking()).background("Why?");
      await spoken(handle.runId);
      expect(await cancel(handle.runId, "enough")).toBe(true);
      const record = await checked(handle.runId);
      expect(record.outcome).toMatchObject({
        status: "cancelled",
        cause: "cancel",
        reason: "enough",
        text: "Once upon",
        patches: [{ kind: "text-truncated", partialText: "Once upon", reason: "enough" }],
      });
      expect(record.outcome?.history.at(-1)).toEqual({
        role: "assistant",
        content: "Once upon\n\n[stopped: enough]",
      });
      const error: unknown = await handle.result().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(RunCancelledError);
      expect(error).toMatchObject({ runId: handle.runId, text: "Once upon", cause: "enough" });
    });

    test("counts the first time only, and is false after the end", async () => {
      const handle = await askOf(speaking()).background("Why?");
      await spoken(handle.runId);
      const both = await Promise.all([cancel(handle.runId, "first"), cancel(handle.runId, "second")]);
      expect(both).toEqual([true, true]);
      expect((await checked(handle.runId)).outcome?.reason).toBe("first");
      expect(await cancel(handle.runId, "third")).toBe(false);
      const done = await askOf(modelOf(() => says("Done."))).background("Why?");
      expect((await done.wait()).status).toBe("completed");
      expect(await cancel(done.runId, "late")).toBe(false);
      expect(await done.get()).toMatchObject({ status: "completed" });
      expect((await done.get()).stopRequest).toBeUndefined();
    });

    test("is kept for an id that comes later, which then ends without a request", async () => {
      expect(await cancel("later", { code: 7 })).toBe(false);
      const model = speaking();
      const handle = await askOf(model).background("Why?", { runId: "later" });
      const record = await checked(handle.runId);
      expect(record).toMatchObject({
        status: "cancelled",
        outcome: { cause: "cancel", reason: { code: 7 }, turns: 0 },
      });
      expect(model.requests).toEqual([]);
    });
  });

  test("that came before the run ends it as soon as it is there, without a worker, whatever its delay", async () => {
    configure({ worker: false });
    await runs.cancel("later", "enough");
    const handle = await askOf(speaking()).background("Why?", { runId: "later", delayMs: 60_000 });
    expect((await handle.get()).status).toBe("cancelled");
    await checked(handle.runId);
  });

  test("waits for the final record, wherever the run is", async () => {
    configure({ worker: false });
    const ask = askOf(speaking());
    const waiting = await ask.background("Why?");
    expect(await cancelRun(waiting.runId, "enough", { wait: true })).toEqual(await waiting.get());
    expect(await cancelRun("unknown", "enough", { wait: true })).toBe(false);
    await place.worker([ask]);
    const running = await ask.background("Why?");
    await spoken(running.runId);
    const record = await cancelRun(running.runId, "enough", { wait: true, by: "tester" });
    expect(record).toEqual(await running.get());
    expect(record).toMatchObject({ status: "cancelled", stopRequest: { reason: "enough", by: "tester" } });
  });

  test("carries its reason through JSON: an error stays readable, and none stays none", async () => {
    const ask = askOf(speaking());
    const handles = [await ask.background("a"), await ask.background("b"), await ask.background("c")];
    for (const { runId } of handles) await spoken(runId);
    const reasons = [new TypeError("gone", { cause: "net" }), undefined, 7n];
    for (const [index, handle] of handles.entries()) await handle.cancel(reasons[index]);
    const outcomes = await Promise.all(handles.map(async ({ runId }) => (await checked(runId)).outcome));
    expect(outcomes[0]?.reason).toEqual({ name: "TypeError", message: "gone", cause: "net" });
    expect(outcomes[1]).not.toHaveProperty("reason");
    expect(outcomes[2]?.reason).toBe("7");
  });

  test("reaches a tool at work, whose call is settled", async () => {
    const wait = toolOf(
      "wait",
      ({ abortSignal }) =>
        new Promise((_, reject) => {
          abortSignal.addEventListener("abort", () => reject(abortSignal.reason), { once: true });
        }),
    );
    const waiting = askOf(modelOf(byTurn(() => calls("wait"))), "waiting", [wait]);
    const { runId, cancel } = await waiting.background("Why?");
    await until(async () => (await allEvents(place.store, runId)).some(({ type }) => type === "tool-start"));
    await cancel("enough");
    const record = await checked(runId);
    expect(record.outcome?.patches).toMatchObject([
      { kind: "call-cancelled", toolName: "wait", state: "stopped" },
    ]);
  });

  test("of a chat that waits gives the reply that a call would give", async () => {
    configure({ worker: false });
    const chat = chatOf(speaking());
    const history = [
      { role: "user" as const, content: "Before" },
      { role: "assistant" as const, content: "Then" },
    ];
    const { signal: abortSignal } = new AbortController();
    const called = chat.stream("Hello", { history, abortSignal });
    called.cancel("enough");
    const { text, history: kept } = await called.outcome;
    const handle = await chat.background("Hello", { history });
    await handle.cancel("enough");
    expect((await checked(handle.runId)).outcome).toMatchObject({ text, history: kept });
    expect(await handle.result()).toMatchObject({
      status: "cancelled",
      text: "",
      history: kept,
      runId: handle.runId,
    });
  });
});
