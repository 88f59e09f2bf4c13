/** BullMQ's jobs by hand: what a worker of its own would do, for the queues of many functions on one connection. */
import { randomUUID } from "node:crypto";
import type { Job, Queue, QueueOptions, WorkerOptions } from "bullmq";
import type { Redis } from "ioredis";
import { plainName } from "./queue-options.ts";
import type { JobSource, TakenJob } from "./queue-pump.ts";

export interface Data {
  readonly runId: string;
  readonly failures: number;
}

type Jobs = Queue<Data, unknown, string>;

export interface BullJob extends TakenJob {
  readonly job: Job<Data>;
  readonly token: string;
}

export interface Bull {
  readonly prefix: string;
  /** How long a job belongs to a worker that says nothing, in ms. */
  readonly lockMs: number;
  readonly module: typeof import("bullmq");
  /** Sends commands. @throws Error where the server does not answer soon */
  ask<T>(command: (client: Redis, channel: string) => Promise<T>): Promise<T>;
  listen(ring: () => void): () => void;
  onFault(error: Error): void;
}

/** The queues of functions, made as they are needed. */
export class BullQueues {
  readonly #bull: Bull;
  readonly #queues = new Map<string, Jobs>();

  constructor(bull: Bull) {
    this.#bull = bull;
  }

  /** Does something with the queue of a function. */
  with<T>(
    functionName: string,
    work: (queue: Jobs, client: Redis, channel: string) => Promise<T>,
  ): Promise<T> {
    return this.#bull.ask(async (client, channel) => {
      const queue = this.#queues.get(functionName) ?? this.#make(functionName, client);
      try {
        await queue.waitUntilReady();
      } catch (error) {
        // It would never be ready any more.
        this.#queues.delete(functionName);
        throw error;
      }
      return work(queue, client, channel);
    });
  }

  #make(functionName: string, connection: Redis): Jobs {
    const { lockMs, prefix, module } = this.#bull;
    const options: QueueOptions & Partial<WorkerOptions> = {
      connection,
      prefix,
      lockDuration: lockMs,
      stalledInterval: stalledMs(lockMs),
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      streams: { events: { maxLen: 100 } },
    };
    const queue: Jobs = new module.Queue(plainName(functionName), options);
    queue.on("error", (error) => this.#bull.onFault(error));
    this.#queues.set(functionName, queue);
    return queue;
  }
}

/** A job without a lock is given to others at the second look. */
export const stalledMs = (lockMs: number): number => Math.ceil(lockMs / 2);

export function sourceOf(bull: Bull, queues: BullQueues): JobSource<BullJob> {
  const take = (functionName: string): Promise<BullJob | undefined> =>
    queues.with(functionName, async (queue) => {
      const token = randomUUID();
      const [data, id] = await queue.backend.moveToActive(token);
      if (!isStored(data) || typeof id !== "string") return undefined;
      const job: Job<Data> = bull.module.Job.fromJSON(queue, data, id);
      return { job, token, runId: job.data.runId, failures: job.data.failures };
    });
  return {
    async take(functions, limit) {
      const jobs: BullJob[] = [];
      let left = functions;
      try {
        while (jobs.length < limit) {
          const [first, ...others] = await inOrder(queues, left);
          if (first === undefined) break;
          const job = await take(first);
          if (job === undefined) left = others;
          else jobs.push(job);
        }
      } catch (error) {
        // What was taken before it is ours now; the next look meets the fault again.
        if (jobs.length === 0) throw error;
      }
      return jobs;
    },
    async renew(jobs) {
      const lost = await Promise.all(
        jobs.map(async (taken) => {
          const kept = await bull.ask(() => taken.job.extendLock(taken.token, bull.lockMs));
          return kept === 1 ? [] : [taken];
        }),
      );
      return lost.flat();
    },
    async done({ job, token }) {
      await bull.ask(() => ifOurs(() => job.moveToCompleted(undefined, token, false)));
    },
    async again({ job, token, runId, failures: before }, delayMs, failures) {
      const give = async (client: Redis, channel: string) => {
        if (failures !== before) await job.updateData({ runId, failures });
        if (delayMs >= 1) return job.moveToDelayed(Date.now() + delayMs, token);
        await job.moveToWait(token);
        await client.publish(channel, "");
      };
      await bull.ask((client, channel) => ifOurs(() => give(client, channel)));
    },
    async tend(functions) {
      for (const name of functions) await queues.with(name, (queue) => queue.backend.moveStalledJobsToWait());
    },
    listen: (ring) => bull.listen(ring),
  };
}

/** Those of the functions that have a job to run now: first the one whose next job has the highest priority. */
async function inOrder(queues: BullQueues, functions: readonly string[]): Promise<readonly string[]> {
  // One queue needs no look before it is asked.
  if (functions.length <= 1) return functions;
  const heads = await Promise.all(
    functions.map(async (name) => ({ name, rank: await queues.with(name, rankOf) })),
  );
  const ready = heads.filter((head): head is { name: string; rank: number } => head.rank !== undefined);
  return ready.sort((a, b) => a.rank - b.rank).map(({ name }) => name);
}

/** Delayed jobs stand in their order of time, which is in the upper bits of their score. */
const delayedUnit = 0x1000;

/** The lower, the sooner; nothing where no job may run now. */
async function rankOf(queue: Jobs, client: Redis): Promise<number | undefined> {
  const [stalled, [, next], [, delayed]] = await Promise.all([
    client.llen(queue.toKey("wait")),
    client.zrange(queue.toKey("prioritized"), 0, 0, "WITHSCORES"),
    client.zrange(queue.toKey("delayed"), 0, 0, "WITHSCORES"),
  ]);
  // A delayed job whose time has come gets its place among the others when its queue is asked.
  if (stalled > 0 || Number(delayed) / delayedUnit < Date.now() + 1) return 0;
  return next === undefined ? undefined : Number(next);
}

/** Where the job has been given to somebody else, or is gone, nothing is to be done with it any more. */
async function ifOurs(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (typeof code !== "number" || code >= 0) throw error;
  }
}

function isStored(data: unknown): data is Parameters<typeof Job.fromJSON>[1] {
  return typeof data === "object" && data !== null && "data" in data;
}
