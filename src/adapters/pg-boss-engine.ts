/** The engine pg-boss as a queue uses it: opened when it is first needed, on a pool that holds no process open. */
import type { PoolClient } from "pg";
import type { Db, PgBoss } from "pg-boss";
import { Listener } from "./postgres-listener.ts";
import type { Settings } from "./postgres-options.ts";
import { listenConfig, ownPool, postgresModule } from "./postgres-pool.ts";
import { peer, plainName } from "./queue-options.ts";

const owner = "PgBossQueue";
const daySeconds = 24 * 60 * 60;

/** Jobs of a dead worker are free after this time, plus about a second; pg-boss allows no less. */
const heartbeatSeconds = 10;

/** Jobs are removed when they are done, so a job that is there stands for a run that has to be run. */
const jobSettings = {
  heartbeatSeconds,
  expireInSeconds: daySeconds,
  retentionSeconds: 365 * daySeconds,
  deleteAfterSeconds: daySeconds,
  retryLimit: 2_147_483_647,
  retryDelay: 0,
  retryBackoff: false,
} as const;

/** pg-boss, open. */
export interface Engine {
  readonly boss: PgBoss;
  readonly schema: string;
  /** Rung whenever a job was made that may run now. */
  readonly listener: Listener;
  /** The channel on which new jobs are told. */
  readonly channel: string;
  query<Row extends object>(statement: string, values: unknown[]): Promise<Row[]>;
  /** The engine's queue of a function, made where it is missing. */
  queueOf(functionName: string): Promise<string>;
  end(): Promise<void>;
}

export async function openEngine(settings: Settings, onFault: (error: unknown) => void): Promise<Engine> {
  const pg = await postgresModule(owner);
  const { PgBoss } = await peer(() => import("pg-boss"), owner, ["pg-boss"]);
  const { source, schema, listen } = settings;
  const pool = typeof source === "string" ? ownPool(pg, source) : source;
  const ignore = () => {};
  // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
  pool.on("error", ignore);
  const boss = new PgBoss({
    db: { executeSql: (text, values) => pool.query(text, values) },
    schema,
    clock: quietClock,
    // Passes are begun by the workers that need them, with `supervise()`.
    supervise: false,
    schedule: false,
    monitorIntervalSeconds: 1,
  });
  boss.on("error", onFault);
  const channel = `${schema}.job`;
  const listener = new Listener(listen ? () => new pg.Client(listenConfig(pool)) : undefined, channel);
  const queues = new Map<string, Promise<string>>();
  const end = async () => {
    await boss.stop({ graceful: false });
    await listener.end();
    if (typeof source === "string") await pool.end();
    pool.off("error", ignore);
  };
  try {
    await boss.start();
  } catch (error) {
    await end();
    throw error;
  }
  return {
    boss,
    schema,
    listener,
    channel,
    end,
    query: async <Row extends object>(statement: string, values: unknown[]) =>
      (await pool.query<Row>(statement, values)).rows,
    queueOf(functionName) {
      const name = plainName(functionName);
      const made = queues.get(name) ?? boss.createQueue(name, jobSettings).then(() => name);
      queues.set(name, made);
      made.catch(() => queues.delete(name));
      return made;
    },
  };
}

/** A client of `pg`, as pg-boss takes it for work within somebody's transaction. */
export function databaseOf(client: Pick<PoolClient, "query">): Db {
  return { executeSql: (text, values) => client.query(text, values) };
}

/** pg-boss keeps time by this clock: its timers hold no process open. */
const quietClock = {
  now: () => Date.now(),
  setTimeout: (work: () => void, ms: number) => setTimeout(work, ms).unref(),
  clearTimeout: (timer: unknown) => clearTimeout(timer as NodeJS.Timeout),
  setInterval: (work: () => void, ms: number) => setInterval(work, ms).unref(),
  clearInterval: (timer: unknown) => clearInterval(timer as NodeJS.Timeout),
};
