// How many runs are at work at once, in which order they begin, and that none of many is lost.

import { setTimeout as sleep } from "node:timers/promises";
import { configure, runs } from "llmethod";
import { describe, expect, test } from "vitest";
import { allEvents } from "./checks.ts";
import { askOf, modelOf, says, taskOf } from "./models.ts";
import { storeKinds, usePlace } from "./place.ts";

/** A model that takes a while, and knows how many of its requests were open at once, of each group. */
function slowModel(ms: number, groupOf: (task: string) => string = () => "all") {
  const now = new Map<string, number>();
  const most = new Map<string, number>();
  const order: string[] = [];
  const model = modelOf(async function* (request) {
    const task = taskOf(request);
    const group = groupOf(task);
    order.push(task);
    now.set(group, (now.get(group) ?? 0) + 1);
    most.set(group, Math.max(most.get(group) ?? 0, now.get(group) ?? 0));
    await sleep(ms);
    now.set(group, (now.get(group) ?? 0) - 1);
    yield* says(`Did ${task}.`);
  });
  return { model, most, order };
}

describe.each(storeKinds)("limits of the store %s", (kind) => {
  const place = usePlace(kind);

  test("keep a worker to its concurrency", async () => {
    const { model, most } = slowModel(40);
    const ask = askOf(model);
    await place.worker([ask], { concurrency: 3 });
    const handles = await Promise.all(Array.from({ length: 12 }, (_, n) => ask.background(`t${n}`)));
    const results = await Promise.all(handles.map((handle) => handle.result({ timeoutMs: 15_000 })));
    expect(results).toEqual(Array.from({ length: 12 }, (_, n) => `Did t${n}.`));
    expect(most.get("all")).toBe(3);
  });

  test("hold over all workers of a store: by function, and for each key", async () => {
    const { model, most } = slowModel(40, (task) => task.slice(0, 1));
    const [one, two] = [askOf(model, "one"), askOf(model, "two")];
    const limits = { perFunction: { one: 2 }, perKey: 1 };
    await place.worker([one, two], { limits });
    await place.worker([one, two], { limits });
    const handles = await Promise.all([
      ...[0, 1, 2, 3, 4].map((n) => one.background(`a${n}`)),
      ...[0, 1, 2, 3].map((n) => two.background(`b${n}`, { key: "b" })),
      ...[0, 1, 2, 3].map((n) => two.background(`c${n}`, { key: "c" })),
    ]);
    for (const handle of handles) await handle.wait({ timeoutMs: 15_000 });
    expect(Object.fromEntries(most)).toEqual({ a: 2, b: 1, c: 1 });
  });

  test("let higher priorities go first, then older runs", async () => {
    configure({ worker: false });
    const { model, order } = slowModel(1);
    const ask = askOf(model);
    const handles = [
      await ask.background("low", { priority: -5 }),
      await ask.background("first"),
      await ask.background("second"),
      await ask.background("high", { priority: 10 }),
    ];
    await place.worker([ask], { concurrency: 1 });
    for (const handle of handles) await handle.wait({ timeoutMs: 15_000 });
    expect(order).toEqual(["high", "first", "second", "low"]);
  });

  test("let a delayed run begin when its time has come, and not sooner", async () => {
    const ask = askOf(modelOf(() => says("Late.")));
    await place.worker([ask]);
    const begun = performance.now();
    const handle = await ask.background("x", { delayMs: 400 });
    expect((await handle.get()).status).toBe("pending");
    expect(await handle.result({ timeoutMs: 15_000 })).toBe("Late.");
    expect(performance.now() - begun).toBeGreaterThan(390);
    expect(performance.now() - begun).toBeLessThan(5000);
  });

  test("lose nothing of 800 runs at once in one conversation", { timeout: 60_000 }, async () => {
    const ask = askOf(modelOf((request) => says(`Did ${taskOf(request)}.`)));
    await place.worker([ask], { concurrency: 50 });
    const begun = performance.now();
    const handles = await Promise.all(
      Array.from({ length: 800 }, (_, n) => ask.background(`t${n}`, { key: "conversation", runId: `r${n}` })),
    );
    const results = await Promise.all(handles.map((handle) => handle.result({ timeoutMs: 50_000 })));
    console.log(`800 runs on ${kind}: ${Math.round(performance.now() - begun)} ms`);
    expect(results).toEqual(Array.from({ length: 800 }, (_, n) => `Did t${n}.`));
    const all = await runs.list({ key: "conversation", limit: 1000 });
    expect(all).toHaveLength(800);
    expect(all.every(({ status, attempt }) => status === "completed" && attempt === 1)).toBe(true);
    const events = await allEvents(place.store, "r799");
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
    expect(place.faults).toEqual([]);
  });

  test("let eight runs of one key go one after the other", async () => {
    const { model, most, order } = slowModel(5);
    const ask = askOf(model);
    await place.worker([ask], { limits: { perKey: 1 } });
    const handles = [];
    for (let n = 0; n < 8; n++) handles.push(await ask.background(`t${n}`, { key: "conversation" }));
    for (const handle of handles) await handle.wait({ timeoutMs: 15_000 });
    expect(most.get("all")).toBe(1);
    expect(order).toEqual(Array.from({ length: 8 }, (_, n) => `t${n}`));
  });
});
