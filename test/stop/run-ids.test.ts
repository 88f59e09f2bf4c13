// Stopping a run by its id, from anywhere in the process, before, while and after it is at work.

import { activeRuns, cancelRun, type RunStream, tool } from "llmethod";
import { describe, expect, test } from "vitest";
import { chatOf, taskOf } from "./ask.ts";
import { checkInvariants, ended } from "./checks.ts";
import { calls, own, talks, waits } from "./own-models.ts";
import { loops, until } from "./stage.ts";
import { ignores } from "./tools-told.ts";

let count = 0;
const newId = () => `run-${++count}`;

/** A model that must not be asked. */
const unasked = own(() => {
  throw new Error("a request was made");
});

async function speaking(runId: string): Promise<RunStream<unknown>> {
  const run = chatOf(waits()).stream("Go", { runId });
  await until(() => run.history.length === 2);
  return run;
}

describe("cancelRun", () => {
  test("stops a run at work, with its reason by identity, and says so", async () => {
    const run = await speaking(newId());
    const reason = { by: "user" };
    expect(await cancelRun(run.runId, reason)).toBe(true);
    const seen = await ended(run);
    checkInvariants(seen);
    expect(seen.outcome).toMatchObject({ status: "cancelled", cause: "cancel", text: "Once" });
    expect(seen.outcome.status === "cancelled" && seen.outcome.reason === reason).toBe(true);
  });

  test("stops a run in the tick of its call, before it has begun", async () => {
    const run = chatOf(unasked).stream("Go", { runId: newId() });
    expect(run.status).toBe("pending");
    const found = cancelRun(run.runId, "halt");
    const seen = await ended(run);
    expect(await found).toBe(true);
    checkInvariants(seen);
    expect(seen.outcome).toMatchObject({ status: "cancelled", reason: "halt", turns: 0, patches: [] });
    expect(seen.outcome.history).toEqual([{ role: "user", content: "Go" }]);
  });

  test("is stored for a run that is not there yet, which then ends without a request", async () => {
    const runId = newId();
    expect(await cancelRun(runId, "halt")).toBe(false);
    expect(await activeRuns()).toEqual(new Map());
    const seen = await ended(chatOf(unasked).stream("Go", { runId }));
    checkInvariants(seen);
    expect(seen.outcome).toMatchObject({ status: "cancelled", cause: "cancel", reason: "halt", turns: 0 });
    expect(seen.events.map(({ type }) => type)).toEqual(["run-start", "run-cancelled"]);
  });

  test("is consumed by the first run with the id: the next one works", async () => {
    const runId = newId();
    await cancelRun(runId, "halt");
    expect((await chatOf(unasked)("Go", { runId })).status).toBe("cancelled");
    expect((await chatOf(talks("All."))("Go", { runId })).status).toBe("completed");
  });

  test("keeps the first of two requests that came before the start", async () => {
    const runId = newId();
    expect(await cancelRun(runId, "first")).toBe(false);
    expect(await cancelRun(runId, "second")).toBe(false);
    expect(await chatOf(unasked).stream("Go", { runId }).outcome).toMatchObject({ reason: "first" });
  });

  test("is false behind the end, and does nothing to a later run with the id", async () => {
    const runId = newId();
    const chat = chatOf(talks("All."));
    await chat("Go", { runId });
    expect(await cancelRun(runId, "late")).toBe(false);
    expect((await chat("Go", { runId })).status).toBe("completed");
  });

  test("waits until the run has settled where it is asked to", async () => {
    let hasEnded = false;
    const slow = tool({
      name: "slow",
      description: "Ignores the stop for a while",
      execute: async () => {
        await new Promise((resolve) => setTimeout(resolve, 120));
        hasEnded = true;
      },
    });
    const run = chatOf(calls("slow"), [slow], { abortGraceMs: 10 }).stream("Go", { runId: newId() });
    await until(() => run.history.length === 3);
    expect(await cancelRun(run.runId, "halt", { wait: true })).toBe(true);
    expect(hasEnded).toBe(true);
    expect(run.status).toBe("cancelled");
  });

  test("does not wait otherwise", async () => {
    const stuck = tool({ name: "stuck", description: "Never ends", execute: ignores });
    const run = chatOf(calls("stuck"), [stuck], { abortGraceMs: 60 }).stream("Go", { runId: newId() });
    await until(() => run.history.length === 3);
    expect(await cancelRun(run.runId, "halt")).toBe(true);
    expect(run.status).toBe("running");
    expect((await run.outcome).patches).toMatchObject([{ state: "unknown" }]);
  });

  test("with wait comes back at once for a run that is not there", async () => {
    expect(await cancelRun(newId(), "halt", { wait: true })).toBe(false);
  });

  test("called twice is true twice, and the first reason stands", async () => {
    const run = await speaking(newId());
    expect(await Promise.all([cancelRun(run.runId, "first"), cancelRun(run.runId, "second")])).toEqual([
      true,
      true,
    ]);
    expect(await run.outcome).toMatchObject({ reason: "first" });
  });

  test("works without a reason", async () => {
    const run = await speaking(newId());
    await cancelRun(run.runId);
    expect(await run.outcome).toMatchObject({ status: "cancelled", reason: undefined, cause: "cancel" });
  });

  test.each(["", 7, undefined])("refuses what is no id: %s", async (runId) => {
    await expect(cancelRun(runId as string)).rejects.toMatchObject({ code: "invalid_option" });
  });
});

describe("activeRuns", () => {
  test("names the runs at work and says which were asked to stop", async () => {
    const [first, second] = [await speaking(newId()), await speaking(newId())];
    expect(await activeRuns()).toEqual(
      new Map([
        [first.runId, false],
        [second.runId, false],
      ]),
    );
    const asked = cancelRun(first.runId);
    expect((await activeRuns()).get(first.runId)).toBe(true);
    await asked;
    second.cancel();
    await Promise.all([first.settled, second.settled]);
    expect(await activeRuns()).toEqual(new Map());
  });
});

describe("two runs with one id", () => {
  test("are refused while the first is at work, which goes on", async () => {
    const run = await speaking(newId());
    const again = () => chatOf(talks("All."))("Go", { runId: run.runId });
    expect(again).toThrow(/at work already/);
    expect(again).toThrow(expect.objectContaining({ code: "duplicate_run" }));
    expect(run.status).toBe("running");
    expect(await cancelRun(run.runId, "halt")).toBe(true);
    expect((await run.outcome).status).toBe("cancelled");
  });

  test("are allowed one after the other, at once behind the first outcome", async () => {
    const runId = newId();
    const first = chatOf(waits()).stream("Go", { runId });
    await until(() => first.history.length === 2);
    first.cancel("halt");
    await first.outcome;
    const second = await speaking(runId);
    expect(await activeRuns()).toEqual(new Map([[runId, false]]));
    await loops(10);
    expect(await cancelRun(runId, "again")).toBe(true);
    expect(await second.outcome).toMatchObject({ reason: "again" });
  });

  test("are allowed while a tool that the first gave up is still alive", async () => {
    const stuck = tool({ name: "stuck", description: "Never ends", execute: ignores });
    const first = taskOf(calls("stuck"), [stuck], { abortGraceMs: 5 }).stream("Go", { runId: newId() });
    await until(() => first.history.length === 3);
    first.cancel("halt");
    await first.outcome;
    expect(await taskOf(talks("All."))("Go", { runId: first.runId })).toBe("All.");
  });
});
