/** What every engine of jobs has in common: how a worker is given jobs, keeps them, and lets them go. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Delivery, Execute, QueueWorker, WorkOptions } from "../queue.ts";

/** A job that this worker has taken. */
export interface TakenJob {
  readonly runId: string;
  /** How often in a row it could not be carried out. */
  readonly failures: number;
}

/** An engine of jobs, as a pump uses it. */
export interface JobSource<Job extends TakenJob> {
  /** Takes at most `limit` jobs of these functions, highest priority first. Waits for none. */
  take(functions: readonly string[], limit: number): Promise<readonly Job[]>;
  /** Says that these jobs are still at work here; gives those that somebody else has by now. */
  renew(jobs: readonly Job[]): Promise<readonly Job[]>;
  /** Removes the job, if it is still ours. */
  done(job: Job): Promise<void>;
  /** Lets the job be delivered again after a while, if it is still ours. */
  again(job: Job, delayMs: number, failures: number): Promise<void>;
  /** Frees the jobs of workers that have died. */
  tend(functions: readonly string[]): Promise<void>;
  /** Rings when there may be a job. A bell may be lost. Returns how to end it. */
  listen(ring: () => void): () => void;
}

/** How often a pump does what it does by itself, in ms. */
export interface Rhythm {
  readonly renewMs: number;
  readonly tendMs: number;
}

/** A job whose run is at work here; `settling` is there when the run has ended here and the engine is told. */
interface AtWork {
  readonly controller: AbortController;
  settling: Promise<void> | undefined;
}

/** How often jobs are looked for that no bell tells of: delayed ones, and those of dead workers. */
const floorMs = 500;
/** How long the job of a failed execution waits: at first, and at most. */
const firstPauseMs = 500;
const longestPauseMs = 30_000;
/** Pauses between attempts to tell the engine what became of a job; after them its lease runs out. */
const settlePausesMs = [100, 400, 1000];
/** How long giving back may take when a worker leaves. */
const leaveMs = 1000;

/**
 * Takes jobs whenever there is room, from all functions of a worker together, so that `concurrency` holds for the
 * worker and not for each function.
 */
export class QueuePump<Job extends TakenJob> implements QueueWorker {
  readonly #source: JobSource<Job>;
  readonly #execute: Execute;
  readonly #concurrency: number;
  readonly #extra: () => number;
  readonly #report: (what: string, cause: unknown) => void;
  readonly #active = new Map<Job, AtWork>();
  readonly #timers: NodeJS.Timeout[] = [];
  #functions: readonly string[];
  #unlisten = () => {};
  #filling: Promise<void> | undefined;
  #hasRung = false;
  #isPaused = false;
  #isStopped = false;

  constructor(
    source: JobSource<Job>,
    work: { readonly execute: Execute; readonly options: WorkOptions; readonly rhythm: Rhythm },
    report: (what: string, cause: unknown) => void,
  ) {
    this.#source = source;
    this.#execute = work.execute;
    this.#concurrency = work.options.concurrency;
    this.#extra = () => work.options.extra?.() ?? 0;
    this.#functions = [...work.options.functions];
    this.#report = report;
    const { renewMs, tendMs } = work.rhythm;
    this.#every(floorMs, async () => this.#ring());
    this.#every(renewMs, () => this.#renew());
    this.#every(tendMs, () => this.#tend(this.#functions));
    this.#unlisten = this.#source.listen(() => this.#ring());
    this.#ring();
    void this.#tend(this.#functions);
  }

