// What a queue promises of its jobs by itself, without a store: one suite for all.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Delivery, Execute, QueuedRun, RunQueue } from "../../src/queue.ts";
import { eventually, hasJob } from "./queue-stage.ts";

export interface JobsEntry {
  readonly name: string;
  /** A queue of its own for each test, and others on the same jobs, as other processes would have them. */
  open(onFault: (error: Error) => void): Promise<OpenQueue>;
  readonly missing?: string | undefined;
}

export interface OpenQueue {
  another(): RunQueue;
  /** Lets the engine believe that the worker of this run has died. */
  takeAway(run: QueuedRun): Promise<void>;
  /** Gives the job up, as an engine may do after too many failures, and keeps it as failed. */
  giveUp(run: QueuedRun): Promise<void>;
  dispose(): Promise<void>;
}

const run = (runId: string, more: Partial<QueuedRun> = {}): QueuedRun => ({
  runId,
  functionName: "Class.ask",
  priority: 0,
  ...more,
});
const options = { functions: ["Class.ask"], concurrency: 10 };
const done: Delivery = { kind: "done" };

export function testJobs({ name, open, missing }: JobsEntry): void {
  describe.skipIf(missing !== undefined && process.env.CI === undefined)(`the jobs of ${name}`, () => {
    let opened: OpenQueue;
    let queue: RunQueue;
    const queues: RunQueue[] = [];
    const faults: string[] = [];
    const another = (): RunQueue => {
      const made = opened.another();
      queues.push(made);
      return made;
    };

    beforeEach(async () => {
      opened = await open(({ message }) => faults.push(message));
      queue = another();
    });
    afterEach(async () => {
      await Promise.all(queues.splice(0).map((made) => made.close()));
      await opened.dispose();
      expect(faults.splice(0).filter((fault) => !fault.endsWith("out of order"))).toEqual([]);
    });

    test("are there while they wait and while they run, and then no more", async () => {
      const gate = Promise.withResolvers<void>();
      expect(await hasJob(queue, run("r"))).toBe(false);
      await queue.enqueue(run("r", { delayMs: 60_000 }));
      await queue.enqueue(run("s"));
      expect(await hasJob(another(), run("r"))).toBe(true);
      const begun: string[] = [];
      await queue.work(async (runId) => {
        begun.push(runId);
        await gate.promise;
        return done;
      }, options);
      await eventually(() => begun.length === 1);
      expect(begun).toEqual(["s"]);
      expect(await hasJob(queue, run("s"))).toBe(true);
      gate.resolve();
      await eventually(async () => !(await hasJob(queue, run("s"))));
    });

    test("are looked for many at once, of several functions: those that are missing are told in their order", async () => {
      const all = Array.from({ length: 600 }, (_, index) =>
        run(`r${index}`, { functionName: index % 2 === 0 ? "Class.ask" : "never: enqueued" }),
      );
      const there = [0, 2, 100, 598];
      for (const index of there) {
        const delayMs = index === 100 ? 60_000 : 0;
        await queue.enqueue(run(`r${index}`, { delayMs }));
      }
      const gate = Promise.withResolvers<void>();
      const begun: string[] = [];
      await queue.work(
        async (runId) => {
          begun.push(runId);
          await gate.promise;
          return done;
        },
        { ...options, concurrency: 1 },
      );
      await eventually(() => begun.length === 1);
      const begin = performance.now();
      const missing = await another().missing(all);
      if (process.env.SHOW_TIMES !== undefined)
        console.log(`${name}: 600 looked for in ${Math.round(performance.now() - begin)} ms`);
      expect(missing).toEqual(all.filter((_, index) => !there.includes(index)));
      expect(await queue.missing([])).toEqual([]);
      gate.resolve();
    });

    test("are given to a worker also of functions that it is given later, within the same concurrency", async () => {
      let atOnce = 0;
      let most = 0;
      const begun: string[] = [];
      await queue.enqueue(run("early", { functionName: "Class.later" }));
      const worker = await queue.work(
        async (runId) => {
          begun.push(runId);
          atOnce += 1;
          most = Math.max(most, atOnce);
          await new Promise((resolve) => setTimeout(resolve, 30));
          atOnce -= 1;
          return done;
        },
        { ...options, concurrency: 2 },
      );
      await queue.enqueue(run("first"));
      await eventually(() => begun.length === 1);
      expect(begun).toEqual(["first"]);
      worker.add(["Class.later", "Class.ask"]);
      worker.add(["Class.later"]);
      for (let index = 0; index < 6; index += 1) {
        await queue.enqueue(
          run(`r${index}`, { functionName: index % 2 === 0 ? "Class.ask" : "Class.later" }),
        );
      }
      await eventually(() => begun.length === 8 && atOnce === 0);
      expect(new Set(begun).size).toBe(8);
      expect(most).toBe(2);
    });

    test("are one for a run, however often it is enqueued, and another when that one is done", async () => {
      const begun: string[] = [];
      await Promise.all([queue.enqueue(run("r")), another().enqueue(run("r")), queue.enqueue(run("r"))]);
      await queue.work(async (runId) => {
        begun.push(runId);
        return done;
      }, options);
      await eventually(async () => !(await hasJob(queue, run("r"))));
      expect(begun).toEqual(["r"]);
      await queue.enqueue(run("r"));
      await eventually(() => begun.length === 2);
    });

    test("are made also where the last one is just on its way out", async () => {
      const gate = Promise.withResolvers<void>();
      const begun: string[] = [];
      await queue.enqueue(run("r"));
      await queue.work(async (runId) => {
        begun.push(runId);
        if (begun.length === 1) await gate.promise;
        return done;
      }, options);
      await eventually(() => begun.length === 1);
      const enqueued = queue.enqueue(run("r"));
      setTimeout(gate.resolve, 300);
      await enqueued;
      await eventually(() => begun.length === 2);
    });

    test("are made also where the engine keeps one that it has given up", async () => {
      await queue.enqueue(run("r"));
      await opened.giveUp(run("r"));
      expect(await hasJob(queue, run("r"))).toBe(false);
      await queue.enqueue(run("r"));
      expect(await hasJob(queue, run("r"))).toBe(true);
      const begun = Promise.withResolvers<string>();
      await queue.work(async (runId) => {
        begun.resolve(runId);
        return done;
      }, options);
      expect(await begun.promise).toBe("r");
    });

    test("go where they wait, not where they run", async () => {
      const gate = Promise.withResolvers<void>();
      const begun: string[] = [];
      await queue.dequeue(run("nobody"));
      await queue.enqueue(run("r"));
      await queue.dequeue(run("r"));
      expect(await hasJob(queue, run("r"))).toBe(false);
      await queue.enqueue(run("s"));
      await queue.work(async (runId) => {
        begun.push(runId);
        await gate.promise;
        return done;
      }, options);
      await eventually(() => begun.length === 1);
      await queue.dequeue(run("s"));
      expect(await hasJob(queue, run("s"))).toBe(true);
      gate.resolve();
      expect(begun).toEqual(["s"]);
    });

    test("carry ids and function names of any kind", async () => {
      const names = ["a:b/c", "ü 👋", "x".repeat(500), "12", "A", "a"];
      const functions = names.map((each) => `Class.${each}`);
      const begun: string[] = [];
      for (const [index, each] of names.entries()) {
        await queue.enqueue(run(each, { functionName: functions[index] ?? "" }));
      }
      await queue.work(
        async (runId) => {
          begun.push(runId);
          return done;
        },
        { functions, concurrency: 10 },
      );
      await eventually(() => begun.length === names.length);
      expect(begun.sort()).toEqual(names.sort());
    });

    test("come again after the time that a worker names, and with their priority", async () => {
      const begun: { runId: string; at: number }[] = [];
      await queue.enqueue(run("later"));
      await queue.work(async (runId) => {
        begun.push({ runId, at: performance.now() });
        return begun.length < 3 ? { kind: "later", delayMs: 300 } : done;
      }, options);
      await eventually(async () => begun.length === 3 && !(await hasJob(queue, run("later"))));
      const [first = 0, second = 0, third = 0] = begun.map(({ at }) => at);
      expect(second - first).toBeGreaterThan(290);
      expect(third - second).toBeGreaterThan(290);
    });

    test("come again soon where a worker fails, and not all the time", async () => {
      const begun: number[] = [];
      await queue.enqueue(run("r"));
      await queue.work(async () => {
        begun.push(performance.now());
        if (begun.length < 3) throw new Error("out of order");
        return done;
      }, options);
      await eventually(async () => begun.length === 3 && !(await hasJob(queue, run("r"))));
      const [first = 0, second = 0, third = 0] = begun;
      expect(second - first).toBeGreaterThan(400);
      expect(third - second).toBeGreaterThan(900);
    });

    test("are given to a worker as many at once as it takes, over all its functions", async () => {
      let atOnce = 0;
      let most = 0;
      let count = 0;
      for (let index = 0; index < 8; index += 1) {
        await queue.enqueue(run(`r${index}`, { functionName: index % 2 === 0 ? "f" : "g" }));
      }
      await queue.work(
        async () => {
          atOnce += 1;
          most = Math.max(most, atOnce);
          await new Promise((resolve) => setTimeout(resolve, 30));
          atOnce -= 1;
          count += 1;
          return done;
        },
        { functions: ["f", "g"], concurrency: 3 },
      );
      await eventually(() => count === 8);
      expect(most).toBe(3);
    });

    test("stay with a worker that has paused until they are done; new ones go elsewhere", async () => {
      const gate = Promise.withResolvers<void>();
      const begun: string[] = [];
      const signals: AbortSignal[] = [];
      const as =
        (who: string): Execute =>
        async (runId, signal) => {
          begun.push(`${who} ${runId}`);
          signals.push(signal);
          if (who === "first") await gate.promise;
          return done;
        };
      const first = await queue.work(as("first"), options);
      await queue.enqueue(run("r"));
      await eventually(() => begun.length === 1);
      const begin = performance.now();
      await first.pause();
      expect(performance.now() - begin).toBeLessThan(1000);
      await queue.enqueue(run("s"));
      await another().work(as("second"), options);
      await eventually(() => begun.length === 2);
      gate.resolve();
      await eventually(async () => !(await hasJob(queue, run("r"))));
      await first.stop();
      expect(begun).toEqual(["first r", "second s"]);
      expect(signals.map(({ aborted }) => aborted)).toEqual([false, false]);
    });

    test("go to another worker at once where theirs leaves before they are done", async () => {
      const begun: string[] = [];
      const lost = Promise.withResolvers<void>();
      const first = await queue.work(async (runId, signal) => {
        begun.push(`first ${runId}`);
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        lost.resolve();
        return done;
      }, options);
      await queue.enqueue(run("r"));
      await eventually(() => begun.length === 1);
      await another().work(async (runId) => {
        begun.push(`second ${runId}`);
        return done;
      }, options);
      const begin = performance.now();
      await first.stop();
      await lost.promise;
      await eventually(() => begun.length === 2);
      expect(performance.now() - begin).toBeLessThan(3000);
      expect(begun).toEqual(["first r", "second r"]);
      await eventually(async () => !(await hasJob(queue, run("r"))));
    });

    test("that were taken away are told to their worker, and what it says of them counts no more", async () => {
      const gate = Promise.withResolvers<void>();
      const begun: string[] = [];
      const signals: AbortSignal[] = [];
      await queue.enqueue(run("r"));
      await queue.work(async (runId, signal) => {
        begun.push(runId);
        signals.push(signal);
        await gate.promise;
        return done;
      }, options);
      await eventually(() => begun.length === 1);
      await opened.takeAway(run("r"));
      await eventually(() => signals[0]?.aborted === true && begun.length === 2);
      expect(signals[1]?.aborted).toBe(false);
      gate.resolve();
      await eventually(async () => !(await hasJob(queue, run("r"))));
      expect(begun).toEqual(["r", "r"]);
    }, 30_000);

    test("are refused when the queue is closed", async () => {
      await queue.enqueue(run("r"));
      await queue.close();
      await queue.close();
      await expect(queue.enqueue(run("s"))).rejects.toThrow("is closed: make a new one");
      await expect(queue.work(async () => done, options)).rejects.toThrow("is closed: make a new one");
    });
  });
}
