// Reading the events of a run in the background: from the beginning, from a cursor, live, by many, slowly.

import { setTimeout as sleep } from "node:timers/promises";
import { type GapEvent, type ModelEvent, runs, type StoredEvent } from "llmethod";
import { describe, expect, test } from "vitest";
import { allEvents, checkLog } from "./checks.ts";
import { askOf, finish, hangs, modelOf, says, until } from "./models.ts";
import { storeKinds, usePlace } from "./place.ts";

type Seen = StoredEvent | GapEvent;

/** Says `words` words, one every `ms`. */
const talks = (words: number, ms: number) =>
  modelOf(async function* (): AsyncGenerator<ModelEvent> {
    for (let n = 0; n < words; n++) {
      yield { type: "text-delta", delta: `w${n} ` };
      await sleep(ms);
    }
    yield finish();
  });

async function collect(runId: string, after?: number): Promise<Seen[]> {
  const seen: Seen[] = [];
  for await (const event of runs.events(runId, after === undefined ? {} : { after })) seen.push(event);
  return seen;
}

describe.each(storeKinds)("the events of a run in the store %s", (kind) => {
  const place = usePlace(kind);

  test("come first as a replay and then live, without a gap or a double, for everybody", async () => {
    const handle = await askOf(talks(60, 10)).background("x");
    const readers = [collect(handle.runId)];
    for (const at of [100, 150, 150, 100]) {
      await sleep(at);
      readers.push(collect(handle.runId), collect(handle.runId, 3));
    }
    const all = await Promise.all(readers);
    const events = await allEvents(place.store, handle.runId);
    checkLog(await handle.get(), events);
    for (const [index, seen] of all.entries()) {
      expect(seen).toEqual(index > 0 && index % 2 === 0 ? events.slice(3) : events);
      expect(seen.filter(({ type }) => type === "run-completed")).toHaveLength(1);
    }
    const text = events.map((event) => (event.type === "text-delta" ? event.delta : "")).join("");
    expect(text).toBe(Array.from({ length: 60 }, (_, n) => `w${n} `).join(""));
  });

  test("are there long before the end, and in batches: rows far fewer than tokens", async () => {
    const handle = await askOf(talks(400, 1)).background("x");
    const arrivals: number[] = [];
    for await (const event of handle.events()) {
      if (event.type === "text-delta") arrivals.push((await handle.get()).status === "running" ? 1 : 0);
    }
    expect(arrivals.filter((live) => live === 1).length).toBeGreaterThan(3);
    const deltas = (await allEvents(place.store, handle.runId)).filter(({ type }) => type === "text-delta");
    expect(deltas.length).toBeLessThan(100);
  });

  test("after the end come at once, and end; behind the last there is nothing", async () => {
    const handle = await askOf(modelOf(() => says("Done. And out."))).background("x");
    await handle.wait();
    const events = await allEvents(place.store, handle.runId);
    expect(await collect(handle.runId)).toEqual(events);
    expect(await collect(handle.runId, events.length - 1)).toEqual(events.slice(-1));
    expect(await collect(handle.runId, events.length)).toEqual([]);
  });

  test("go on for others where one reader leaves, and so does the run", async () => {
    const handle = await askOf(talks(40, 10)).background("x");
    const stays = collect(handle.runId);
    for await (const event of handle.events()) if (event.type === "text-delta") break;
    const controller = new AbortController();
    const aborted = (async () => {
      for await (const event of handle.events({ abortSignal: controller.signal })) {
        if (event.type === "text-delta") controller.abort(new Error("the reader is gone"));
      }
    })();
    await expect(aborted).rejects.toThrow("the reader is gone");
    expect((await handle.wait()).status).toBe("completed");
    expect(await stays).toEqual(await allEvents(place.store, handle.runId));
  });

  test("wait for a slow reader, and the run does not", async () => {
    const handle = await askOf(talks(60, 3)).background("x");
    const seen: Seen[] = [];
    const slow = (async () => {
      for await (const event of handle.events()) {
        seen.push(event);
        await sleep(60);
      }
    })();
    await handle.wait({ timeoutMs: 10_000 });
    const events = await allEvents(place.store, handle.runId);
    expect(seen.length).toBeLessThan(events.length);
    await slow;
    expect(seen).toEqual(events);
  });

  test("that were pruned are told of as a gap", async () => {
    const ask = askOf(modelOf(() => says("Done.")));
    const { runId } = await ask.background("x");
    const { lastSeq } = await runs.wait(runId);
    await sleep(5);
    expect(await runs.prune({ olderThanMs: 0, what: "events" })).toBe(1);
    expect(await collect(runId)).toEqual([{ type: "gap", runId, seq: lastSeq }]);
    expect(await collect(runId, lastSeq)).toEqual([]);
    expect((await runs.get(runId))?.outcome?.value).toBe("Done.");
  });

  test("are read over several pages", async () => {
    const ask = askOf(modelOf((request) => hangs("Once", request)));
    const { runId } = await ask.background("x");
    await until(async () => (await runs.get(runId))?.status === "running");
    await until(async () => (await allEvents(place.store, runId)).length >= 3);
    const record = await runs.get(runId);
    const claim = { runId, attempt: record?.attempt ?? 0 };
    const progress = Array.from({ length: 2500 }, (_, data) => ({
      ...{ type: "tool-progress", callId: "c", toolName: "t", data, runId, at: 1 },
    })) as {
      type: "tool-progress";
      callId: string;
      toolName: string;
      data: number;
      runId: string;
      at: number;
    }[];
    const reading = collect(runId);
    await place.store.save(claim, { events: progress });
    await runs.cancel(runId);
    const seen = await reading;
    expect(seen.length).toBeGreaterThan(2500);
    expect(seen.map(({ seq }) => seq)).toEqual(seen.map((_, index) => index + 1));
  });

  test("of an unknown run are an error", async () => {
    await expect(collect("nobody")).rejects.toMatchObject({ name: "UsageError", code: "unknown_run" });
    await expect(runs.events("").next()).rejects.toMatchObject({ code: "invalid_option" });
  });

  test.each([-1, 1.5, Number.NaN, "3"])("are not read from the cursor %s", async (after) => {
    const { runId } = await askOf(modelOf(() => says("Done."))).background("x");
    await runs.wait(runId);
    const abortSignal = AbortSignal.timeout(300);
    const reading = runs.events(runId, { after: after as number, abortSignal }).next();
    await expect(reading).rejects.toMatchObject({ name: "UsageError", code: "invalid_option" });
  });
});
