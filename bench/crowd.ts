/** Many runs that wait at once on one signal: what each of them holds, and how soon all are over after its abort. */
import { setTimeout as delay } from "node:timers/promises";
import type { RunOnce } from "./contenders/contender.ts";
import { seen } from "./control.ts";
import type { CrowdCost } from "./tasks.ts";

export async function crowd(run: RunOnce, runs: number, baseURL: string): Promise<CrowdCost> {
  const rehearsal = await gather(run, Math.ceil(runs / 20), baseURL);
  await rehearsal.disperse();
  const before = await memory();
  const { disperse } = await gather(run, runs, baseURL);
  const after = await memory();
  return {
    rssPerRun: (after.rss - before.rss) / runs,
    heapPerRun: (after.heapUsed - before.heapUsed) / runs,
    settledMs: await disperse(),
  };
}

/** Begins the runs and waits until the server has the request of each. */
async function gather(run: RunOnce, runs: number, baseURL: string) {
  const { requests } = await seen(baseURL);
  const controller = new AbortController();
  const over = Array.from({ length: runs }, () => run(controller.signal).catch(() => {}));
  while ((await seen(baseURL)).requests < requests + runs) await delay(20);
  await delay(200);
  return {
    async disperse(): Promise<number> {
      const start = performance.now();
      controller.abort(new Error("the server shuts down"));
      await Promise.all(over);
      return performance.now() - start;
    },
  };
}

async function memory(): Promise<NodeJS.MemoryUsage> {
  for (let count = 0; count < 3; count++) {
    globalThis.gc?.();
    await delay(30);
  }
  return process.memoryUsage();
}
