// The suite's part about what a manager keeps: stop requests, and the entries of runs.

import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect } from "vitest";
import type { ManagerSuite } from "./manager-suite.ts";

export function keepsRequests({ open, holds }: ManagerSuite): void {
  describe("requests", () => {
    holds("keeps a request for a run that nobody has registered, and finds it after register", async () => {
      const { manager, second } = await open();
      expect(await manager.cancel("early", "not today")).toBe(false);
      await second().register("early");
      expect(await second().isCancelled("early")).toMatchObject({ runId: "early", reason: "not today" });
    });

    holds("says true where the run is registered, and false before and after", async () => {
      const { manager, second } = await open();
      const other = second();
      await manager.register("a");
      expect(await other.cancel("a")).toBe(true);
      expect(await manager.cancel("a")).toBe(true);
      expect(await manager.cancel("b")).toBe(false);
      await manager.cleanup("a");
      expect(await manager.isCancelled("a")).toBeUndefined();
      expect(await manager.cancel("a")).toBe(false);
    });

    holds("keeps the first reason and the first time", async () => {
      const { manager, second } = await open();
      const before = Date.now();
      await manager.register("a");
      await manager.cancel("a", "first");
      const first = await manager.isCancelled("a");
      await second().cancel("a", "second");
      expect(await manager.isCancelled("a")).toEqual(first);
      expect(first?.reason).toBe("first");
      expect(Math.abs((first?.at ?? 0) - before)).toBeLessThan(60_000);
    });

    holds("knows nothing of a run that nobody wants to stop", async () => {
      const { manager } = await open();
      await manager.register("calm");
      expect(await manager.isCancelled("calm")).toBeUndefined();
      expect(await manager.isCancelled("unknown")).toBeUndefined();
    });

    const reasons: Record<string, unknown> = {
      text: "the user left",
      "an empty text": "",
      "text with every kind of character": 'line\nquote " backslash \\ emoji 🐝 ü ض',
      "a number": 42.5,
      zero: 0,
      true: true,
      false: false,
      null: null,
      "an object": { by: "admin", tags: ["a", { deep: null }], empty: {} },
      "an array": [1, "two", [3]],
      "nothing at all": undefined,
    };
    for (const [what, reason] of Object.entries(reasons)) {
      holds(`gives back a reason that is ${what}`, async () => {
        const { manager, second } = await open();
        await manager.register("a");
        await second().cancel("a", reason);
        expect((await manager.isCancelled("a"))?.reason).toEqual(reason);
      });
    }

    holds("gives back name and message of a reason that is an error", async () => {
      const { manager, second } = await open();
      const reason = new RangeError("too much", { cause: new Error("the root") });
      await second().cancel("a", reason);
      const found = (await manager.isCancelled("a"))?.reason as Error;
      expect([found.name, found.message]).toEqual(["RangeError", "too much"]);
      expect((found.cause as Error).message).toBe("the root");
    });

    holds("stores a request also where its reason has no JSON", async () => {
      const { manager } = await open();
      const cyclic: Record<string, unknown> = {};
      cyclic.self = cyclic;
      for (const [index, reason] of [10n, () => 1, Symbol("s"), cyclic].entries()) {
        await manager.cancel(`odd-${index}`, reason);
        expect(await manager.isCancelled(`odd-${index}`)).toMatchObject({ runId: `odd-${index}` });
      }
    });

    holds("tells any ids apart: upper and lower case, slashes, long ones, any script", async () => {
      const { manager, second } = await open();
      const long = "x".repeat(499);
      const ids = [
        "Run",
        "run",
        "RUN",
        "a/b",
        "a%2fb",
        "a:b",
        "a b",
        "../up",
        ".",
        "*",
        "?",
        "é",
        "e\u0301",
        "蜂🐝",
      ];
      ids.push(
        `${long}1`,
        `${long}2`,
        "ü".repeat(250),
        "con",
        "line\nbreak",
        'quote"',
        "back\\slash",
        "{tag}",
        "%",
      );
      for (const runId of ids) await manager.register(runId);
      const other = second();
      for (const runId of ids) expect(await other.cancel(runId, runId)).toBe(true);
      for (const runId of ids)
        expect(await manager.isCancelled(runId)).toMatchObject({ runId, reason: runId });
      expect([...(await other.activeRuns()).keys()].sort()).toEqual([...ids].sort());
      for (const runId of ids) await manager.cleanup(runId);
      expect((await other.activeRuns()).size).toBe(0);
    });

    holds("loses no request to a registration at the same time", async () => {
      const { manager, second } = await open();
      const other = second();
      const ids = Array.from({ length: 50 }, (_, index) => `race-${index}`);
      await Promise.all(ids.flatMap((runId) => [manager.register(runId), other.cancel(runId, "now")]));
      for (const runId of ids) expect(await manager.isCancelled(runId)).toMatchObject({ reason: "now" });
    });

    holds("keeps one of many requests at the same time", async () => {
      const { manager, second } = await open();
      const other = second();
      await Promise.all(
        Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? manager : other).cancel("a", index)),
      );
      expect(await manager.isCancelled("a")).toEqual(await other.isCancelled("a"));
    });

    holds("throws the reason, or an AbortError where there is none", async () => {
      const { manager } = await open();
      await manager.register("a");
      await expect(manager.throwIfCancelled("a")).resolves.toBeUndefined();
      await manager.cancel("a", { why: "because" });
      await expect(manager.throwIfCancelled("a")).rejects.toEqual({ why: "because" });
      await manager.cancel("b");
      await expect(manager.throwIfCancelled("b")).rejects.toMatchObject({ name: "AbortError" });
    });
  });

  describe("entries", () => {
    holds("lists the registered runs, and whether they are to stop", async () => {
      const { manager, second } = await open();
      const other = second();
      await manager.register("a");
      await other.register("b");
      await manager.cancel("b");
      await manager.cancel("never began");
      const all = new Map([
        ["a", false],
        ["b", true],
      ]);
      expect(new Map(await manager.activeRuns())).toEqual(all);
      expect(new Map(await other.activeRuns())).toEqual(all);
      await other.cleanup("b");
      expect([...(await manager.activeRuns())]).toEqual([["a", false]]);
    });

    holds("never removes the entry of a newer run with the same id, nor its request", async () => {
      const { manager: older, second } = await open();
      const newer = second();
      await older.register("again");
      await newer.register("again");
      await newer.cancel("again", "stay");
      await older.cleanup("again");
      expect([...(await older.activeRuns())]).toEqual([["again", true]]);
      expect(await newer.isCancelled("again")).toMatchObject({ reason: "stay" });
      expect(await newer.cancel("again")).toBe(true);
      await newer.cleanup("again");
      expect((await older.activeRuns()).size).toBe(0);
      expect(await older.isCancelled("again")).toBeUndefined();
    });

    holds("removes nothing for a manager that has registered nothing", async () => {
      const { manager, second } = await open();
      await manager.register("a");
      await manager.cancel("a", "stay");
      await second().cleanup("a");
      expect([...(await manager.activeRuns())]).toEqual([["a", true]]);
      expect(await manager.isCancelled("a")).toMatchObject({ reason: "stay" });
    });

    holds("lets requests expire where no run came, and not where one is at work", async () => {
      const { manager, second } = await open({ intentLifetimeMs: 300 });
      const other = second();
      await manager.register("at work");
      await other.cancel("at work", "stay");
      await other.cancel("unknown", "old");
      expect(await manager.isCancelled("unknown")).toMatchObject({ reason: "old" });
      await sleep(700);
      expect(await manager.isCancelled("unknown")).toBeUndefined();
      expect(await manager.isCancelled("at work")).toMatchObject({ reason: "stay" });
      await manager.register("unknown");
      expect(await manager.isCancelled("unknown")).toBeUndefined();
      await other.cancel("unknown", "new");
      expect(await manager.isCancelled("unknown")).toMatchObject({ reason: "new" });
    });
  });
}
