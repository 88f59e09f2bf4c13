// Runs whose code has changed or is wrong: they end, as an error where they must, and never hang.

import { type CallOptions, configure, llmFunction, prompt, type RunRecord, runs } from "llmethod";
import { expect, test } from "vitest";
import { z } from "zod";
import { allEvents, checkLog } from "./checks.ts";
import { type Ask, askOf, byTurn, calls, hangs, modelOf, says, toolOf, until } from "./models.ts";
import { usePlace } from "./place.ts";

const place = usePlace("memory");

async function checked(runId: string): Promise<RunRecord> {
  const record = await runs.wait(runId, { timeoutMs: 10_000 });
  checkLog(record, await allEvents(place.store, runId));
  return record;
}

/** Begins the run with one version, and hands it over to the other when it has told of an event. */
async function handOver(before: Ask, after: Ask, at: string): Promise<RunRecord> {
  configure({ worker: false });
  const { runId } = await before.background("x");
  const first = await place.worker([before]);
  await until(async () => (await allEvents(place.store, runId)).some(({ type }) => type === at));
  await first.stop({ drainMs: 0 });
  await place.worker([after]);
  return checked(runId);
}

test("a tool that the new version has not is an error that its model reads", async () => {
  const wait = toolOf(
    "wait",
    ({ abortSignal }) =>
      new Promise((_, reject) => {
        abortSignal.addEventListener("abort", () => reject(abortSignal.reason), { once: true });
      }),
    true,
  );
  const model = modelOf(
    byTurn(
      () => calls("wait"),
      () => says("Done."),
    ),
  );
  const record = await handOver(askOf(model, "ask", [wait]), askOf(model), "tool-start");
  expect(record).toMatchObject({ status: "completed", outcome: { value: "Done." } });
  expect(record.outcome?.history.find(({ role }) => role === "tool")).toBeDefined();
});

test("a new prompt, model and type are those of the runs that go on with them", async () => {
  const before = askOf(modelOf((request) => hangs("Once", request)));
  const model = modelOf(() => says('{"n": 7}'));
  const after = llmFunction({ model, name: "ask", returns: z.object({ n: z.number() }) })(
    (task: string, _options?: CallOptions) => prompt`New: ${task}`,
  );
  const record = await handOver(before, after as unknown as Ask, "text-delta");
  expect(record).toMatchObject({ status: "completed", outcome: { value: { n: 7 } } });
});

test.each<[string, () => Ask, object]>([
  [
    "whose body throws",
    () =>
      llmFunction({ model: modelOf(() => says("unused")), name: "ask" })(
        (_task: string, _options?: CallOptions) => {
          throw new RangeError("too far");
        },
      ),
    { name: "RangeError", message: "too far" },
  ],
  [
    "whose body is no prompt",
    () =>
      llmFunction({ model: modelOf(() => says("unused")), name: "ask" })(
        ((_task: string) => 7) as unknown as (task: string, options?: CallOptions) => never,
      ),
    { name: "UsageError", code: "invalid_prompt" },
  ],
  [
    "that has no model",
    () => llmFunction({ name: "ask" })((task: string, _options?: CallOptions) => prompt`${task}`),
    { name: "UsageError", code: "missing_model" },
  ],
  [
    "with two tools of one name",
    () =>
      askOf(
        modelOf(() => says("unused")),
        "ask",
        [toolOf("a", () => 1), toolOf("a", () => 2)],
      ),
    { name: "UsageError", code: "duplicate_tool" },
  ],
])("a function %s ends its run as an error", async (_what, make, error) => {
  const handle = await make().background("x");
  const record = await checked(handle.runId);
  expect(record).toMatchObject({ status: "error", attempt: 1, outcome: { error } });
  await expect(handle.result()).rejects.toMatchObject(error);
  expect(place.faults).toEqual([]);
});
