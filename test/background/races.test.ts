// Stops that meet submissions, beginnings and ends: whoever wins, there is one end, and everybody sees the same.

import { setTimeout as sleep } from "node:timers/promises";
import { cancelRun, type RunRecord, runs } from "llmethod";
import { describe, expect, test } from "vitest";
import { allEvents, checkLog } from "./checks.ts";
import { askOf, hangs, modelOf, says } from "./models.ts";
import { storeKinds, usePlace } from "./place.ts";

describe.each(storeKinds)("in the store %s", (kind) => {
  const place = usePlace(kind);

  async function checked(runId: string): Promise<RunRecord> {
    const record = await runs.wait(runId, { timeoutMs: 15_000 });
    checkLog(record, await allEvents(place.store, runId));
    return record;
  }

  test("a stop that races with the submission ends the run cancelled, whichever comes first", async () => {
    const ask = askOf(modelOf((request) => hangs("Once", request)));
    await place.worker([ask], { concurrency: 100 });
    const found = await Promise.all(
      Array.from({ length: 200 }, async (_, n) => {
        const cancel = async () => {
          if (n % 3 === 0) await sleep(n % 7);
          return n % 2 === 0 ? runs.cancel(`begin-${kind}-${n}`, n) : cancelRun(`begin-${kind}-${n}`, n);
        };
        const submit = async () => {
          if (n % 5 === 0) await sleep(n % 4);
          return ask.background("x", { runId: `begin-${kind}-${n}` });
        };
        const [wasThere] =
          n % 4 < 2
            ? await Promise.all([cancel(), submit()])
            : (await Promise.all([submit(), cancel()])).toReversed();
        return wasThere;
      }),
    );
    expect(new Set(found)).toEqual(new Set([true, false]));
    for (let n = 0; n < 200; n++) {
      expect(await checked(`begin-${kind}-${n}`)).toMatchObject({
        status: "cancelled",
        outcome: { reason: n, cause: "cancel" },
      });
    }
  });

  test("a request that came before a stored run is used up by it", async () => {
    const ask = askOf(modelOf(() => says("Done.")));
    const runId = `later-${kind}`;
    expect(await cancelRun(runId, "enough")).toBe(false);
    await ask.background("x", { runId });
    expect((await checked(runId)).status).toBe("cancelled");
    // The next one with this id is another run.
    expect(await ask("x", { runId })).toBe("Done.");
  });

  test("a stop that races with the end leaves one of them, and the same for all", async () => {
    const ask = askOf(modelOf(() => says("One two three four.")));
    await place.worker([ask], { concurrency: 20 });
    const statuses = await Promise.all(
      Array.from({ length: 120 }, async (_, n) => {
        const handle = await ask.background("x", { runId: `end-${kind}-${n}` });
        await sleep(n % 30);
        const wasThere = await handle.cancel("enough");
        const record = await checked(handle.runId);
        if (!wasThere) expect(record.status).toBe("completed");
        if (record.status === "completed") expect(await handle.result()).toBe("One two three four.");
        return record.status;
      }),
    );
    expect(statuses.every((status) => status === "completed" || status === "cancelled")).toBe(true);
    expect(await runs.list({ status: ["pending", "running"] })).toEqual([]);
    expect(place.faults).toEqual([]);
  });
});
