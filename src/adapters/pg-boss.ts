/** The queue on pg-boss: jobs in the database of the run store, made in one transaction with their runs. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Db } from "pg-boss";
import { isPlainObject } from "../json.ts";
import type { Execute, QueuedRun, QueueWorker, RunQueue, WorkOptions } from "../queue.ts";
import { databaseOf, type Engine, openEngine } from "./pg-boss-engine.ts";
import { checkOptions, optionKeys, type PostgresOptions, type Settings } from "./postgres-options.ts";
import { checkFaultListener, type FaultListener, plainName, reporter, uuidOf } from "./queue-options.ts";
import { type JobSource, QueuePump, type Rhythm, type TakenJob } from "./queue-pump.ts";
import { checkKeys } from "./stop-request.ts";

export interface PgBossQueueOptions extends PostgresOptions {
  /** The schema that holds pg-boss's tables; created where it is missing. Default `llmethod_pgboss`. */
  readonly schema?: string;
  /** Hears of faults that end no run, such as a database that is down; each once. Default: a process warning. */
  readonly onFault?: FaultListener;
}

interface BossJob extends TakenJob {
  readonly id: string;
  readonly queue: string;
  /** Which claim of the job this is: nothing is done with a job that has been claimed again. */
  readonly retryCount: number;
}

/** pg-boss lets a pass begin a second after the last one: who comes at that very moment comes too early. */
const rhythm: Rhythm = { renewMs: 2000, tendMs: 1100 };
/** How long a run that is at work may take to end before it is put into the queue again. */
const patienceMs = 2000;
const lookMs = 50;

/**
 * Carries runs to workers by pg-boss 12, on the database of a `PostgresRunStore`: give both the same `url`. A run and
 * its job are stored in one transaction. The runs of a worker that died are taken up by another after 9 to 12 seconds.
 * One delivery lasts a day at most. Needs the packages `pg` and `pg-boss`. It holds no process open.
 *
 * @throws UsageError `invalid_option`, at once; with the first call where a package is missing
 * @example
 * configure({ store: new PostgresRunStore(), queue: new PgBossQueue() });
 * const worker = await startWorker({ functions: [analyst] });
 */
export class PgBossQueue implements RunQueue {
  readonly joinsTransaction = true;
  readonly #settings: Settings;
  readonly #hasListener: boolean;
  #report: (what: string, cause: unknown) => void;
  readonly #pumps = new Set<QueueWorker>();
  #engine: Promise<Engine> | undefined;
  #isClosed = false;

  constructor(options: PgBossQueueOptions = {}) {
    checkKeys("PgBossQueue", options, [...optionKeys, "onFault"]);
    const { schema = "llmethod_pgboss", onFault, ...rest } = options;
    checkFaultListener("PgBossQueue", onFault);
    this.#settings = checkOptions("PgBossQueue", { ...rest, schema });
    this.#hasListener = onFault !== undefined;
    this.#report = reporter(onFault);
  }

  /** `transaction`: a client of `pg` with a transaction on the same database. */
  async enqueue(run: QueuedRun, transaction?: unknown): Promise<void> {
    const engine = await this.#open();
    const queue = await engine.queueOf(run.functionName);
    const db = isClient(transaction) ? databaseOf(transaction) : undefined;
    const giveUpAt = performance.now() + patienceMs;
    for (;;) {
      if (await send(engine, queue, run, db)) return;
      const state = await stateOf(engine, queue, run.runId, db);
      if (state === "waits") return;
      if (state === "ended") await removeEnded(engine, queue, run.runId, db);
      if (state !== "runs") continue;
      // It may be on its way out, and its run to be run again.
      if (db !== undefined || performance.now() > giveUpAt) return;
      await sleep(lookMs);
    }
  }

  async missing(runs: readonly QueuedRun[]): Promise<readonly QueuedRun[]> {
    const { schema, query } = await this.#open();
    const rows = await query<{ place: number }>(
      `select place::int as place from unnest($1::text[], $2::uuid[]) with ordinality as run (queue, id, place)
       where not exists (select from "${schema}".job
         where job.name = run.queue and job.id = run.id and job.state <= 'active')`,
      [runs.map(({ functionName }) => plainName(functionName)), runs.map(({ runId }) => uuidOf(runId))],
    );
    const places = new Set(rows.map(({ place }) => place));
    return runs.filter((_, index) => places.has(index + 1));
  }

  async dequeue({ runId, functionName }: QueuedRun): Promise<void> {
    const engine = await this.#open();
    const queue = await engine.queueOf(functionName);
    await engine.query(
      `delete from "${engine.schema}".job where name = $1 and id = $2::uuid and state < 'active'`,
      [queue, uuidOf(runId)],
    );
  }

