// Whatever has the shape of a run can be stored, watched, stopped and taken up again: here a countdown without a model.

import { setTimeout as sleep } from "node:timers/promises";
import { configure, MemoryRunStore, type RunOutcome, runs } from "llmethod";
import { afterEach, expect, test } from "vitest";
import type { StoredFunction } from "../../src/attempt.ts";
import { submit } from "../../src/background.ts";
import type { RunContext, RunSpec } from "../../src/engine.ts";
import { noUsage } from "../../src/events.ts";
import { handleOf } from "../../src/runs.ts";

afterEach(() => runs.close());

const view = { history: [], patches: [], text: "", usage: noUsage, turns: 0 };

async function* count(from: number, run: RunContext) {
  for (let left = from; left > 0; left--) {
    yield { type: "tool-progress", callId: "count", toolName: "count", data: left } as const;
    await run.stop.race(sleep(5));
  }
  return "lift-off";
}

const countdown: StoredFunction = {
  functionName: "countdown",
  spec: ([from], options): RunSpec<unknown> => ({
    options,
    abortGraceMs: 250,
    engine: (run) => ({ events: count(Number(from), run), view: () => view }),
    answer(outcome: RunOutcome<unknown>) {
      if (outcome.status === "completed") return outcome.value;
      throw new Error(outcome.status);
    },
  }),
};

test("an engine of another kind runs in the background, and tells of itself", async () => {
  configure({ store: new MemoryRunStore() });
  const handle = await submit<string>(countdown, [3]);
  expect((await handle.get()).status).toBe("pending");
  const told: unknown[] = [];
  for await (const event of handle.events()) told.push("data" in event ? event.data : event.type);
  expect(told).toEqual(["run-start", 3, 2, 1, "run-completed"]);
  expect(await handle.result()).toBe("lift-off");
});

test("it is stopped by its id, and goes on as the next attempt", async () => {
  const store = new MemoryRunStore();
  configure({ store });
  const { runId } = await submit(countdown, [50]);
  for await (const event of runs.events(runId)) if (event.type === "tool-progress") break;
  expect(await runs.cancel(runId, "hold")).toBe(true);
  expect(await runs.wait(runId)).toMatchObject({ status: "cancelled", outcome: { reason: "hold" } });
  await runs.resume(runId);
  expect(await handleOf<string>(runId, store).result({ timeoutMs: 5000 })).toBe("lift-off");
  expect(await runs.get(runId)).toMatchObject({ status: "completed", attempt: 2 });
  const types = [];
  for await (const { type } of runs.events(runId)) if (type !== "tool-progress") types.push(type);
  expect(types).toEqual(["run-start", "run-resumed", "run-completed"]);
});