  add(functions: readonly string[]): void {
    const added = functions.filter((name) => !this.#functions.includes(name));
    if (added.length === 0 || this.#isPaused) return;
    this.#functions = [...this.#functions, ...added];
    this.#ring();
    void this.#tend(added);
  }

  async pause(): Promise<void> {
    this.#isPaused = true;
    this.#unlisten();
    await this.#filling;
  }

  async stop(): Promise<void> {
    await this.pause();
    this.#isStopped = true;
    for (const timer of this.#timers) clearInterval(timer);
    const left = [...this.#active].map(([job, { controller, settling }]) => {
      if (settling !== undefined || controller.signal.aborted) return settling;
      controller.abort(new Error("the worker has left its queue"));
      return this.#settle(() => this.#source.again(job, 0, job.failures));
    });
    const late = new AbortController();
    const patience = sleep(leaveMs, undefined, { ref: false, signal: late.signal }).catch(() => {});
    await Promise.race([Promise.all(left), patience]);
    late.abort();
  }

  /** Does it again and again, never twice at a time, and without holding the process open. */
  #every(ms: number, work: () => Promise<void>): void {
    let isAtWork = false;
    const timer = setInterval(async () => {
      if (isAtWork) return;
      isAtWork = true;
      await work();
      isAtWork = false;
    }, ms).unref();
    this.#timers.push(timer);
  }

  #ring(): void {
    this.#hasRung = true;
    this.#filling ??= this.#fill().finally(() => {
      this.#filling = undefined;
    });
  }

  async #fill(): Promise<void> {
    while (this.#hasRung && !this.#isPaused) {
      this.#hasRung = false;
      const free = this.#concurrency + this.#extra() - this.#active.size;
      if (free <= 0) return;
      try {
        const jobs = await this.#source.take(this.#functions, free);
        for (const job of jobs) void this.#begin(job);
        if (jobs.length === free) this.#hasRung = true;
      } catch (error) {
        this.#report("Jobs could not be taken from the queue", error);
      }
    }
  }

  async #begin(job: Job): Promise<void> {
    // It was on its way when the worker was told to take no more.
    if (this.#isPaused) return this.#settle(() => this.#source.again(job, 0, job.failures));
    const work: AtWork = { controller: new AbortController(), settling: undefined };
    const { signal } = work.controller;
    this.#active.set(job, work);
    let delivery: Delivery | undefined;
    try {
      delivery = await this.#execute(job.runId, signal);
    } catch (error) {
      this.#report("A run could not be carried out and is delivered again", error);
    }
    if (!signal.aborted) work.settling = this.#settle(() => this.#tell(job, delivery));
    await work.settling;
    this.#active.delete(job);
    this.#ring();
  }

  async #tell(job: Job, delivery: Delivery | undefined): Promise<void> {
    if (delivery?.kind === "done") return this.#source.done(job);
    const failures = delivery === undefined ? job.failures + 1 : 0;
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(job.failures, 10));
    const delayMs = delivery?.delayMs ?? pauseMs;
    await this.#source.again(job, delayMs, failures);
    if (delayMs < floorMs) setTimeout(() => this.#ring(), delayMs + 1).unref();
  }

  /** Tries for a while; after that the job's lease runs out, and the engine delivers the run again. */
  async #settle(tell: () => Promise<void>): Promise<void> {
    for (const pauseMs of [...settlePausesMs, undefined]) {
      try {
        return await tell();
      } catch (error) {
        if (pauseMs === undefined || this.#isStopped) {
          return this.#report("The queue could not be told what became of a job", error);
        }
        await sleep(pauseMs);
      }
    }
  }

  async #renew(): Promise<void> {
    const held = [...this.#active].filter(([, { controller }]) => !controller.signal.aborted);
    const jobs = held.map(([job]) => job);
    if (jobs.length === 0) return;
    try {
      for (const job of await this.#source.renew(jobs)) {
        const work = this.#active.get(job);
        // Its job goes when it is told to be done, which is no loss.
        if (work?.settling !== undefined) continue;
        work?.controller.abort(new Error("the queue has given the run to another worker"));
      }
    } catch (error) {
      // It says nothing about whose the jobs are: that is found out with the next renewal.
      this.#report("Jobs at work could not be renewed", error);
    }
  }

  async #tend(functions: readonly string[]): Promise<void> {
    try {
      await this.#source.tend(functions);
    } catch (error) {
      this.#report("Jobs of dead workers could not be looked for", error);
    }
  }
}
