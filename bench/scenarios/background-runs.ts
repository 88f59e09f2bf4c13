/** Runs in the background: how soon they begin, and how many there are in a second. */
import { quantile } from "../measure.ts";
import type { Table } from "../report.ts";
import { forEachBackend } from "./background-stage.ts";
import type { Plan } from "./plan.ts";

const concurrency = 20;

export async function starts({ background: plan }: Plan): Promise<Table[]> {
  const results = await forEachBackend(async ({ start }) => {
    const [client, worker] = [start(), start()];
    await worker.do({ type: "serve", concurrency });
    await client.do({ type: "start-times", runs: plan.warmUps });
    return client.do({ type: "start-times", runs: plan.starts });
  });
  return [
    {
      title: "Background: from the submission to the model, in ms",
      note:
        "Client and worker are two processes. The first two columns are the time of `.background()` itself, the others " +
        "the time from its call to the first model request in the worker, by the clock that both share. " +
        `${plan.starts} runs one after the other, each up to 50 ms after the last has ended, after ${plan.warmUps} for ` +
        "the warm-up; the worker is idle.",
      columns: ["", "`.background()` p50", "p99", "to the model p50", "p99"],
      rows: results.map(({ backend, result: { submitted, requested } }) => [
        backend,
        ...p50p99(submitted),
        ...p50p99(requested),
      ]),
      digits: 1,
    },
  ];
}

export async function rates({ background: plan }: Plan): Promise<Table[]> {
  const results = await forEachBackend(async ({ start }) => {
    const client = start();
    const workers = [start(), start()];
    const submitAll = (key: string, runs = plan.backlog) => client.do({ type: "submit", runs, key });
    // Both workers have run some of the warm-up's runs before.
    await Promise.all(workers.map((worker) => worker.do({ type: "serve", concurrency })));
    await submitAll("warm-up");
    await client.do({ type: "drained", runs: plan.backlog, key: "warm-up" });
    await Promise.all(workers.map((worker) => worker.do({ type: "leave" })));
    const submitted: number[] = [];
    const taken: number[] = [];
    for (const count of [1, 2]) {
      const key = `by ${count}`;
      submitted.push(await submitAll(key));
      const some = workers.slice(0, count);
      await Promise.all(some.map((worker) => worker.do({ type: "serve", concurrency })));
      taken.push(await client.do({ type: "drained", runs: plan.backlog, key }));
      await Promise.all(some.map((worker) => worker.do({ type: "leave" })));
    }
    return { submitted: Math.max(...submitted), taken };
  });
  return [
    {
      title: "Background: runs a second",
      note:
        `${plan.backlog} runs whose model answers at once in the process are submitted by one client, ${concurrency} at a ` +
        `time (the better of two), and are there when the workers begin: from the start of the first to the end of the ` +
        `last, with 1 and 2 worker processes of ${concurrency} slots. Servers, client and workers share the CPU.`,
      columns: ["", "submitted", "1 worker", "2 workers", "×"],
      rows: results.map(({ backend, result: { submitted, taken } }) => {
        const [one = Number.NaN, two = Number.NaN] = taken;
        return [backend, submitted, one, two, two / one];
      }),
      digits: [0, 0, 0, 2],
    },
  ];
}

export function p50p99(times: readonly number[]): [number, number] {
  return [quantile(times, 0.5), quantile(times, 0.99)];
}
