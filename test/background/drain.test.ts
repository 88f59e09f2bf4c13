// Worker processes that are told to leave: their runs are handed over, and no run is marked as cancelled.

import { setTimeout as sleep } from "node:timers/promises";
import { type RunHandle, type RunRecord, runs } from "llmethod";
import { describe, expect, test } from "vitest";
import { answer, checkpoint, hang, text, toolCall } from "../support/server.ts";
import { useTheatre } from "./actor.ts";
import { storyOf } from "./actor-story.ts";
import { allEvents, checkLog } from "./checks.ts";
import { until } from "./models.ts";

const theatre = useTheatre();
const callOf = (name: string, id = "call_1") => toolCall({ id, name, arguments: "{}" });

function begin(): Promise<RunHandle<string>> {
  return storyOf("story", { directory: theatre.directory, url: theatre.server.url }).background("Why?");
}

async function checked(runId: string): Promise<RunRecord> {
  const record = await runs.wait(runId, { timeoutMs: 15_000 });
  checkLog(record, await allEvents(theatre.store, runId));
  return record;
}

/** Nothing that a hand-over does is told of as a stop. */
async function checkHandedBack(runId: string): Promise<void> {
  const record = await runs.get(runId);
  expect(record).toMatchObject({ status: "pending", attempt: 1 });
  expect(record?.stopRequest).toBeUndefined();
  const events = await allEvents(theatre.store, runId);
  expect(events.filter((event) => event.type === "run-cancelled")).toEqual([]);
}

describe("a worker process that gets SIGTERM", () => {
  test("leaves at once where it has nothing to do", async () => {
    const actor = await theatre.actor();
    const at = performance.now();
    actor.signal("SIGTERM");
    expect(await actor.exited).toEqual({ code: null, signal: "SIGTERM" });
    expect(performance.now() - at).toBeLessThan(2000);
    expect(actor.stderr).toBe("");
  });

  test("lets the turn at work end, hands the run back, and takes no other", async () => {
    const middle = checkpoint();
    theatre.server.script(answer(text("Let me note. "), middle.step, callOf("note")));
    const handle = await begin();
    const actor = await theatre.actor();
    await middle.reached;
    actor.signal("SIGTERM");
    await sleep(100);
    const second = await begin();
    middle.open();
    expect(await actor.exited).toEqual({ code: null, signal: "SIGTERM" });
    await checkHandedBack(handle.runId);
    expect(await second.get()).toMatchObject({ status: "pending", attempt: 0 });
    expect(theatre.diary()).toEqual(["begin note call_1", "end note call_1"]);
    await second.cancel();
    theatre.server.script(answer(text("Done.")));
    await theatre.actor();
    expect(await handle.result({ timeoutMs: 15_000 })).toBe("Done.");
    expect(await checked(handle.runId)).toMatchObject({ attempt: 2, outcome: { turns: 2, patches: [] } });
    expect(theatre.diary()).toEqual(["begin note call_1", "end note call_1"]);
    theatre.server.verify();
  });

  test("lets a run end that is in its last turn", async () => {
    const middle = checkpoint();
    theatre.server.script(answer(text("All is "), middle.step, text("well.")));
    const handle = await begin();
    const actor = await theatre.actor();
    await middle.reached;
    actor.signal("SIGTERM");
    await sleep(100);
    middle.open();
    await actor.exited;
    expect(await handle.get()).toMatchObject({
      status: "completed",
      attempt: 1,
      outcome: { value: "All is well." },
    });
  });

  test("waits no longer than its limit for a model that hangs", async () => {
    theatre.server.script(answer(text("Once upon"), hang()));
    const handle = await begin();
    const actor = await theatre.actor({ drainMs: 300 });
    await theatre.told(handle.runId, "text-delta");
    const at = performance.now();
    actor.signal("SIGTERM");
    await actor.exited;
    const tookMs = performance.now() - at;
    expect(tookMs).toBeGreaterThan(250);
    expect(tookMs).toBeLessThan(3000);
    await checkHandedBack(handle.runId);
    theatre.server.script(answer(text("Done.")));
    await theatre.actor();
    expect(await handle.result({ timeoutMs: 15_000 })).toBe("Done.");
    expect((await checked(handle.runId)).outcome).toMatchObject({ text: "Done.", patches: [] });
    theatre.server.verify();
  });

  test.each([
    ["look", "runs again, as it may", ["begin look call_1", "begin look call_1", "end look call_1"], []],
    [
      "note",
      "is patched",
      ["begin note call_1"],
      [{ kind: "call-cancelled", toolName: "note", state: "stopped" }],
    ],
    [
      "deaf",
      "is patched as unknown",
      ["begin deaf call_1"],
      [{ kind: "call-cancelled", toolName: "deaf", state: "unknown" }],
    ],
  ])("stops the tool %s at its limit, which then %s", async (name, _what, diary, patches) => {
    theatre.hold(name);
    theatre.server.script(answer(callOf(name)));
    const handle = await begin();
    const actor = await theatre.actor({ drainMs: 100 });
    await theatre.noted(`begin ${name} call_1`);
    actor.signal("SIGTERM");
    await actor.exited;
    await checkHandedBack(handle.runId);
    theatre.hold();
    theatre.server.script(answer(text("Done.")));
    await theatre.actor();
    expect(await handle.result({ timeoutMs: 15_000 })).toBe("Done.");
    expect(theatre.diary()).toEqual(diary);
    expect((await checked(handle.runId)).outcome?.patches).toMatchObject(patches);
  });

  test("twice ends at once, and its run is taken over", async () => {
    theatre.server.script(answer(text("Once upon"), hang()));
    const handle = await begin();
    const actor = await theatre.actor({ drainMs: 60_000 });
    await theatre.told(handle.runId, "text-delta");
    actor.signal("SIGTERM");
    await sleep(200);
    const at = performance.now();
    actor.signal("SIGTERM");
    expect(await actor.exited).toEqual({ code: null, signal: "SIGTERM" });
    expect(performance.now() - at).toBeLessThan(1000);
    theatre.server.script(answer(text("Done.")));
    await theatre.actor();
    expect(await handle.result({ timeoutMs: 15_000 })).toBe("Done.");
    await checked(handle.runId);
  });

  test("drains all its workers, also where one of them has nothing to do", async () => {
    const middle = checkpoint();
    theatre.server.script(answer(text("All is "), middle.step, text("well.")));
    const handle = await begin();
    const actor = await theatre.actor({ workers: 3 });
    await middle.reached;
    actor.signal("SIGTERM");
    await sleep(300);
    middle.open();
    await actor.exited;
    expect(await handle.get()).toMatchObject({ status: "completed", attempt: 1 });
  });

  test("ends cancelled what was asked to stop while it drained", async () => {
    theatre.server.script(answer(text("Once upon"), hang()));
    const handle = await begin();
    const actor = await theatre.actor({ drainMs: 10_000 });
    await theatre.told(handle.runId, "text-delta");
    actor.signal("SIGTERM");
    await sleep(100);
    await handle.cancel("enough");
    const record = await checked(handle.runId);
    expect(record.outcome).toMatchObject({ status: "cancelled", reason: "enough", text: "Once upon" });
    await actor.exited;
    await until(async () => (await runs.list({ status: ["pending", "running"] })).length === 0);
  });
});
