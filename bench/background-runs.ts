/** Runs that answer at once: how soon they begin, and how many there are in a second. */
import { setTimeout as delay } from "node:timers/promises";
import { runs } from "../dist/index.js";
import { instant } from "./background-functions.ts";
import type { BackgroundResults } from "./background-tasks.ts";
import { machineNow, repeat } from "./measure.ts";

/** Between two runs, at most, in ms: looks that come at intervals are met at any time of theirs. */
const pauseMs = 50;
const submitters = 20;
const lookMs = 100;

export async function startTimes(count: number): Promise<BackgroundResults["start-times"]> {
  const submitted: number[] = [];
  const requested: number[] = [];
  for (let done = 0; done < count; done++) {
    await delay(Math.random() * pauseMs);
    const start = machineNow();
    const run = await instant.background("Now?");
    submitted.push(machineNow() - start);
    requested.push(Number(await run.result({ timeoutMs: 60_000 })) - start);
  }
  return { submitted, requested };
}

export async function submit(count: number, key: string): Promise<number> {
  const start = performance.now();
  const submitOne = () => instant.background("Now?", { key });
  await repeat(submitOne, { runs: count, concurrency: submitters });
  return (1000 * count) / (performance.now() - start);
}

export async function drained(count: number, key: string): Promise<number> {
  const open = () => runs.list({ key, status: ["pending", "running"], limit: 1 });
  while ((await open()).length > 0) await delay(lookMs);
  const records = await runs.list({ key, status: "completed", limit: count + 1 });
  if (records.length !== count) throw new Error(`${records.length} of ${count} runs have completed`);
  const begun = Math.min(...records.map(({ startedAt = Number.NaN }) => startedAt));
  const ended = Math.max(...records.map(({ endedAt = Number.NaN }) => endedAt));
  return (1000 * count) / (ended - begun);
}
