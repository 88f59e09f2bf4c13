/** Runs that go on until they are stopped: how soon a stop comes through, and who has them after a crash. */
import { setTimeout as delay } from "node:timers/promises";
import { cancelRun, type RunHandle, runs } from "../dist/index.js";
import { lingering, requests } from "./background-functions.ts";
import type { BackgroundResults, BackgroundTask, Lingering } from "./background-tasks.ts";
import { machineNow } from "./measure.ts";

/** How long a run is at work before it is stopped: at least so long, and at most twice as long, in ms. */
const leadMs = 60;

export async function stopTimes({
  runs: count,
  way,
}: Extract<BackgroundTask, { type: "stop" }>): Promise<number[]> {
  const times: number[] = [];
  for (let done = 0; done < count; done++) {
    const run = await lingering.background("Go on.");
    await firstWords(run);
    await delay(leadMs * (1 + Math.random()));
    const start = machineNow();
    if (way === "cancelRun") await cancelRun(run.runId, "enough", { wait: true });
    else await run.cancel("enough");
    const { status, outcome } = await run.wait();
    times.push(machineNow() - start);
    if (status !== "cancelled" || !outcome?.text) throw new Error(`a stopped run is ${status}`);
  }
  return times;
}

export async function linger(count: number): Promise<Lingering[]> {
  const handles = await Promise.all(Array.from({ length: count }, () => lingering.background("Go on.")));
  return Promise.all(handles.map(async (run) => ({ runId: run.runId, pid: (await firstWords(run)).pid })));
}

export async function nextRequests(
  before: readonly Lingering[],
): Promise<BackgroundResults["next-requests"]> {
  const next = await Promise.all(
    before.map(async ({ runId, pid }) => {
      const { at } = await firstWords({ events: () => runs.events(runId) }, pid);
      await runs.cancel(runId, "enough");
      await runs.wait(runId);
      return [runId, at] as const;
    }),
  );
  return Object.fromEntries(next);
}

/** What the model says first, and first in another process than the given one. */
async function firstWords(
  run: Pick<RunHandle, "events">,
  notIn?: number,
): Promise<{ pid: number; at: number }> {
  for await (const event of run.events()) {
    if (event.type !== "text-delta") continue;
    const [pid, at] = event.delta.split(" ").map(Number);
    if (pid !== undefined && at !== undefined && Number.isInteger(pid) && pid !== notIn) return { pid, at };
  }
  throw new Error("a run that lingers has ended");
}

/** Calls of this process, by run id. */
const calls = new Map<string, Promise<BackgroundResults["held"]>>();

export async function hold(runId: string): Promise<null> {
  const atWork = new Promise<void>((resolve) => {
    requests.onRequest = () => resolve();
  });
  const { outcome } = lingering("Go on.", { runId });
  calls.set(
    runId,
    outcome.then(({ status }) => ({ endedAt: machineNow(), status })),
  );
  await atWork;
  await delay(leadMs * (1 + Math.random()));
  return null;
}

export async function held(runId: string): Promise<BackgroundResults["held"]> {
  const call = calls.get(runId);
  if (call === undefined) throw new Error(`there is no call ${runId}`);
  calls.delete(runId);
  return call;
}

export async function cancel(runId: string): Promise<BackgroundResults["cancel"]> {
  const askedAt = machineNow();
  if (!(await cancelRun(runId, "enough"))) throw new Error(`the run ${runId} was not known`);
  return { askedAt };
}
