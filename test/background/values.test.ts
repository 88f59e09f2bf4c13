// Answers whose values are no JSON: the run fails by that, and says so.

import { cancelRun, configure, llmFunction, MemoryRunStore, prompt, runs } from "llmethod";
import { scriptedModel } from "llmethod/testing";
import { afterEach, expect, test } from "vitest";
import { z } from "zod";
import { allEvents, checkLog } from "./checks.ts";

afterEach(() => runs.close());

test("a value without a JSON form ends its run as an error that says what to do", async () => {
  const store = new MemoryRunStore();
  configure({ store });
  const count = llmFunction({
    name: "count",
    model: scriptedModel(['{"many": "12"}']),
    returns: z.object({ many: z.string() }).transform(({ many }) => BigInt(many)),
  })((_what: string) => prompt`Count`);
  const handle = await count.background("bees");
  const record = await handle.wait({ timeoutMs: 5000 });
  expect(record.outcome?.error).toMatchObject({ name: "UsageError", code: "not_json" });
  await expect(handle.result()).rejects.toThrow(/no JSON form/);
  checkLog(record, await allEvents(store, handle.runId));
});

test("a date comes back as text, as JSON has it", async () => {
  configure({ store: new MemoryRunStore() });
  const when = llmFunction({
    name: "when",
    model: scriptedModel(['{"day": "2026-11-21"}']),
    returns: z.object({ day: z.string() }).transform(({ day }) => new Date(day)),
  })((_what: string) => prompt`When`);
  expect(await (await when.background("bees")).result()).toBe("2026-11-21T00:00:00.000Z");
});

test("a completed run without a value gives none, as the call does", async () => {
  configure({ store: new MemoryRunStore() });
  const act = llmFunction({
    name: "act",
    model: scriptedModel(["{}"]),
    returns: z.object({}).transform(() => undefined),
  })((_what: string) => prompt`Act`);
  expect(await (await act.background("x")).result()).toBeUndefined();
});

test("a run whose function has no model fails with a log that is whole", async () => {
  const store = new MemoryRunStore();
  configure({ store });
  const handle = await llmFunction({ name: "bare", model: () => undefined as never })(
    (_what: string) => prompt`Go`,
  ).background("x");
  const record = await handle.wait({ timeoutMs: 5000 });
  expect(record.outcome?.error).toMatchObject({ code: "missing_model" });
  checkLog(record, await allEvents(store, handle.runId));
  expect((await allEvents(store, handle.runId)).map(({ type }) => type)).toEqual(["run-start", "run-error"]);
});

test("cancelRun says true of a stored run that it has stopped here, however fast that was", async () => {
  configure({ store: new MemoryRunStore() });
  const wait = llmFunction({ name: "wait", model: scriptedModel([{ text: "So", hang: true }]) })(
    (_what: string) => prompt`Go`,
  );
  const handle = await wait.background("x");
  for await (const { type } of handle.events()) if (type === "text-delta") break;
  expect(await cancelRun(handle.runId, "enough")).toBe(true);
  expect((await handle.wait({ timeoutMs: 5000 })).status).toBe("cancelled");
  expect(await cancelRun(handle.runId)).toBe(false);
});
