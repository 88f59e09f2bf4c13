/** Events of stored runs: how many are written and read in a second, and how soon a reader has them. */
import { deltasPerSecond } from "../background-tasks.ts";
import type { Table } from "../report.ts";
import { p50p99 } from "./background-runs.ts";
import { forEachBackend, forEachStore } from "./background-stage.ts";
import type { Plan } from "./plan.ts";

export async function events(plan: Plan): Promise<Table[]> {
  return [await writtenAndRead(plan), await tailed(plan)];
}

async function writtenAndRead({ background: { appendMs: ms, streams } }: Plan): Promise<Table> {
  const results = await forEachStore(async ({ start }) => {
    const [writer, reader] = [start(), start()];
    await writer.do({ type: "append", batch: 1, runs: 1, ms: ms / 2 });
    const single = await writer.do({ type: "append", batch: 1, runs: 1, ms });
    const side = await writer.do({ type: "append", batch: 10, runs: streams, ms });
    const many = await writer.do({ type: "append", batch: 100, runs: 1, ms });
    const read = await reader.do({ type: "replay", runId: many.runId, events: many.events });
    return [single.perSecond, side.perSecond, many.perSecond, read];
  });
  return {
    title: "Background: events a second",
    note:
      `Events of 184 characters, appended flat out for ${ms / 1000} s with \`save\`, as a worker does, by one process: one ` +
      `at a time; ten at a time by ${streams} runs side by side; 100 at a time. Then the last log is read from its ` +
      "first event by `runs.events` in another process.",
    columns: ["", "1 a save", `10 a save, ${streams} runs`, "100 a save", "read"],
    rows: results.map(({ backend, result }) => [backend, ...result]),
    digits: 0,
  };
}

async function tailed({ background: { streams, deltas } }: Plan): Promise<Table> {
  const results = await forEachBackend(async ({ start }) => {
    const [client, worker] = [start(), start()];
    await worker.do({ type: "serve", concurrency: streams });
    await client.do({ type: "tail", runs: streams, deltas: deltasPerSecond });
    const before = await worker.do({ type: "usage" });
    const startedAt = performance.now();
    const { latencies, cpu } = await client.do({ type: "tail", runs: streams, deltas });
    const ms = performance.now() - startedAt;
    const after = await worker.do({ type: "usage" });
    return [...p50p99(latencies), (100 * (after.cpuMs - before.cpuMs)) / ms, 100 * cpu];
  });
  return {
    title: "Background: from the model's delta to a reader in another process, in ms",
    note:
      `${streams} runs in one worker stream ${deltasPerSecond} deltas a second each, read by \`runs.events\` in one other ` +
      `process; ${streams * deltas} deltas. The worker writes in batches of 20 ms or more, which is most of the time. ` +
      "CPU in % of a core, from the submission to the end of the last run.",
    columns: ["", "p50", "p99", "CPU of the worker", "of the reader"],
    rows: results.map(({ backend, result }) => [backend, ...result]),
    digits: [1, 1, 0, 0],
  };
}
