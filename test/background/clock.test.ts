// Clocks that jump, and workers whose clocks disagree by minutes: nothing of a run depends on them.

import { setTimeout as sleep } from "node:timers/promises";
import { runs } from "llmethod";
import { afterEach, describe, expect, test, vi } from "vitest";
import { allEvents, checkLog } from "./checks.ts";
import { storeKinds, usePlace } from "./place.ts";
import { finalAnswer, makeStudy } from "./study.ts";

const minute = 60_000;
const trueNow = Date.now;

afterEach(() => vi.restoreAllMocks());

/** All of this process is early or late from now on. */
const shift = (ms: number) => vi.spyOn(Date, "now").mockImplementation(() => trueNow() + ms);

describe.each(storeKinds)("in the store %s", (kind) => {
  const place = usePlace(kind);

  test("a clock that jumps ahead and back in the middle of a run does it no harm", async () => {
    const { study, diary } = makeStudy({ toolMs: 30, deltaMs: 5 });
    const handle = await study.background("rain");
    const jumps = [10, -20, 120, -600];
    for await (const { seq } of handle.events()) {
      const jump = jumps[seq % jumps.length];
      if (jump !== undefined) shift(jump * minute);
    }
    const record = await handle.wait();
    expect(record.outcome?.value).toBe(finalAnswer);
    checkLog(record, await allEvents(place.store, handle.runId));
    expect(diary.requests).toBe(3);
  });

  test("a stop by a process whose clock is late, or early, comes through", async () => {
    for (const ms of [-10 * minute, 10 * minute]) {
      const { study } = makeStudy({ toolMs: 10_000 });
      const handle = await study.background("rain", { runId: `clock${ms}` });
      for await (const { type } of handle.events()) if (type === "tool-start") break;
      shift(ms);
      expect(await runs.cancel(handle.runId, "enough")).toBe(true);
      expect(await handle.wait({ timeoutMs: 5000 })).toMatchObject({ status: "cancelled", attempt: 1 });
      vi.restoreAllMocks();
    }
  });

  test("a run that is submitted by a late process begins at once", async () => {
    const { study } = makeStudy();
    await place.worker([study]);
    shift(-10 * minute);
    const handle = await study.background("rain");
    vi.restoreAllMocks();
    await sleep(1);
    expect((await handle.wait({ timeoutMs: 5000 })).status).toBe("completed");
  });

  test("a run that is submitted by an early process does not wait for its time", async () => {
    const { study } = makeStudy();
    await place.worker([study]);
    shift(10 * minute);
    const handle = await study.background("rain");
    vi.restoreAllMocks();
    expect((await handle.wait({ timeoutMs: 5000 })).status).toBe("completed");
  });
});
