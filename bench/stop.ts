/** How soon a run is over after its signal was aborted, and how soon the server sees its socket closed. */
import { setTimeout as delay } from "node:timers/promises";
import type { RunOnce } from "./contenders/contender.ts";
import { seen, seenClose } from "./control.ts";
import { lookups } from "./lookup.ts";
import { machineNow } from "./measure.ts";
import type { StopTimes, Task } from "./tasks.ts";

type StopTask = Extract<Task, { type: "stop" }>;

/** From the request, or the tool's start, to the stop, in ms: the answer streams by then. */
const leadMs = 15;

export async function stopTimes(run: RunOnce, task: StopTask, baseURL: string): Promise<StopTimes> {
  lookups.manner = task.lookup;
  const before = await seen(baseURL);
  const settled: Promise<number>[] = [];
  const closed: number[] = [];
  for (let count = 1; count <= task.runs; count++) {
    const { stopped, settledMs } = stopOne(run, () => isAtWork(task, before.requests + count, baseURL));
    settled.push(settledMs);
    const stoppedAt = await stopped;
    // Tools that ignore the stop go on for a second: the next run begins meanwhile.
    if (task.lookup !== "ignore") await settledMs;
    if (!task.expectsClose) continue;
    const { at } = await seenClose(baseURL, before.closes + count);
    closed.push(at === null ? Number.NaN : at - stoppedAt);
  }
  const times = await Promise.all(settled);
  await delay(50);
  const { requests } = await seen(baseURL);
  lookups.manner = "answer";
  return { settled: times, closed, lateRequests: requests - before.requests - task.runs };
}

/** Begins a run and stops it once it is at work; gives the time of the stop, and how long the end took. */
function stopOne(run: RunOnce, atWork: () => Promise<void>) {
  const controller = new AbortController();
  const stop = () => {
    controller.abort(new Error("the user left"));
  };
  const stopped = new Promise<number>((resolve) => {
    controller.signal.addEventListener("abort", () => resolve(machineNow()), { once: true });
  });
  lookups.stop = stop;
  const over = run(controller.signal).then(machineNow, machineNow);
  atWork().then(stop);
  return { stopped, settledMs: Promise.all([over, stopped]).then(([end, start]) => end - start) };
}

async function isAtWork({ lookup }: StopTask, request: number, baseURL: string): Promise<void> {
  // Here the tool stops the run by itself.
  if (lookup === "stop-at-last-line") return new Promise(() => {});
  if (lookup === "answer") while ((await seen(baseURL)).requests < request) await delay(2);
  else await lookups.started();
  await delay(leadMs);
}
