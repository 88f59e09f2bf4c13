// Runs in the background end as the same call would, with its options, once.

import {
  type CallOptions,
  configure,
  llmFunction,
  ModelError,
  OutputError,
  prompt,
  RunCancelledError,
  type RunRecord,
  runs,
  TimeoutError,
} from "llmethod";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { allEvents, checkLog } from "./checks.ts";
import { askOf, byTurn, calls, chatOf, hangs, modelOf, says, taskOf, toolOf, until } from "./models.ts";
import { storeKinds, usePlace } from "./place.ts";

describe.each(storeKinds)("a run in the background of the store %s", (kind) => {
  const place = usePlace(kind);

  async function checked(runId: string): Promise<RunRecord> {
    const record = await runs.wait(runId, { timeoutMs: 15_000 });
    checkLog(record, await allEvents(place.store, runId));
    return record;
  }

  test("gives the typed answer", async () => {
    const model = modelOf(() => says('{"n": 7, "words": ["a"]}'));
    const count = llmFunction({
      model,
      name: "count",
      returns: z.object({ n: z.number(), words: z.array(z.string()) }),
    })((_task: string, _options?: CallOptions) => prompt`Count`);
    const handle = await count.background("x");
    const answer: { n: number; words: string[] } = await handle.result();
    expect(answer).toEqual({ n: 7, words: ["a"] });
    expect(await checked(handle.runId)).toMatchObject({
      status: "completed",
      attempt: 1,
      outcome: { turns: 1 },
    });
  });

  test("throws what a call would throw, as far as JSON can tell it", async () => {
    const model = modelOf(() => says("no number"));
    const count = llmFunction({ model, name: "count", returns: z.number() })(
      (_task: string, _options?: CallOptions) => prompt`Count`,
    );
    const handle = await count.background("x");
    const error: unknown = await handle.result().catch((reason: unknown) => reason);
    const called: unknown = await count("x").catch((reason: unknown) => reason);
    if (!(called instanceof OutputError) || !(error instanceof Error)) throw new Error("no errors");
    expect(error).toMatchObject({ name: "OutputError", code: "invalid_output", message: called.message });
    expect(await checked(handle.runId)).toMatchObject({ status: "error", outcome: { turns: 3 } });
  });

  test("fails as its model does, with the causes", async () => {
    const model = modelOf(() => {
      throw new ModelError("permission", "No.", { cause: new Error("the reason") });
    });
    const { runId } = await askOf(model).background("x");
    const { outcome } = await checked(runId);
    expect(outcome?.error).toMatchObject({ name: "ModelError", code: "permission", message: "No." });
    expect(outcome?.error?.cause).toMatchObject({ message: "the reason" });
    for await (const event of runs.events(runId)) {
      if (event.type === "run-error") expect(event.error).toBeInstanceOf(Error);
    }
  });

  test("gives a chat's reply, also where it was stopped", async () => {
    const chat = chatOf(
      modelOf((request) => (taskOf(request) === "Hang" ? hangs("Once", request) : says("Hi."))),
    );
    const completed = await (await chat.background("Hello")).result();
    expect(completed).toMatchObject({ status: "completed", text: "Hi." });
    const handle = await chat.background("Hang", { history: completed.history });
    await until(async () => (await handle.get()).lastSeq >= 3);
    await handle.cancel("enough");
    const stopped = await handle.result();
    expect(stopped).toMatchObject({ status: "cancelled", text: "Once", runId: handle.runId });
    expect(stopped.history.slice(0, 2)).toEqual(completed.history);
    expect(stopped.history.at(-1)?.content).toBe("Once\n\n[stopped: enough]");
    await checked(handle.runId);
  });

  test("has the options of the call", async () => {
    const seen: unknown[] = [];
    const look = toolOf("look", ({ context, runId }) => void seen.push(context, runId));
    const model = modelOf(
      byTurn(
        () => says("unused"),
        () => calls("look"),
        () => says("Done."),
      ),
    );
    const ask = askOf(model, "ask", [look]);
    const history = [
      { role: "user" as const, content: "Before" },
      { role: "assistant" as const, content: "Then" },
    ];
    const options = { runId: "mine", history, context: { user: 7 }, metadata: { tag: "x" }, maxTurns: 2 };
    const handle = await ask.background("Why?", options);
    expect(await handle.result()).toBe("Done.");
    expect(seen).toEqual([{ user: 7 }, "mine"]);
    expect(model.requests[0]).toMatchObject({ metadata: { tag: "x" }, runId: "mine" });
    expect(model.requests[0]?.messages.slice(0, 2)).toEqual(history);
    const again = await ask.background("Why?", { ...options, runId: "other", maxTurns: 1 });
    expect((await checked(again.runId)).outcome?.error).toMatchObject({ name: "TurnLimitError" });
  });

  test("ends at its timeout, which says so", async () => {
    const ask = askOf(modelOf((request) => hangs("Once", request)));
    const handle = await ask.background("x", { timeout: { total: 150 } });
    const error: unknown = await handle.result({ timeoutMs: 10_000 }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RunCancelledError);
    const record = await checked(handle.runId);
    expect(record.outcome).toMatchObject({ status: "cancelled", cause: "timeout", text: "Once" });
    expect(record.outcome?.reason).toMatchObject({
      name: "TimeoutError",
      message: "the total timeout of 150 ms has passed",
    });
  });

  test("has no stop request where only its timeout has ended it", async () => {
    const ask = askOf(modelOf((request) => hangs("Once", request)));
    const { runId } = await ask.background("x", { timeout: { total: 100 } });
    const { stopRequest, outcome } = await checked(runId);
    expect(outcome?.cause).toBe("timeout");
    expect(stopRequest).toBeUndefined();
  });

  test("is told of once when it ends, with its record, and survives a listener that throws", async () => {
    const told: RunRecord[] = [];
    const ask = askOf(modelOf((request) => says(taskOf(request))));
    await place.worker([ask], {
      onRunEnd(record) {
        told.push(record);
        throw new Error(`listener of ${kind}`);
      },
    });
    const handles = [await ask.background("a"), await ask.background("b")];
    for (const handle of handles) await handle.wait();
    await until(() => told.length === 2);
    for (const { runId } of handles)
      expect(told.filter((one) => one.runId === runId)).toEqual([await runs.get(runId)]);
    expect(place.faults.map(({ message }) => message)).toEqual([`onRunEnd failed: listener of ${kind}`]);
  });

  test("waits for a worker elsewhere, where this process has none", async () => {
    configure({ worker: false });
    const ask = askOf(modelOf(() => says("Yes.")));
    const handle = await ask.background("x");
    await expect(handle.wait({ timeoutMs: 700 })).rejects.toBeInstanceOf(TimeoutError);
    expect((await handle.get()).status).toBe("pending");
    await place.worker([ask]);
    expect(await handle.result({ timeoutMs: 10_000 })).toBe("Yes.");
  });
});
