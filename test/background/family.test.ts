// Runs that a run has begun in the background: they know their parent, and are stopped with it.

import { configure, type RunHandle, runs } from "llmethod";
import { describe, expect, test } from "vitest";
import { allEvents, checkLog } from "./checks.ts";
import { askOf, byTurn, calls, hangs, modelOf, says, toolOf, until } from "./models.ts";
import { storeKinds, usePlace } from "./place.ts";

describe.each(storeKinds)("the children of a run in the store %s", (kind) => {
  const place = usePlace(kind);
  const child = askOf(
    modelOf((request) => hangs("Once", request)),
    "child",
  );

  /** A run whose tool begins others in the background, and which then speaks on. */
  function parentOf(begin: () => Promise<unknown>, last = "More") {
    const begins = toolOf("begin", async () => {
      await begin();
      return "begun";
    });
    return askOf(
      modelOf(
        byTurn(
          () => calls("begin"),
          (request) => (last === "" ? says("Done.") : hangs(last, request)),
        ),
      ),
      "parent",
      [begins],
    );
  }

  async function spoken(runId: string): Promise<void> {
    await until(async () => (await allEvents(place.store, runId)).some(({ type }) => type === "text-delta"));
  }

  test("are on record with their parent, and outlive one that completes", async () => {
    const handles: RunHandle<string>[] = [];
    const parent = parentOf(async () => handles.push(await child.background("c")), "");
    const handle = await parent.background("p");
    expect(await handle.result({ timeoutMs: 10_000 })).toBe("Done.");
    const [begun] = handles;
    const record = await begun?.get();
    expect(record).toMatchObject({ parentRunId: handle.runId, parentCallId: "call_1" });
    expect(record?.status).not.toBe("cancelled");
    expect(await runs.list({ parentRunId: handle.runId })).toHaveLength(1);
    const [first] = await allEvents(place.store, begun?.runId ?? "");
    if (first !== undefined)
      expect(first).toMatchObject({ parentRunId: handle.runId, parentCallId: "call_1" });
    await begun?.cancel("enough");
    await begun?.wait();
  });

  test("are stopped with it, at work or waiting, and theirs as well", async () => {
    const top = parentOf(async () => {
      await child.background("c2", { runId: "working" });
      await child.background("c3", { runId: "delayed", delayMs: 60_000 });
      await middle.background("m", { runId: "middle" });
    });
    const middle = askOf(
      modelOf(
        byTurn(
          () => calls("begin"),
          (request) => hangs("Middle", request),
        ),
      ),
      "middle",
      [toolOf("begin", async () => void (await child.background("c1", { runId: "grandchild" })))],
    );
    await place.worker([top, middle, child]);
    const handle = await top.background("p", { runId: "top" });
    await until(async () => (await runs.get("grandchild")) !== undefined);
    for (const runId of ["top", "working", "grandchild"]) await spoken(runId);
    expect(await handle.cancel("enough")).toBe(true);
    for (const runId of ["top", "working", "delayed", "middle", "grandchild"]) {
      const record = await runs.wait(runId, { timeoutMs: 10_000 });
      expect(record).toMatchObject({ status: "cancelled", outcome: { reason: "enough", cause: "cancel" } });
      checkLog(record, await allEvents(place.store, runId));
    }
  });

  test("end with it where its own timeout has stopped it", async () => {
    const parent = parentOf(async () => {
      await child.background("c", { runId: "timed" });
      await child.background("c", { runId: "timed-waiting", delayMs: 60_000 });
    });
    await place.worker([parent, child]);
    const handle = await parent.background("p", { timeout: { total: 700 } });
    expect((await handle.wait({ timeoutMs: 10_000 })).outcome?.cause).toBe("timeout");
    for (const runId of ["timed", "timed-waiting"]) {
      expect((await runs.wait(runId, { timeoutMs: 5000 })).status).toBe("cancelled");
    }
  });

  test("are stopped at once while they wait, however many they are and though no worker is there", async () => {
    configure({ worker: false });
    const input = { args: ["x"], options: {} };
    const common = { input, priority: 0 };
    await place.store.create({ ...common, runId: "p", functionName: "parent" });
    for (let n = 0; n < 230; n++) {
      await place.store.create({ ...common, runId: `c${n}`, functionName: "child", parentRunId: "p" });
    }
    expect(await runs.cancel("p", "enough")).toBe(true);
    expect(await runs.list({ status: ["pending", "running"], limit: 1000 })).toEqual([]);
  });

  test("are stopped where the parent is no stored run", async () => {
    const parent = parentOf(() => child.background("c", { runId: "of-a-call" }));
    const call = parent.stream("p");
    await until(async () => (await runs.get("of-a-call")) !== undefined);
    await spoken("of-a-call");
    expect((await runs.get("of-a-call"))?.parentRunId).toBe(call.runId);
    await runs.cancel(call.runId, "enough");
    expect((await runs.wait("of-a-call", { timeoutMs: 5000 })).status).toBe("cancelled");
    call.cancel();
    await call.outcome;
  });
});
