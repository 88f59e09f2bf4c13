// Looking runs up: by id, by filter and page, waiting for them, and pruning what has ended.

import { setTimeout as sleep } from "node:timers/promises";
import { configure, runs, TimeoutError } from "llmethod";
import { describe, expect, test } from "vitest";
import { askOf, hangs, modelOf, says, taskOf, until } from "./models.ts";
import { storeKinds, usePlace } from "./place.ts";

describe.each(storeKinds)("the runs of the store %s", (kind) => {
  const place = usePlace(kind);
  const model = modelOf((request) => (taskOf(request) === "hang" ? hangs("Once", request) : says("Done.")));
  const ids = async (...filter: Parameters<typeof runs.list>) =>
    (await runs.list(...filter)).map(({ runId }) => runId);

  test("are listed newest first, by status, function, key and page", async () => {
    configure({ worker: false });
    const [ask, other] = [askOf(model), askOf(model, "other")];
    for (let n = 0; n < 5; n++)
      await ask.background("x", { runId: `a${n}`, key: n % 2 === 0 ? "even" : "odd" });
    await other.background("x", { runId: "b0", key: "even" });
    await runs.cancel("a1");
    expect(await ids()).toEqual(["b0", "a4", "a3", "a2", "a1", "a0"]);
    expect(await ids({ functionName: "ask", key: "even" })).toEqual(["a4", "a2", "a0"]);
    expect(await ids({ status: "cancelled" })).toEqual(["a1"]);
    expect(await ids({ status: ["pending", "cancelled"], key: "odd" })).toEqual(["a3", "a1"]);
    expect(await ids({ limit: 2 })).toEqual(["b0", "a4"]);
    expect(await ids({ limit: 2, before: "a4" })).toEqual(["a3", "a2"]);
    expect(await ids({ limit: 9, before: "a1" })).toEqual(["a0"]);
    expect(await ids({ before: "a0" })).toEqual([]);
    expect(await ids({ status: "running" })).toEqual([]);
  });

  test("are waited for until they end, for a time, or until the signal; they go on", async () => {
    const handle = await askOf(model).background("hang");
    const error: unknown = await handle.wait({ timeoutMs: 50 }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({ which: "wait", ms: 50 });
    const reason = new Error("no patience");
    await expect(runs.wait(handle.runId, { abortSignal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const waiting = handle.wait({ abortSignal: controller.signal });
    setTimeout(() => controller.abort(reason), 50);
    await expect(waiting).rejects.toBe(reason);
    expect((await handle.get()).status).toBe("running");
    const both = [handle.wait(), handle.wait()];
    await until(async () => (await handle.get()).lastSeq >= 2);
    await handle.cancel();
    expect((await Promise.all(both)).map(({ status }) => status)).toEqual(["cancelled", "cancelled"]);
    await expect(runs.wait("nobody")).rejects.toMatchObject({ code: "unknown_run" });
  });

  test.each([-1, Number.NaN, "5s"])("are not waited for %s ms", async (timeoutMs) => {
    const handle = await askOf(model).background("x");
    await handle.wait();
    const waiting = handle.wait({ timeoutMs: timeoutMs as number });
    await expect(waiting).rejects.toMatchObject({ name: "UsageError", code: "invalid_option" });
  });

  test("are pruned when they have ended long ago, and only then", async () => {
    const ask = askOf(model);
    const [done, hanging] = [await ask.background("x"), await ask.background("hang")];
    await done.wait();
    expect(await runs.prune({ olderThanMs: 60_000 })).toBe(0);
    await sleep(5);
    expect(await runs.prune({ olderThanMs: 0 })).toBe(1);
    expect(await runs.get(done.runId)).toBeUndefined();
    await expect(done.get()).rejects.toMatchObject({ code: "unknown_run" });
    expect(await ids()).toEqual([hanging.runId]);
    await hanging.cancel();
    await hanging.wait();
    for (const olderThanMs of [-1, Number.NaN, "1d" as never]) {
      await expect(runs.prune({ olderThanMs })).rejects.toMatchObject({ code: "invalid_option" });
    }
  });

  test.each<[string, object]>([
    ["an unknown filter", { stauts: "pending" }],
    ["an unknown status", { status: "done" }],
    ["a negative limit", { limit: -1 }],
    ["half a run", { limit: 0.5 }],
    ["a key that is no string", { key: 7 }],
  ])("are not listed by %s", async (_what, filter) => {
    await expect(runs.list(filter as never)).rejects.toMatchObject({
      name: "UsageError",
      code: "invalid_option",
    });
  });

  test("are not pruned of anything but events", async () => {
    const pruning = runs.prune({ olderThanMs: 0, what: "all" as never });
    await expect(pruning).rejects.toMatchObject({ name: "UsageError", code: "invalid_option" });
  });

  test("that have ended leave nothing at work behind", async () => {
    const worker = await place.worker([askOf(model)]);
    const handle = await askOf(model).background("x");
    await handle.wait();
    await until(() => worker.active === 0);
    expect(place.faults).toEqual([]);
  });
});
