// A cancellation manager that never answers, in a process of its own: a slow manager is reported once for all.

import { cancelRun, configure, setCancellationManager } from "llmethod";
import { beforeEach, describe, expect, test } from "vitest";
import { chatOf } from "./ask.ts";
import { BrokenManager } from "./broken-manager.ts";
import { talks, waits } from "./own-models.ts";
import { soon, until } from "./stage.ts";
import { watchTimers } from "./timer-watch.ts";

const faults: Error[] = [];
configure({ onFault: (fault) => faults.push(fault) });

describe("a manager that never answers", () => {
  beforeEach(() => setCancellationManager(new BrokenManager(() => new Promise(() => {}))));

  test("lets runs start and end, and is reported once", async () => {
    const runs = [0, 1, 2].map(() => chatOf(talks("All."))("Go"));
    expect((await Promise.all(runs)).map(({ status }) => status)).toEqual([
      "completed",
      "completed",
      "completed",
    ]);
    expect(faults.map(({ message }) => message)).toEqual([expect.stringContaining("slow")]);
  });

  test("lets a run settle", async () => {
    const run = chatOf(talks("All."))("Go");
    await run;
    expect(await soon(run.settled)).toBeUndefined();
  });

  test("does not hold up cancelRun: the run of this process stops at once", async () => {
    const run = chatOf(waits()).stream("Go", { runId: "deaf" });
    await until(() => run.history.length === 2);
    void cancelRun("deaf", "halt").catch(() => {});
    expect(await soon(run.outcome)).toMatchObject({ status: "cancelled", reason: "halt" });
  });

  test("does not hang cancelRun for good", async () => {
    const run = chatOf(waits()).stream("Go", { runId: "deaf-2" });
    await until(() => run.history.length === 2);
    expect(await soon(cancelRun("deaf-2", "halt", { wait: true }))).toBe(true);
    run.cancel();
  });

  test("leaves no timer behind a run that was stopped before it was registered", async () => {
    using watch = watchTimers();
    const run = chatOf(talks("All.")).stream("Go");
    run.cancel("halt");
    await run.outcome;
    expect(watch.left).toEqual([]);
  });
});
