// Worker processes that are killed: another takes their runs up, and what was done is not done again.

import { setTimeout as sleep } from "node:timers/promises";
import { type RunHandle, type RunRecord, runs } from "llmethod";
import { describe, expect, test } from "vitest";
import { answer, hang, hangBeforeHeaders, text, toolCall } from "../support/server.ts";
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

describe("a worker that is killed", () => {
  test("in the text: the turn is asked for again, and whoever watches sees one log", async () => {
    theatre.server.script(answer(text("Once upon"), hang()));
    const handle = await begin();
    const watched = (async () => {
      const seen = [];
      for await (const event of handle.events()) seen.push(event);
      return seen;
    })();
    const first = await theatre.actor();
    await theatre.told(handle.runId, "text-delta");
    await theatre.actor();
    const killedAt = performance.now();
    await first.kill();
    theatre.server.script(answer(text("A story, whole.")));
    expect(await handle.result({ timeoutMs: 15_000 })).toBe("A story, whole.");
    expect(performance.now() - killedAt).toBeLessThan(5000);
    const record = await checked(handle.runId);
    expect(record).toMatchObject({ attempt: 2, outcome: { text: "A story, whole.", patches: [], turns: 1 } });
    const events = await watched;
    expect(events).toEqual(await allEvents(theatre.store, handle.runId));
    expect(events.map(({ type }) => type)).toEqual([
      ...["run-start", "turn-start", "text-delta"],
      ...["run-resumed", "turn-end", "turn-start", "text-delta", "turn-end", "run-completed"],
    ]);
    expect(events[4]).toMatchObject({ finishReason: "interrupted" });
    theatre.server.verify();
  });

  test("in a tool that must not run twice: its outcome is unknown, and the model is told", async () => {
    theatre.hold("note");
    theatre.server.script(answer(callOf("note")));
    const handle = await begin();
    const first = await theatre.actor();
    await theatre.noted("begin note call_1");
    await first.kill();
    theatre.hold();
    theatre.server.script(answer(text("Done.")));
    await theatre.actor();
    expect(await handle.result({ timeoutMs: 15_000 })).toBe("Done.");
    expect(theatre.diary()).toEqual(["begin note call_1"]);
    const record = await checked(handle.runId);
    expect(record.outcome?.patches).toMatchObject([
      { kind: "call-cancelled", callId: "call_1", toolName: "note", state: "unknown" },
    ]);
    const told = theatre.server.requests.at(-1)?.body.messages.find(({ role }) => role === "tool");
    expect(told?.content).toContain("outcome unknown");
    theatre.server.verify();
  });

  test("in a tool that may run twice: it runs again as the same call", async () => {
    theatre.hold("look");
    theatre.server.script(answer(callOf("look")));
    const handle = await begin();
    const first = await theatre.actor();
    await theatre.noted("begin look call_1");
    await first.kill();
    theatre.hold();
    theatre.server.script(answer(text("Done.")));
    await theatre.actor();
    expect(await handle.result({ timeoutMs: 15_000 })).toBe("Done.");
    expect(theatre.diary()).toEqual(["begin look call_1", "begin look call_1", "end look call_1"]);
    expect((await checked(handle.runId)).outcome).toMatchObject({ patches: [], turns: 2 });
    theatre.server.verify();
  });

  test("with one of two calls settled: only the other is patched", async () => {
    theatre.hold("deaf");
    theatre.server.script(answer(callOf("look", "call_1"), callOf("deaf", "call_2")));
    const handle = await begin();
    const first = await theatre.actor();
    await theatre.noted("begin deaf call_2");
    await theatre.told(handle.runId, "tool-end");
    await first.kill();
    theatre.hold();
    theatre.server.script(answer(text("Done.")));
    await theatre.actor();
    expect(await handle.result({ timeoutMs: 15_000 })).toBe("Done.");
    const diary = ["begin deaf call_2", "begin look call_1", "end look call_1"];
    expect(theatre.diary().toSorted()).toEqual(diary);
    const patches = [{ kind: "call-cancelled", callId: "call_2", state: "unknown" }];
    expect((await checked(handle.runId)).outcome).toMatchObject({ patches, turns: 2 });
    const results = theatre.server.requests.at(-1)?.body.messages.filter(({ role }) => role === "tool");
    expect(results).toMatchObject([
      { tool_call_id: "call_1", content: "look of call_1" },
      { tool_call_id: "call_2" },
    ]);
    theatre.server.verify();
  });

  test("between two turns: no tool is run again, and the same is asked again", async () => {
    theatre.server.script(answer(callOf("note", "call_1"), callOf("look", "call_2")), hangBeforeHeaders());
    const handle = await begin();
    const first = await theatre.actor();
    await theatre.server.arrival(1);
    await first.kill();
    theatre.server.script(answer(text("Done.")));
    await theatre.actor();
    expect(await handle.result({ timeoutMs: 15_000 })).toBe("Done.");
    expect(theatre.diary()).toHaveLength(4);
    expect((await checked(handle.runId)).outcome).toMatchObject({ patches: [], turns: 2 });
    expect(theatre.server.requests).toHaveLength(3);
    expect(theatre.server.requests[2]?.body.messages).toEqual(theatre.server.requests[1]?.body.messages);
    theatre.server.verify();
  });

  test("and whose run is stopped while nobody has it: it ends cancelled, without another request", async () => {
    theatre.server.script(answer(text("Once upon"), hang()));
    const handle = await begin();
    const first = await theatre.actor();
    await theatre.told(handle.runId, "text-delta");
    await first.kill();
    expect(await handle.cancel("enough")).toBe(true);
    await theatre.actor();
    const record = await checked(handle.runId);
    expect(record.outcome).toMatchObject({ status: "cancelled", cause: "cancel", reason: "enough" });
    expect(theatre.server.requests).toHaveLength(1);
  });

  test("again and again: the run is given up, as an error that says so", async () => {
    theatre.server.handle(() => answer(text("Once"), hang()));
    const handle = await begin();
    for (let attempt = 1; attempt <= 2; attempt++) {
      const actor = await theatre.actor({ maxAttempts: 2 });
      await until(() => theatre.server.requests.length === attempt);
      await actor.kill();
    }
    await theatre.actor({ maxAttempts: 2 });
    await expect(handle.result({ timeoutMs: 15_000 })).rejects.toMatchObject({
      name: "GaveUpError",
      code: "gave_up",
    });
    expect((await checked(handle.runId)).status).toBe("error");
    expect(theatre.server.requests).toHaveLength(2);
  });

  test("is missed by nobody who is only suspended: its run is its own", async () => {
    theatre.server.script(answer(callOf("note")));
    theatre.hold("note");
    const handle = await begin();
    const first = await theatre.actor();
    await theatre.noted("begin note call_1");
    first.signal("SIGSTOP");
    await theatre.actor();
    await sleep(900);
    expect(await handle.get()).toMatchObject({ status: "running", attempt: 1 });
    theatre.server.script(answer(text("Done.")));
    theatre.hold();
    first.signal("SIGCONT");
    expect(await handle.result({ timeoutMs: 15_000 })).toBe("Done.");
    expect(await checked(handle.runId)).toMatchObject({ attempt: 1 });
  });

  test("leaves its run to a worker that has the function, not to one that has lost it", async () => {
    theatre.server.script(answer(text("Once"), hang()));
    const handle = await begin();
    const first = await theatre.actor({ names: ["story", "other"] });
    await theatre.told(handle.runId, "text-delta");
    await theatre.actor({ names: ["other"] });
    await first.kill();
    await sleep(900);
    expect(await handle.get()).toMatchObject({ status: "running", attempt: 1 });
    theatre.server.script(answer(text("Done.")));
    await theatre.actor({ names: ["new", "story"] });
    expect(await handle.result({ timeoutMs: 15_000 })).toBe("Done.");
    expect(await checked(handle.runId)).toMatchObject({ attempt: 2 });
  });
});
