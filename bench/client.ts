/** A client process: one contender with one subject, which does the tasks that the main process sends. */
import { isDeepStrictEqual } from "node:util";
import { type Job, loadContender, type RunOnce } from "./contenders/contender.ts";
import { crowd } from "./crowd.ts";
import { lookups } from "./lookup.ts";
import { costOf, warmUp } from "./measure.ts";
import { respond } from "./respond.ts";
import { stopTimes } from "./stop.ts";
import type { ClientArguments, Results, Task } from "./tasks.ts";

const { contender, subject } = JSON.parse(process.argv[2] ?? "{}") as ClientArguments;
let onDelta = () => {};
const job: Job = {
  ...subject,
  lookup: (input, signal) => lookups.answer(input, signal),
  onDelta: () => onDelta(),
};
const run = (await loadContender(contender)).prepare(job);

respond(perform);

async function perform(task: Task): Promise<Results[keyof Results]> {
  switch (task.type) {
    case "check":
      return check(task.answer, task.lookups);
    case "warm-up":
      return warmUp(run, task);
    case "cost":
      return costOf(run, task);
    case "first-delta":
      return firstDeltas(run, task.runs);
    case "stop":
      return stopTimes(run, task, subject.baseURL);
    case "crowd":
      return crowd(run, task.runs, subject.baseURL);
    default:
      return task satisfies never;
  }
}

async function check(answer: unknown, calls: number): Promise<null> {
  const before = lookups.count;
  const value = await run();
  if (!isDeepStrictEqual(value, answer)) {
    throw new Error(`${contender} answered ${JSON.stringify(value)} instead of ${JSON.stringify(answer)}`);
  }
  if (lookups.count - before !== calls) {
    throw new Error(`${contender} made ${lookups.count - before} tool calls instead of ${calls}`);
  }
  return null;
}

/** From the call to the first delta that its user sees, in ms. */
async function firstDeltas(once: RunOnce, runs: number): Promise<number[]> {
  const times: number[] = [];
  for (let count = 0; count < runs; count++) {
    let seenAt: number | undefined;
    onDelta = () => {
      seenAt ??= performance.now();
    };
    const start = performance.now();
    await once();
    times.push((seenAt ?? Number.NaN) - start);
  }
  onDelta = () => {};
  return times;
}
