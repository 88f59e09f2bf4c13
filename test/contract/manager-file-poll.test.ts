// The file manager where the system gives no file watch, as on some network folders: a look from time to time serves.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { FileCancellationManager } from "../../src/adapters/file.ts";
import { until } from "../stop/stage.ts";

vi.mock("node:fs", async (original) => ({
  ...(await original<typeof import("node:fs")>()),
  watch() {
    throw Object.assign(new Error("no space left for watches"), { code: "ENOSPC" });
  },
}));

test("stops runs without a file watch, and says nothing of it", async () => {
  const directory = await mkdtemp(join(tmpdir(), "llmethod-poll-"));
  const manager = new FileCancellationManager({ directory });
  const other = new FileCancellationManager({ directory });
  const faults: unknown[] = [];
  try {
    for (const runId of ["a", "b"]) {
      const heard: unknown[] = [];
      await manager.register(runId);
      const unwatch = manager.watch(
        runId,
        (request) => heard.push(request),
        (fault) => faults.push(fault),
      );
      const start = performance.now();
      await other.cancel(runId, "looked up");
      await until(() => heard.length > 0);
      expect(heard).toMatchObject([{ runId, reason: "looked up" }]);
      expect(performance.now() - start).toBeLessThan(2000);
      unwatch();
    }
    expect(faults).toEqual([]);
  } finally {
    await Promise.all([manager.close(), other.close()]);
    await rm(directory, { recursive: true });
  }
});
