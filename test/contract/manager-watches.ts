// The suite's part about what a manager does within one process: watches, runs of the runtime, and close().

import { existsSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type CallOptions, llmFunction, prompt, type StopRequest, setCancellationManager } from "llmethod";
import { describe, expect } from "vitest";
import { talks, waits } from "../stop/own-models.ts";
import { soon, until } from "../stop/stage.ts";
import type { ManagerSuite } from "./manager-suite.ts";

export function watchesRuns({ open, holds, faults }: ManagerSuite): void {
  describe("watches", () => {
    holds("calls a watch once, however often the run is cancelled", async () => {
      const { manager, second } = await open();
      const other = second();
      const heard: StopRequest[] = [];
      await manager.register("a");
      manager.watch("a", (request) => heard.push(request));
      manager.watch("b", (request) => heard.push(request));
      await other.cancel("a", "first");
      await other.cancel("a", "second");
      await until(() => heard.length > 0);
      await other.cancel("a", "third");
      await sleep(400);
      expect(heard).toEqual([expect.objectContaining({ runId: "a", reason: "first" })]);
    });

    holds("calls a watch soon where the request was there before", async () => {
      const { manager, second } = await open();
      await second().cancel("early", "before");
      await manager.register("early");
      const heard: StopRequest[] = [];
      manager.watch("early", (request) => heard.push(request));
      await until(() => heard.length > 0);
      expect(heard).toMatchObject([{ runId: "early", reason: "before" }]);
    });

    holds("never calls a watch that was ended, and leaves the others", async () => {
      const { manager, second } = await open();
      const heard: string[] = [];
      await manager.register("a");
      const unwatch = manager.watch("a", () => heard.push("ended"));
      manager.watch("a", () => heard.push("other"));
      unwatch();
      unwatch();
      await second().cancel("a");
      await until(() => heard.length > 0);
      await sleep(300);
      expect(heard).toEqual(["other"]);
      manager.watch("b", () => heard.push("late"))();
      await second().cancel("b");
      await sleep(300);
      expect(heard).toEqual(["other"]);
    });

    holds("watches 300 runs with a handful of open files and sockets", async () => {
      const { manager, second } = await open();
      const other = second();
      await Promise.all([manager.activeRuns(), other.activeRuns()]);
      const before = openFiles();
      const heard = new Set<string>();
      const ids = Array.from({ length: 300 }, (_, index) => `run-${index}`);
      const ends = ids.map((runId) => manager.watch(runId, () => heard.add(runId)));
      await sleep(300);
      expect(openFiles() - before).toBeLessThanOrEqual(8);
      for (const runId of ids) await other.cancel(runId);
      await until(() => heard.size === ids.length, "all watches to be called");
      for (const end of ends) end();
    });
  });

  describe("runs", () => {
    holds("stops a run of the runtime, and leaves nothing behind", async () => {
      const { manager, second } = await open();
      setCancellationManager(manager);
      const run = llmFunction({ model: waits() })((_options?: CallOptions) => prompt`Wait.`).stream({
        runId: "run",
      });
      await until(() => run.history.length === 2);
      const other = second();
      expect([...(await other.activeRuns())]).toEqual([["run", false]]);
      expect(await other.cancel("run", { by: "another" })).toBe(true);
      expect(await soon(run.outcome)).toMatchObject({ status: "cancelled", reason: { by: "another" } });
      expect(await soon(run.settled)).toBeUndefined();
      expect((await other.activeRuns()).size).toBe(0);
      expect(await other.isCancelled("run")).toBeUndefined();
      expect(faults()).toEqual([]);
    });

    holds("ends a run that was cancelled before its start without a model call", async () => {
      const { manager, second } = await open();
      setCancellationManager(manager);
      await second().cancel("early", "changed my mind");
      const speak = llmFunction({ model: talks("All.") })((_options?: CallOptions) => prompt`Speak.`);
      const outcome = await speak({ runId: "early" }).outcome;
      expect(outcome).toMatchObject({ status: "cancelled", reason: "changed my mind", turns: 0 });
    });

    holds("is asked once a run, not once a token", async () => {
      const { manager } = await open();
      let asked = 0;
      const isCancelled = manager.isCancelled.bind(manager);
      manager.isCancelled = (runId) => {
        asked++;
        return isCancelled(runId);
      };
      setCancellationManager(manager);
      const words = Array.from({ length: 2000 }, () => "word ");
      const speak = llmFunction({ model: talks(...words) })((_options?: CallOptions) => prompt`Speak.`);
      expect((await speak.stream({ runId: "long" }).outcome).status).toBe("completed");
      expect(asked).toBeLessThanOrEqual(3);
    });
  });

  describe("close", () => {
    const watched = async () => {
      const one = await open();
      one.manager.watch("warm", () => {});
      await one.manager.activeRuns();
      await sleep(200);
      return one;
    };

    holds("gives back every file and socket, and ends the watches and the entries", async () => {
      await (await watched()).dispose();
      // Counted from here: what the process opens once and keeps, as for its first file watch, is open by now.
      const before = openFiles();
      const { manager, second, dispose } = await watched();
      const other = second();
      const heard: unknown[] = [];
      await manager.register("a");
      manager.watch(
        "a",
        (request) => heard.push(request),
        (fault) => heard.push(fault),
      );
      await other.activeRuns();
      await sleep(100);
      await manager.close?.();
      await manager.close?.();
      expect((await other.activeRuns()).size).toBe(0);
      await other.cancel("a");
      await sleep(300);
      expect(heard).toEqual([]);
      await expect(manager.register("b")).rejects.toThrow("closed");
      await dispose();
      await until(() => openFiles() <= before, "the files to be closed");
    });
  });
}

/** Open files and sockets of this process; 0 where the system does not tell. */
function openFiles(): number {
  return existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0;
}
