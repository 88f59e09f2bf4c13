/** How soon a stop from another process comes through, and how soon the runs of a dead worker go on. */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type ManagerName, managers, neededFor } from "../background-managers.ts";
import { servers } from "../background-place.ts";
import { median } from "../measure.ts";
import type { BackgroundProcess } from "../processes.ts";
import type { Table } from "../report.ts";
import { p50p99 } from "./background-runs.ts";
import { forEachBackend, onStage } from "./background-stage.ts";
import type { Plan } from "./plan.ts";

/** Between two crashes, in ms: not a divisor of what workers do every second. */
const crashEveryMs = 1370;

export async function storedStops({ background: plan }: Plan): Promise<Table[]> {
  const { stops } = plan;
  const stored = await forEachBackend(async ({ start }) => {
    const [client, worker] = [start(), start()];
    await worker.do({ type: "serve", concurrency: 10 });
    await client.do({ type: "stop", runs: Math.ceil(stops / 6), way: "runs.cancel" });
    const byRuns = await client.do({ type: "stop", runs: stops, way: "runs.cancel" });
    const byId = await client.do({ type: "stop", runs: stops, way: "cancelRun" });
    return [...p50p99(byRuns), ...p50p99(byId)];
  });
  const carried: (string | number)[][] = [];
  const there = (await servers()).backends;
  for (const name of managers) {
    if (there.includes(neededFor[name])) carried.push([name, ...p50p99(await managerTimes(name, stops))]);
  }
  const note = `${stops} runs one after the other; each streams a delta every 10 ms.`;
  return [
    {
      title: "Background: from the stop in one process to the end of a stored run in another, in ms",
      note:
        `From the call in the client until it has the final record with the text so far, from \`runs.cancel\` and ` +
        `\`runs.wait\`, and from \`cancelRun\` with \`wait\`. ${note}`,
      columns: ["", "runs.cancel p50", "p99", "cancelRun p50", "p99"],
      rows: stored.map(({ backend, result }) => [backend, ...result]),
      digits: 1,
    },
    {
      title:
        "From `cancelRun` in one process to the outcome of a call in another, in ms, by cancellation manager",
      note: `${note} In memory it is one process.`,
      columns: ["", "p50", "p99"],
      rows: carried,
      digits: 1,
    },
  ];
}

function managerTimes(name: ManagerName, stops: number): Promise<number[]> {
  return onStage(neededFor[name], async ({ start }) => {
    const holder = start(name);
    const canceller = name === "memory" ? holder : start(name);
    const times: number[] = [];
    const warmUps = Math.ceil(stops / 6);
    for (let done = 0; done < warmUps + stops; done++) {
      const runId = randomUUID();
      await holder.do({ type: "hold", runId });
      const { askedAt } = await canceller.do({ type: "cancel", runId });
      const { endedAt, status } = await holder.do({ type: "held", runId });
      if (status !== "cancelled") throw new Error(`a stopped call is ${status}`);
      if (done >= warmUps) times.push(endedAt - askedAt);
    }
    return times;
  });
}

export async function crashes({ background: { crashes: count } }: Plan): Promise<Table[]> {
  const results = await forEachBackend(async ({ start }) => {
    const client = start();
    const victims = Array.from({ length: count }, () => start());
    await Promise.all(victims.map((victim) => victim.do({ type: "serve", concurrency: 1 })));
    const before = await client.do({ type: "linger", runs: count });
    await start().do({ type: "serve", concurrency: 10 });
    const [nextAt, killedAt] = await Promise.all([
      client.do({ type: "next-requests", before }),
      killAll(victims),
    ]);
    return before.map(
      ({ runId, pid }) => ((nextAt[runId] ?? Number.NaN) - (killedAt.get(pid) ?? Number.NaN)) / 1000,
    );
  });
  return [
    {
      title: "Background: from the death of a worker to the next model request of its run in another, in s",
      note:
        `${count} workers with one run each are killed (SIGKILL), one every ${crashEveryMs / 1000} s; one worker is left, ` +
        `which takes the runs up. n = ${count}, with the defaults: SQLite sees that the owner's lock is free, pg-boss ` +
        "waits for its least heartbeat (10 s), BullMQ for a lock of 5 s.",
      columns: ["", "shortest", "median", "longest"],
      rows: results.map(({ backend, result }) => [
        backend,
        Math.min(...result),
        median(result),
        Math.max(...result),
      ]),
      digits: 2,
    },
  ];
}

/** Gives the times of their deaths, by process id. */
async function killAll(
  victims: readonly BackgroundProcess[],
): Promise<ReadonlyMap<number | undefined, number>> {
  const killedAt = new Map<number | undefined, number>();
  for (const victim of victims) {
    await delay(crashEveryMs);
    killedAt.set(victim.pid, await victim.kill());
  }
  return killedAt;
}
