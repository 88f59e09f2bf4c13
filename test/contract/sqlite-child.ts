// The program of a StoreProcess: it does what it is told, and goes when the channel to its parent is closed.

import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { LostClaimError } from "../../src/store.ts";
import type { Reply, Request } from "./sqlite-process.ts";
import { claimed, deltas, newRun, outcome } from "./store-runs.ts";

if (process.env.WITHOUT_WATCH !== undefined) {
  fs.watch = () => {
    throw new Error("no watches left");
  };
  syncBuiltinESMExports();
}

const { SqliteCancellationManager, SqliteRunStore } = await import("../../src/adapters/sqlite.ts");
const path = process.argv[2] ?? "";
const store = new SqliteRunStore({ path });
const manager = new SqliteCancellationManager({ path });

const jobs = {
  pid: async () => process.pid,

  async warn() {
    process.emitWarning("mine", "ExperimentalWarning");
  },

  /** Tells `performance.timeOrigin + now` of the first bell after which the run has a stop request. */
  async bellTime(runId: string) {
    const { promise, resolve } = Promise.withResolvers<number>();
    const end = await store.watch(async () => {
      if ((await store.stopRequests([runId])).size > 0) resolve(performance.timeOrigin + performance.now());
    });
    const at = await promise;
    end();
    return at;
  },

  /** The same by a watch of the manager. */
  async stopTime(runId: string) {
    await manager.register(runId);
    const { promise, resolve } = Promise.withResolvers<number>();
    manager.watch(runId, () => resolve(performance.timeOrigin + performance.now()));
    const at = await promise;
    await manager.cleanup(runId);
    return at;
  },

  /** Takes up runs until none is left; each gets events and an end. Gives what it has run. */
  async work(events: number) {
    const done: string[] = [];
    for (;;) {
      const taken = await store.claimNext(`w${process.pid}`, { functions: ["ask"] });
      if (taken === undefined) return done;
      for (let index = 0; index < events; index += 1) {
        await store.save(taken.claim, { events: deltas(taken.claim.runId, 1), journal: [index] });
      }
      if (await store.finish(taken.claim, outcome("completed"), [])) done.push(taken.claim.runId);
    }
  },

  /** Writes to one run with an attempt that others have too. */
  async share(attempt: number, saves: number) {
    for (let index = 0; index < saves; index += 1) {
      await store.save({ runId: "shared", attempt }, { events: deltas("shared", 2) });
    }
  },

  /** Tries to write under a void claim. */
  async zombie(runId: string, attempt: number) {
    try {
      await store.save({ runId, attempt }, { events: deltas(runId, 1) });
      return "written";
    } catch (error) {
      return error instanceof LostClaimError ? "lost" : String(error);
    }
  },

  /** Asks for stops of these runs, one after the other; gives the answers. */
  async stop(runIds: readonly string[]) {
    const answers: boolean[] = [];
    for (const runId of runIds) answers.push(await store.requestStop(runId));
    return answers;
  },

  /** Ends these runs, whose first attempt it is given. */
  async finish(runIds: readonly string[]) {
    for (const runId of runIds) await store.finish({ runId, attempt: 1 }, outcome("completed"), []);
  },

  /** Opens the file, writes and closes it, again and again. */
  async churn(count: number) {
    for (let index = 0; index < count; index += 1) {
      const own = new SqliteRunStore({ path });
      await own.create(newRun(`${process.pid}-${index}`));
      await own.close();
    }
  },

  /** Holds a store, a watch, a claim and a registration open, and closes nothing. */
  async hold(runId: string) {
    await store.create(newRun(runId));
    await store.watch(() => {});
    await manager.register(runId);
    manager.watch(runId, () => {});
    return claimed(await store.claim(runId, "holder"));
  },
};

const targets: Record<Request["target"], object> = { store, manager, job: jobs };

process.on("message", async ({ id, target, method, args }: Request) => {
  const reply = await answer(target, method, args).then(
    (value): Reply => ({ id, value: value instanceof Map ? [...value] : value }),
    (error: Error): Reply => ({
      id,
      error: { name: error.name, message: error.message, code: Reflect.get(error, "code") },
    }),
  );
  process.send?.(reply);
});

async function answer(target: Request["target"], method: string, args: readonly unknown[]): Promise<unknown> {
  const called: unknown = Reflect.get(targets[target], method);
  if (typeof called !== "function") throw new Error(`no ${method}`);
  return Reflect.apply(called, targets[target], args);
}
