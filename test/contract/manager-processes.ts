// The suite's part about what lies beyond the process: other processes, and a backend that goes away.

import { setTimeout as sleep } from "node:timers/promises";
import { type CallOptions, llmFunction, prompt, type StopRequest, setCancellationManager } from "llmethod";
import { describe, expect } from "vitest";
import { talks, waits } from "../stop/own-models.ts";
import { soon, until } from "../stop/stage.ts";
import { ManagerProcess } from "./manager-process.ts";
import type { Manager, ManagerSuite } from "./manager-suite.ts";

export function servesProcesses({ kind, open, openBreakable, holds, faults }: ManagerSuite): void {
  describe("other processes", () => {
    const child = async () => {
      const { manager, second, recipe } = await open();
      if (recipe === undefined) throw new Error(`The kind ${kind.name} names no recipe for another process.`);
      return { manager, second, child: await ManagerProcess.start(recipe) };
    };

    holds(
      "reaches a run of another process at once",
      async () => {
        const { manager, child: other } = await child();
        await using _ = other;
        const times: number[] = [];
        for (let i = 0; i < 15; i++) {
          const runId = `far-${i}`;
          await other.run(runId);
          const start = performance.now();
          expect(await manager.cancel(runId, { round: i })).toBe(true);
          expect(await other.ended(runId)).toMatchObject({ status: "cancelled", reason: { round: i } });
          times.push(performance.now() - start);
          await other.settled(runId);
        }
        expect((await manager.activeRuns()).size).toBe(0);
        expect(other.faults).toEqual([]);
        expect(times.sort((a, b) => a - b)[7]).toBeLessThan(kind.medianMs);
      },
      60_000,
    );

    holds(
      "reaches a run of this process from another one",
      async () => {
        const { manager, child: other } = await child();
        await using _ = other;
        setCancellationManager(manager);
        const run = llmFunction({ model: waits() })((_options?: CallOptions) => prompt`Wait.`).stream({
          runId: "near",
        });
        await until(() => run.history.length === 2);
        expect(await other.cancel("near", "from afar")).toBe(true);
        expect(await soon(run.outcome)).toMatchObject({ status: "cancelled", reason: "from afar" });
        expect(await other.cancel("unknown", "from afar")).toBe(false);
      },
      30_000,
    );

    holds(
      "forgets the runs of a process that was killed",
      async () => {
        const { manager, child: other } = await child();
        await using _ = other;
        await other.run("lost");
        expect([...(await manager.activeRuns())]).toEqual([["lost", false]]);
        await other.kill();
        const end = performance.now() + kind.forgetsDeadMs;
        while ((await manager.activeRuns()).size > 0) {
          expect(performance.now()).toBeLessThan(end);
          await sleep(50);
        }
        expect(await manager.cancel("lost")).toBe(false);
      },
      30_000,
    );

    holds(
      "holds no process open, neither after its runs nor by a watch",
      async () => {
        const { manager, child: other } = await child();
        await using _ = other;
        await other.run("last");
        await manager.cancel("last");
        await other.settled("last");
        expect(await other.leave()).toBe(0);
        expect(other.stderr).toBe("");
      },
      30_000,
    );
  });

  describe("an outage", () => {
    holds(
      "is told to a watch once, and the watch goes on after it",
      async () => {
        const { manager, second, goDown, comeBack } = await openBreakable();
        const heard: StopRequest[] = [];
        const told: unknown[] = [];
        const other = second();
        for (const runId of ["a", "b"]) {
          await manager.register(runId);
          manager.watch(
            runId,
            (request) => heard.push(request),
            (fault) => told.push(fault),
          );
        }
        await sleep(100);
        for (const round of [1, 2]) {
          await goDown();
          await until(() => told.length === 2 * round, "the outage to be told to both");
          await sleep(1200);
          expect(told.length, "it is told once").toBe(2 * round);
          await comeBack();
          // Also time for the watches to have looked again, so that the next outage is a new one.
          await sleep(1500);
          await entriesAreBack(other, ["a", "b"]);
        }
        expect(await other.cancel("a", "after all")).toBe(true);
        await until(() => heard.length > 0, "the watch to be called", 10_000);
        expect(heard).toMatchObject([{ runId: "a", reason: "after all" }]);
        expect(told.length).toBe(4);
      },
      40_000,
    );

    holds(
      "lets every call fail within a second, and runs start and end",
      async () => {
        const { manager, goDown, comeBack } = await openBreakable();
        await manager.register("before");
        await goDown();
        const calls: Record<string, () => Promise<unknown>> = {
          register: () => manager.register("a"),
          cancel: () => manager.cancel("a"),
          isCancelled: () => manager.isCancelled("a"),
          cleanup: () => manager.cleanup("before"),
          activeRuns: () => manager.activeRuns(),
        };
        for (const [name, call] of Object.entries(calls)) {
          const start = performance.now();
          await expect(call(), name).rejects.toThrow(Error);
          expect(performance.now() - start, name).toBeLessThan(900);
        }
        setCancellationManager(manager);
        const speak = llmFunction({ model: talks("All.") })((_options?: CallOptions) => prompt`Speak.`);
        for (let i = 0; i < 3; i++) {
          const run = speak.stream({ runId: `down-${i}` });
          expect(await soon(run.outcome)).toMatchObject({ status: "completed" });
          expect(await soon(run.settled)).toBeUndefined();
        }
        const waiting = llmFunction({ model: waits() })((_options?: CallOptions) => prompt`Wait.`).stream();
        await until(() => waiting.history.length === 2);
        waiting.cancel("halt");
        expect(await soon(waiting.outcome)).toMatchObject({ status: "cancelled", reason: "halt" });
        expect(await soon(waiting.settled)).toBeUndefined();
        expect(
          faults().length,
          faults()
            .map(({ message }) => message)
            .join("\n"),
        ).toBeGreaterThan(0);
        expect(new Set(faults().map(({ message }) => message)).size).toBe(faults().length);
        await comeBack();
        const end = performance.now() + 10_000;
        while ((await manager.cancel("again").catch((error: unknown) => error)) instanceof Error) {
          expect(performance.now(), "it works again").toBeLessThan(end);
          await sleep(100);
        }
      },
      40_000,
    );
  });
}

/** A manager makes the entries of its runs again, as the backend may have lost them. */
async function entriesAreBack(manager: Manager, runIds: readonly string[]): Promise<void> {
  const end = performance.now() + 10_000;
  for (;;) {
    const found = await manager.activeRuns().catch(() => new Map());
    if (runIds.every((runId) => found.has(runId))) return;
    expect(performance.now(), "the entries are there again").toBeLessThan(end);
    await sleep(100);
  }
}
