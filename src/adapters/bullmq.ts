/** The queue on BullMQ: for those who have Redis, or want the runs of a dead worker taken up within seconds. */
import { setTimeout as sleep } from "node:timers/promises";
import { UsageError } from "../errors.ts";
import { shown } from "../json.ts";
import type { Execute, QueuedRun, QueueWorker, RunQueue, WorkOptions } from "../queue.ts";
import { type Bull, BullQueues, sourceOf, stalledMs } from "./bullmq-jobs.ts";
import { checkFaultListener, type FaultListener, peer, plainName, reporter } from "./queue-options.ts";
import { QueuePump } from "./queue-pump.ts";
import { RedisLine } from "./redis-line.ts";
import { checkKeys } from "./stop-request.ts";

export interface BullMQQueueOptions {
  /** Where the server is. Default: the environment's `REDIS_URL`, else `redis://127.0.0.1:6379`. */
  readonly url?: string;
  /** What all keys and the channel begin with. Default `llmethod`; on a cluster it needs a hash tag: `{llmethod}`. */
  readonly prefix?: string;
  /**
   * How long a run belongs to a worker that says nothing, in ms: a worker that died, or one whose thread is blocked.
   * Default 5,000, at least 1,000. Its runs are taken up by another after one to two times as long.
   */
  readonly lockMs?: number;
  /** Hears of faults that end no run, such as a server that is down; each once. Default: a process warning. */
  readonly onFault?: FaultListener;
}

const owner = "BullMQQueue";
const packages = ["bullmq", "ioredis"];
/** Finished jobs go at once: one that were kept would keep its run's id taken. */
const removed = { removeOnComplete: true, removeOnFail: true };
/** How long a run that is at work may take to end before it is put into the queue again. */
const patienceMs = 2000;
const lookMs = 50;
/** How many jobs are looked up at once: each look goes through the list of jobs at work. */
const mostAtOnce = 50;

/**
 * Carries runs to workers by BullMQ 6 on Redis. A run is stored first and enqueued then: while Redis is down it waits in
 * the store, and a worker enqueues it later. One machine's clock says when a delayed run may begin. Needs the packages
 * `bullmq` and `ioredis`. It holds no process open.
 *
 * @throws UsageError `invalid_option`, at once; with the first call where a package is missing
 * @example
 * configure({ store: new PostgresRunStore(), queue: new BullMQQueue({ url: "redis://127.0.0.1:6379" }) });
 * const worker = await startWorker({ functions: [analyst] });
 */
export class BullMQQueue implements RunQueue {
  readonly joinsTransaction = false;
  readonly #prefix: string;
  readonly #lockMs: number;
  readonly #line: RedisLine;
  readonly #bells = new Set<() => void>();
  readonly #pumps = new Set<QueueWorker>();
  readonly #hasListener: boolean;
  #report: (what: string, cause: unknown) => void;
  #open: Promise<{ bull: Bull; queues: BullQueues }> | undefined;
  #isClosed = false;

  constructor(options: BullMQQueueOptions = {}) {
    const { url, prefix = "llmethod", lockMs = 5000, onFault } = checkOptions(options);
    this.#prefix = prefix;
    this.#lockMs = lockMs;
    this.#hasListener = onFault !== undefined;
    this.#report = reporter(onFault);
    const ring = () => {
      for (const bell of [...this.#bells]) bell();
    };
    this.#line = new RedisLine(url ?? (process.env.REDIS_URL || "redis://127.0.0.1:6379"), `${prefix}:bell`, {
      heard: ring,
      down: (error) => this.#report("Redis cannot be heard", error),
      back: ring,
      listening: ring,
      owner,
    });
  }

  async enqueue(run: QueuedRun): Promise<void> {
    const { queues } = await this.#opened();
    const { runId, functionName, priority, delayMs = 0 } = run;
    const jobId = jobIdOf(runId);
    const giveUpAt = performance.now() + patienceMs;
    for (;;) {
      const state = await queues.with(functionName, async (queue, client, channel) => {
        const found = await queue.getJobState(jobId);
        if (isLive(found)) return found;
        // A job that is in no list stands for nothing, and would keep its run's id taken.
        await queue.backend.remove(jobId, false);
        const options = { jobId, priority: priorityOf(priority), delay: Math.ceil(delayMs), ...removed };
        await queue.add("run", { runId, failures: 0 }, options);
        if (delayMs < 1) await client.publish(channel, "");
        return "added";
      });
      // Where it runs, it may be on its way out, and its run to be run again.
      if (state !== "active" || performance.now() > giveUpAt) return;
      await sleep(lookMs);
    }
  }