  async work(execute: Execute, options: WorkOptions): Promise<QueueWorker> {
    if (!this.#hasListener && options.report !== undefined) this.#report = options.report;
    const engine = await this.#open();
    const pump = new QueuePump(sourceOf(engine), { execute, options, rhythm }, this.#report);
    this.#pumps.add(pump);
    return pump;
  }

  /** Ends all subscriptions, then the connections. The queue cannot be opened again. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#pumps].map((pump) => pump.stop()));
    const engine = await this.#engine?.catch(() => undefined);
    this.#engine = undefined;
    await engine?.end();
  }

  async #open(): Promise<Engine> {
    if (this.#isClosed) throw new Error("This PgBossQueue is closed: make a new one.");
    this.#engine ??= openEngine(this.#settings, (error) =>
      this.#report("pg-boss has met a fault", error),
    ).catch((error) => {
      this.#engine = undefined;
      throw error;
    });
    return this.#engine;
  }
}

/** `false` where the run has a job already, of whatever state. */
async function send(engine: Engine, queue: string, run: QueuedRun, db: Db | undefined): Promise<boolean> {
  const { runId, priority, delayMs = 0 } = run;
  const data = { runId, failures: 0 };
  const id = await engine.boss.send(queue, data, {
    id: uuidOf(runId),
    priority: Math.round(priority),
    ...after(delayMs),
    ...(db === undefined ? {} : { db }),
  });
  if (id === null) return false;
  if (delayMs <= 0) await ring(engine, db);
  return true;
}

/** Seconds from now, by the database's clock. */
function after(delayMs: number): { startAfter?: number } {
  return delayMs < 1 ? {} : { startAfter: Math.ceil(delayMs) / 1000 };
}

async function ring({ channel, query }: Engine, db: Db | undefined): Promise<void> {
  const statement = "select pg_notify($1, '~')";
  if (db === undefined) await query(statement, [channel]);
  else await db.executeSql(statement, [channel]);
}

type State = "none" | "waits" | "runs" | "ended";

async function stateOf({ schema, query }: Engine, queue: string, runId: string, db?: Db): Promise<State> {
  const statement = `select state::text as state from "${schema}".job where name = $1 and id = $2::uuid`;
  const values = [queue, uuidOf(runId)];
  const [row] =
    db === undefined
      ? await query<{ state: string }>(statement, values)
      : (await db.executeSql(statement, values)).rows;
  if (row === undefined) return "none";
  if (row.state === "active") return "runs";
  return row.state === "created" || row.state === "retry" ? "waits" : "ended";
}

/** A job that pg-boss has given up, or that somebody has cancelled there, would keep its run's id taken. */
async function removeEnded({ schema, query }: Engine, queue: string, runId: string, db?: Db): Promise<void> {
  const statement = `delete from "${schema}".job where name = $1 and id = $2::uuid and state > 'active'`;
  const values = [queue, uuidOf(runId)];
  if (db === undefined) await query(statement, values);
  else await db.executeSql(statement, values);
}

function sourceOf(engine: Engine): JobSource<BossJob> {
  const { boss, schema } = engine;
  return {
    async take(functions, limit) {
      const queues = await Promise.all(functions.map((name) => engine.queueOf(name)));
      const jobs: BossJob[] = [];
      for (const { queue, count } of await shares(engine, queues, limit)) {
        try {
          const fetched = await boss.fetch<unknown>(queue, { batchSize: count });
          for (const { id, data, retryCount } of fetched)
            jobs.push({ ...readData(data), id, queue, retryCount });
        } catch (error) {
          // What was taken before it is ours now; the next look meets the fault again.
          if (jobs.length === 0) throw error;
          break;
        }
      }
      return jobs;
    },
    async renew(jobs) {
      const held = await engine.query<{ claim: string }>(
        `update "${schema}".job set heartbeat_on = now() where state = 'active'
           and (name, id, retry_count) in (select * from unnest($1::text[], $2::uuid[], $3::int[]))
         returning id || ' ' || retry_count as claim`,
        [jobs.map(({ queue }) => queue), jobs.map(({ id }) => id), jobs.map(({ retryCount }) => retryCount)],
      );
      const claims = new Set(held.map(({ claim }) => claim));
      return jobs.filter(({ id, retryCount }) => !claims.has(`${id} ${retryCount}`));
    },
    async done(job) {
      await boss.deleteJob(job.queue, job);
    },
    async again({ queue, id, retryCount, runId }, delayMs, failures) {
      const values = [queue, id, retryCount, JSON.stringify({ runId, failures }), Math.ceil(delayMs)];
      const rows = await engine.query(
        `update "${schema}".job set state = 'retry', data = $4::jsonb, start_after = now() + $5 * interval '1 ms'
         where name = $1 and id = $2::uuid and state = 'active' and retry_count = $3 returning id`,
        values,
      );
      if (rows.length > 0 && delayMs < 1) await ring(engine, undefined);
    },
    tend: () => boss.supervise(),
    listen: (ringUp) => engine.listener.subscribe(() => ringUp()),
  };
}

/** How many jobs to take from each queue, so that the highest priorities of all come first, then the oldest. */
async function shares({ schema, query }: Engine, queues: readonly string[], limit: number) {
  const [only] = queues;
  if (queues.length === 1 && only !== undefined) return [{ queue: only, count: limit }];
  return query<{ queue: string; count: number }>(
    `select queue, count(*)::int as count from (
       select queue from unnest($1::text[]) as served (queue) cross join lateral (
         select priority, created_on from "${schema}".job
         where name = served.queue and state < 'active' and not blocked and start_after <= now()
         order by priority desc, created_on limit $2
       ) waiting order by priority desc, created_on limit $2
     ) next group by queue`,
    [queues, limit],
  );
}

function readData(data: unknown): { runId: string; failures: number } {
  const { runId, failures } = isPlainObject(data) ? data : {};
  if (typeof runId !== "string") throw new Error("A job of pg-boss in a queue of llmethod names no run.");
  return { runId, failures: Number(failures ?? 0) };
}

function isClient(value: unknown): value is Parameters<typeof databaseOf>[0] {
  return typeof value === "object" && value !== null && "query" in value && typeof value.query === "function";
}
