// Cancellation managers of one's own, and broken ones: they coordinate, and runs start and end without them.

import {
  CancellationManager,
  cancelRun,
  configure,
  MemoryCancellationManager,
  type RunStream,
  type StopRequest,
  setCancellationManager,
} from "llmethod";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { chatOf } from "./ask.ts";
import { BrokenManager } from "./broken-manager.ts";
import { checkInvariants, ended } from "./checks.ts";
import { talks, waits } from "./own-models.ts";
import { loops, soon, until } from "./stage.ts";

let faults: Error[] = [];
const rejections: unknown[] = [];
const noteRejection = (reason: unknown) => rejections.push(reason);

beforeEach(() => {
  faults = [];
  configure({ onFault: (fault) => faults.push(fault) });
  process.on("unhandledRejection", noteRejection);
});

afterEach(async () => {
  setCancellationManager(new MemoryCancellationManager());
  await loops(5);
  process.off("unhandledRejection", noteRejection);
  expect(rejections.splice(0)).toEqual([]);
});

/** The five methods and nothing else; `answerTime` makes each of them slow. */
class PlainManager extends CancellationManager {
  readonly running = new Map<string, number>();
  readonly requests = new Map<string, StopRequest>();
  readonly asked: string[] = [];
  answerTime = 0;

  async register(runId: string): Promise<void> {
    await this.#answer("register");
    this.running.set(runId, (this.running.get(runId) ?? 0) + 1);
  }

  async cancel(runId: string, reason?: unknown): Promise<boolean> {
    await this.#answer("cancel");
    if (!this.requests.has(runId)) this.requests.set(runId, { runId, reason, at: Date.now() });
    return this.running.has(runId);
  }

  async isCancelled(runId: string): Promise<StopRequest | undefined> {
    await this.#answer("isCancelled");
    return this.requests.get(runId);
  }

  async cleanup(runId: string): Promise<void> {
    await this.#answer("cleanup");
    this.running.delete(runId);
    this.requests.delete(runId);
  }

  async activeRuns(): Promise<ReadonlyMap<string, boolean>> {
    return new Map([...this.running.keys()].map((runId) => [runId, this.requests.has(runId)]));
  }

  async #answer(method: string): Promise<void> {
    this.asked.push(method);
    if (this.answerTime > 0) await new Promise((resolve) => setTimeout(resolve, this.answerTime));
  }
}

async function speaking(runId: string): Promise<RunStream<unknown>> {
  const run = chatOf(waits()).stream("Go", { runId });
  await until(() => run.history.length === 2);
  return run;
}

describe("a manager with the five methods", () => {
  test("reaches a run by its polled watch, when another process has stored the request", async () => {
    const manager = new PlainManager();
    setCancellationManager(manager);
    const run = await speaking("polled");
    const reason = { by: "another process" };
    await manager.cancel("polled", reason);
    const seen = await ended(run);
    checkInvariants(seen);
    expect(seen.outcome.status === "cancelled" && seen.outcome.reason === reason).toBe(true);
    await run.settled;
    expect(manager.running.size + manager.requests.size).toBe(0);
    const asked = manager.asked.length;
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(manager.asked.length, "it is polled no more").toBe(asked);
  });

  test("reaches a run of this process at once through cancelRun", async () => {
    setCancellationManager(new PlainManager());
    const run = await speaking("direct");
    expect(await cancelRun("direct", "halt", { wait: true })).toBe(true);
    expect(await run.outcome).toMatchObject({ status: "cancelled", reason: "halt" });
  });

  test("is asked before the first request", async () => {
    const manager = new PlainManager();
    manager.answerTime = 20;
    await manager.cancel("early", "halt");
    setCancellationManager(manager);
    const seen = await ended(chatOf(talks("All.")).stream("Go", { runId: "early" }));
    expect(seen.outcome).toMatchObject({ status: "cancelled", reason: "halt", turns: 0 });
    expect(seen.events.map(({ type }) => type)).toEqual(["run-start", "run-cancelled"]);
  });

  test("keeps the entry of a newer run, where it is slow to clean up the older one's", async () => {
    const manager = new PlainManager();
    manager.answerTime = 30;
    setCancellationManager(manager);
    const first = chatOf(waits()).stream("Go", { runId: "again" });
    first.cancel("halt");
    await first.outcome;
    const second = await speaking("again");
    await first.settled;
    expect(await manager.activeRuns()).toEqual(new Map([["again", false]]));
    expect(await cancelRun("again", "now")).toBe(true);
    expect(await second.outcome).toMatchObject({ reason: "now" });
  });

  test("does not hold up a stop where it is slow", async () => {
    const manager = new PlainManager();
    manager.answerTime = 600;
    setCancellationManager(manager);
    const run = chatOf(talks("All.")).stream("Go");
    const at = performance.now();
    run.cancel("halt");
    expect((await run.outcome).status).toBe("cancelled");
    expect(performance.now() - at).toBeLessThan(300);
    await run.settled;
    await until(() => manager.asked.includes("cleanup") && manager.running.size === 0);
    expect(faults.filter(({ message }) => message.includes("register"))).toEqual([]);
  });
});

describe("a manager whose every method rejects", () => {
  test("lets runs start, stop and end, and is reported once", async () => {
    setCancellationManager(
      new BrokenManager(() => {
        throw new Error("the database is down");
      }),
    );
    for (let i = 0; i < 3; i++) {
      expect((await chatOf(talks("All."))("Go")).status).toBe("completed");
      const run = await speaking(`down-${i}`);
      run.cancel("halt");
      const seen = await ended(run);
      checkInvariants(seen);
      expect(await soon(run.settled)).toBeUndefined();
    }
    expect(faults.map(({ message }) => message)).toEqual([expect.stringContaining("the database is down")]);
  });

  test("still reaches a run of this process through cancelRun", async () => {
    setCancellationManager(
      new BrokenManager(() => {
        throw new Error("the network is down");
      }),
    );
    const run = await speaking("reached");
    expect(await cancelRun("reached", "halt", { wait: true })).toBe(true);
    expect(await run.outcome).toMatchObject({ status: "cancelled", reason: "halt" });
    expect(new Set(faults.map(({ message }) => message)).size).toBe(faults.length);
    await expect(cancelRun("unknown")).rejects.toThrow("the network is down");
  });
});

describe("a manager with a watch of its own that throws", () => {
  class Watchful extends MemoryCancellationManager {
    readonly #watch: () => () => void;
    constructor(watch: () => () => void) {
      super();
      this.#watch = watch;
    }
    override watch(): () => void {
      return this.#watch();
    }
  }

  const throwing = (message: string) => () => {
    throw new Error(message);
  };

  const watches: Record<string, () => () => void> = {
    "at the start": throwing("no watch"),
    "at its end": () => throwing("no unwatch"),
    "as it gives nothing to end it": () => undefined as unknown as () => void,
  };

  test.each(Object.keys(watches))("%s: runs start and end", async (name) => {
    setCancellationManager(new Watchful(watches[name] ?? throwing("")));
    const run = chatOf(talks("All.")).stream("Go");
    expect(await soon(run.outcome)).toMatchObject({ status: "completed" });
    expect(await soon(run.settled)).toBeUndefined();
    expect(faults.length).toBeLessThanOrEqual(1);
  });
});
