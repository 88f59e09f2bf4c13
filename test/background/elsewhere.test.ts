// Stopping and watching a run that another process has: quickly, whole, and without this process having a worker.

import { setTimeout as sleep } from "node:timers/promises";
import { cancelRun, type GapEvent, type RunHandle, runs, type StoredEvent } from "llmethod";
import { describe, expect, test } from "vitest";
import { answer, delay, hang, text } from "../support/server.ts";
import { useTheatre } from "./actor.ts";
import { storyOf } from "./actor-story.ts";
import { allEvents, checkLog } from "./checks.ts";

const theatre = useTheatre();

function begin(options: { runId?: string } = {}): Promise<RunHandle<string>> {
  return storyOf("story", { directory: theatre.directory, url: theatre.server.url }).background(
    "Why?",
    options,
  );
}

describe("a run in another process", () => {
  test("is stopped well within a quarter of a second, with its text and its reason", async () => {
    theatre.server.handle(() => answer(text("Once upon"), hang()));
    await theatre.actor();
    const took: number[] = [];
    for (let count = 0; count < 15; count++) {
      const handle = await begin();
      await theatre.told(handle.runId, "text-delta");
      await sleep(20);
      const at = performance.now();
      expect(await runs.cancel(handle.runId, { count }, { by: "tester" })).toBe(true);
      const record = await handle.wait({ timeoutMs: 10_000 });
      took.push(performance.now() - at);
      expect(record).toMatchObject({
        status: "cancelled",
        stopRequest: { reason: { count }, by: "tester" },
        outcome: { cause: "cancel", reason: { count }, text: "Once upon" },
      });
      checkLog(record, await allEvents(theatre.store, handle.runId));
    }
    const median = took.toSorted((a, b) => a - b)[7] ?? Number.NaN;
    console.log(`stop in another process, request to record: median ${median.toFixed(1)} ms`);
    expect(median).toBeLessThan(250);
  });

  test("gives its final record to who stops it and waits; what this process has of it is gone then", async () => {
    theatre.server.handle(() => answer(text("Once upon"), hang()));
    await theatre.actor();
    const handle = await begin({ runId: "mine" });
    await theatre.told("mine", "text-delta");
    const record = await cancelRun("mine", "enough", { wait: true });
    expect(record).toEqual(await handle.get());
    expect(record).toMatchObject({ status: "cancelled", outcome: { text: "Once upon" } });
    expect(await cancelRun("mine", "again")).toBe(false);
    // The next attempt is not hit by what was asked of the one before.
    theatre.server.handle(() => answer(text("Done.")));
    await runs.resume("mine");
    expect(await handle.result({ timeoutMs: 10_000 })).toBe("Done.");
  });

  test("is watched live by many, none of whom sees a gap or a double, and none of whom stops it", async () => {
    const words = Array.from({ length: 40 }, (_, n) => [text(`w${n} `), delay(10)]).flat();
    theatre.server.handle(() => answer(...words));
    await theatre.actor();
    const handle = await begin();
    const collect = async (after = 0) => {
      const seen: (StoredEvent | GapEvent)[] = [];
      for await (const event of handle.events({ after })) seen.push(event);
      return seen;
    };
    const readers = [collect()];
    await theatre.told(handle.runId, "text-delta");
    readers.push(collect(), collect(2));
    let live = 0;
    for await (const event of handle.events()) {
      if (event.type !== "text-delta") continue;
      if ((await handle.get()).status === "running") live++;
      if (live === 3) break;
    }
    expect(live).toBe(3);
    const [first, second, third] = await Promise.all(readers);
    const events = await allEvents(theatre.store, handle.runId);
    checkLog(await handle.get(), events);
    expect(first).toEqual(events);
    expect(second).toEqual(events);
    expect(third).toEqual(events.slice(2));
  });

  test("is shared out: many runs of several processes, each taken once", async () => {
    theatre.server.handle(() => answer(text("One."), delay(15), text(" Two.")));
    await Promise.all([theatre.actor({ concurrency: 4 }), theatre.actor({ concurrency: 4 })]);
    const handles = await Promise.all(Array.from({ length: 60 }, () => begin()));
    const records = await Promise.all(handles.map((handle) => handle.wait({ timeoutMs: 15_000 })));
    expect(records.every(({ status, attempt }) => status === "completed" && attempt === 1)).toBe(true);
    expect(new Set(records.map(({ owner }) => owner)).size).toBe(2);
    expect(theatre.server.requests).toHaveLength(60);
  });
});
