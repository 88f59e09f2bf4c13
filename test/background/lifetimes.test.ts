// Who outlives whom: workers and what is submitted while they leave, logs that were pruned, ids that are used again.

import { setTimeout as sleep } from "node:timers/promises";
import { configure, ModelError, type RunHandle, runs } from "llmethod";
import { describe, expect, test } from "vitest";
import { allEvents } from "./checks.ts";
import { askOf, byTurn, calls, hangs, modelOf, says, taskOf, toolOf, until } from "./models.ts";
import { storeKinds, usePlace } from "./place.ts";

describe.each(storeKinds)("in the store %s", (kind) => {
  const place = usePlace(kind);

  test("what is submitted while the worker leaves waits for the next one", async () => {
    const ask = askOf(
      modelOf((request) => (taskOf(request) === "hang" ? hangs("Once", request) : says("Done."))),
    );
    const worker = await place.worker([ask], { drainMs: 400 });
    const first = await ask.background("hang");
    await until(async () => (await first.get()).lastSeq >= 3);
    const left = worker.stop();
    const second = await ask.background("x");
    await sleep(150);
    expect(await second.get()).toMatchObject({ status: "pending", attempt: 0 });
    await left;
    expect(await first.get()).toMatchObject({ status: "pending" });
    await first.cancel();
    await place.worker([ask]);
    expect(await second.result({ timeoutMs: 5000 })).toBe("Done.");
  });

  test("a process has its own worker as it was configured", async () => {
    let [now, most] = [0, 0];
    const ask = askOf(
      modelOf(async function* () {
        most = Math.max(most, ++now);
        await sleep(20);
        now--;
        yield* says("Done.");
      }),
    );
    const told: string[] = [];
    configure({ worker: { concurrency: 2, onRunEnd: ({ runId }) => void told.push(runId) } });
    const handles = await Promise.all(Array.from({ length: 8 }, () => ask.background("x")));
    for (const handle of handles) await handle.wait({ timeoutMs: 10_000 });
    expect(most).toBe(2);
    await until(() => told.length === 8);
    expect(told.toSorted()).toEqual(handles.map(({ runId }) => runId).toSorted());
  });

  test("a run whose journal was pruned cannot be resumed, as it would do again what is done", async () => {
    let looks = 0;
    const look = toolOf("look", () => `look ${++looks}`);
    const model = modelOf(
      byTurn(
        () => calls("look"),
        () => {
          throw new ModelError("bad_request", "No.");
        },
      ),
    );
    const { runId } = await askOf(model, "ask", [look]).background("x");
    await runs.wait(runId, { timeoutMs: 5000 });
    await sleep(5);
    await runs.prune({ olderThanMs: 0, what: "events" });
    await expect(runs.resume(runId)).rejects.toMatchObject({ code: "invalid_option" });
    expect((await runs.get(runId))?.status).toBe("error");
    expect(looks).toBe(1);
  });

  test("a log begins with the beginning of the run, also where its first worker died before it could tell", async () => {
    configure({ worker: false });
    const ask = askOf(modelOf(() => says("Done.")));
    const { runId } = await ask.background("x");
    const taken = await place.store.claim(runId, "a worker that dies");
    if (taken.kind === "claimed") await place.store.release(taken.claim);
    await place.worker([ask]);
    await runs.wait(runId, { timeoutMs: 5000 });
    const types = (await allEvents(place.store, runId)).map(({ type }) => type);
    expect(types[0]).toBe("run-start");
    expect(types.filter((type) => type === "run-start")).toHaveLength(1);
  });

  test("a call with an id that was used before begins new runs in the background", async () => {
    const child = askOf(
      modelOf((request) => says(`Did ${taskOf(request)}.`)),
      "child",
    );
    const begun: RunHandle<string>[] = [];
    let task = "a";
    const begin = toolOf("begin", async () => void begun.push(await child.background(task)));
    const model = modelOf(
      byTurn(
        () => calls("begin"),
        () => says("Done."),
      ),
    );
    const parent = askOf(model, "parent", [begin]);
    for (task of ["a", "a", "b"]) expect(await parent("x", { runId: "session" })).toBe("Done.");
    expect(new Set(begun.map(({ runId }) => runId)).size).toBe(3);
    const results = await Promise.all(begun.map((handle) => handle.result({ timeoutMs: 5000 })));
    expect(results).toEqual(["Did a.", "Did a.", "Did b."]);
  });

  test("a tool that runs again finds the runs that it had begun", async () => {
    const child = askOf(
      modelOf((request) => says(`Did ${taskOf(request)}.`)),
      "child",
    );
    let isFirst = true;
    const begun: string[][] = [];
    const begin = toolOf(
      "begin",
      async ({ abortSignal }) => {
        const handles = [
          await child.background("a"),
          await child.background("a"),
          await child.background("b"),
        ];
        begun.push(handles.map(({ runId }) => runId));
        const wasFirst = isFirst;
        isFirst = false;
        if (wasFirst)
          await new Promise((_, reject) =>
            abortSignal.addEventListener("abort", () => reject(abortSignal.reason)),
          );
        return Promise.all(handles.map((handle) => handle.result({ timeoutMs: 5000 })));
      },
      true,
    );
    const model = modelOf(
      byTurn(
        () => calls("begin"),
        () => says("Done."),
      ),
    );
    const parent = askOf(model, "parent", [begin]);
    const first = await place.worker([parent, child]);
    const handle = await parent.background("x");
    await until(() => begun.length === 1);
    const second = await place.worker([parent, child]);
    await first.stop({ drainMs: 0 });
    expect(await handle.result({ timeoutMs: 10_000 })).toBe("Done.");
    expect(second.functionNames).toEqual(["parent", "child"]);
    expect(begun[1]).toEqual(begun[0]);
    expect(new Set(begun[0]).size).toBe(3);
    expect(await runs.list({ parentRunId: handle.runId })).toHaveLength(3);
  });
});