  async missing(runs: readonly QueuedRun[]): Promise<readonly QueuedRun[]> {
    const { queues } = await this.#opened();
    const missing: QueuedRun[] = [];
    for (let from = 0; from < runs.length; from += mostAtOnce) {
      const some = runs.slice(from, from + mostAtOnce);
      const states = await Promise.all(
        some.map(({ runId, functionName }) =>
          queues.with(functionName, (queue) => queue.getJobState(jobIdOf(runId))),
        ),
      );
      missing.push(...some.filter((_, index) => !isLive(states[index] ?? "unknown")));
    }
    return missing;
  }

  async dequeue({ runId, functionName }: QueuedRun): Promise<void> {
    const { queues } = await this.#opened();
    // A job that is at work is locked, and stays.
    await queues.with(functionName, (queue) => queue.backend.remove(jobIdOf(runId), false));
  }

  async work(execute: Execute, options: WorkOptions): Promise<QueueWorker> {
    if (!this.#hasListener && options.report !== undefined) this.#report = options.report;
    const { bull, queues } = await this.#opened();
    const rhythm = { renewMs: this.#lockMs / 4, tendMs: stalledMs(this.#lockMs) };
    const pump = new QueuePump(sourceOf(bull, queues), { execute, options, rhythm }, this.#report);
    this.#pumps.add(pump);
    return pump;
  }

  /** Ends all subscriptions, then the connections. The queue cannot be opened again. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#pumps].map((pump) => pump.stop()));
    this.#line.close();
  }

  async #opened(): Promise<{ bull: Bull; queues: BullQueues }> {
    if (this.#isClosed) throw new Error(`This ${owner} is closed: make a new one.`);
    this.#open ??= this.#load().catch((error) => {
      this.#open = undefined;
      throw error;
    });
    return this.#open;
  }

  async #load(): Promise<{ bull: Bull; queues: BullQueues }> {
    const module = await peer(() => import("bullmq"), owner, packages);
    await peer(() => import("ioredis"), owner, packages);
    const bull: Bull = {
      module,
      prefix: this.#prefix,
      lockMs: this.#lockMs,
      ask: (command) => this.#line.ask(command),
      listen: (ring) => {
        const own = () => ring();
        this.#bells.add(own);
        this.#line.listen();
        return () => this.#bells.delete(own);
      },
      onFault: (error) => this.#report("BullMQ has met a fault", error),
    };
    return { bull, queues: new BullQueues(bull) };
  }
}

/** BullMQ runs low numbers first, and 0 before all of them. */
function priorityOf(priority: number): number {
  return Math.min(Math.max(1, 1_000_001 - Math.round(priority)), 2_000_001);
}

/** An id that is no number and has no colon, as BullMQ wants it. */
const jobIdOf = (runId: string): string => `r-${plainName(runId)}`;

const liveStates = ["waiting", "prioritized", "delayed", "active"];

const isLive = (state: string): boolean => liveStates.includes(state);

function checkOptions(options: BullMQQueueOptions): BullMQQueueOptions {
  checkKeys(owner, options, ["url", "prefix", "lockMs", "onFault"]);
  const { url, prefix, lockMs, onFault } = options;
  const fail = (what: string): never => {
    throw new UsageError("invalid_option", `${owner}: ${what}`);
  };
  if (url !== undefined && !(typeof url === "string" && /^rediss?:\/\//.test(url))) {
    fail('"url" must be a Redis URL such as redis://127.0.0.1:6379.');
  }
  if (prefix !== undefined && !(typeof prefix === "string" && prefix !== "")) {
    fail(`"prefix" must be a string that is not empty, not ${shown(prefix)}.`);
  }
  const isTime = typeof lockMs === "number" && lockMs >= 1000 && lockMs <= 3_600_000;
  if (lockMs !== undefined && !isTime) {
    fail(`"lockMs" must be a number of milliseconds from 1,000 to an hour, not ${shown(lockMs)}.`);
  }
  checkFaultListener(owner, onFault);
  return options;
}
