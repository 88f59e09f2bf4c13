/** Events of stored runs: how fast they are written and read, and how soon a reader has them. */
import { randomUUID } from "node:crypto";
import { type Claim, type NewEvent, type RunStore, runs, type StoredOutcome } from "../dist/index.js";
import { paced } from "./background-functions.ts";
import type { BackgroundResults, BackgroundTask } from "./background-tasks.ts";
import { machineNow } from "./measure.ts";

type TaskOf<Type extends BackgroundTask["type"]> = Extract<BackgroundTask, { type: Type }>;

/** Some words, as a batch of deltas has them when it is written. */
const delta = "A delta of a model that has something to say. ".repeat(4);

export async function append(
  store: RunStore,
  { batch, runs: count, ms }: TaskOf<"append">,
): Promise<BackgroundResults["append"]> {
  const claims = await Promise.all(Array.from({ length: count }, () => begin(store)));
  const until = performance.now() + ms;
  const start = performance.now();
  const written = await Promise.all(
    claims.map(async (claim) => {
      const event = { type: "text-delta", delta, runId: claim.runId, at: Date.now() } as const;
      const events: NewEvent[] = Array.from({ length: batch }, () => event);
      let saved = 0;
      while (performance.now() < until) {
        await store.save(claim, { events });
        saved += batch;
      }
      return saved;
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  const total = written.reduce((sum, saved) => sum + saved, 0);
  // Ended, so that whoever reads it comes to its end.
  await Promise.all(claims.map((claim) => end(store, claim)));
  return { perSecond: total / seconds, runId: claims[0]?.runId ?? "", events: written[0] ?? 0 };
}

async function begin(store: RunStore): Promise<Claim> {
  const runId = randomUUID();
  await store.create({ runId, functionName: "nobody's", input: { args: [], options: {} }, priority: 0 });
  const result = await store.claim(runId, "bench");
  if (result.kind !== "claimed") throw new Error(`the run could not be claimed: ${result.kind}`);
  return result.claim;
}

async function end(store: RunStore, claim: Claim): Promise<void> {
  const usage = { inputTokens: 0, outputTokens: 0, totalTokens: 0 };
  const outcome: StoredOutcome = {
    status: "completed",
    text: "",
    history: [],
    patches: [],
    usage,
    turns: 0,
  };
  if (!(await store.finish(claim, outcome, []))) throw new Error("the run could not be ended");
}

export async function replay({ runId, events }: TaskOf<"replay">): Promise<number> {
  const start = performance.now();
  let count = 0;
  for await (const _ of runs.events(runId)) count++;
  const seconds = (performance.now() - start) / 1000;
  if (count !== events) throw new Error(`${count} of ${events} events were read`);
  return count / seconds;
}

export async function tail({ runs: count, deltas }: TaskOf<"tail">): Promise<BackgroundResults["tail"]> {
  const latencies: number[] = [];
  const start = performance.now();
  const before = process.cpuUsage();
  const readOne = async () => {
    const run = await paced.background(String(deltas));
    for await (const event of run.events()) {
      if (event.type === "run-error") throw event.error;
      if (event.type !== "text-delta") continue;
      // Deltas that were written together come as one.
      const now = machineNow();
      for (const at of event.delta.trim().split(" ")) latencies.push(now - Number(at));
    }
  };
  await Promise.all(Array.from({ length: count }, readOne));
  const used = process.cpuUsage(before);
  const cpu = (used.user + used.system) / 1000 / (performance.now() - start);
  if (latencies.length !== count * deltas) throw new Error(`${latencies.length} deltas came through`);
  return { latencies, cpu };
}
