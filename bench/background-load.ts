/** What an idle worker asks of its servers. */
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { onServer, type Place, redisUrl } from "./background-place.ts";

export interface Load {
  /** Transactions that PostgreSQL has committed for the place's database, a second. */
  readonly transactions: number | null;
  /** Commands that Redis was sent for the place's keys, a second; what its scripts do is not counted. */
  readonly commands: number | null;
  /** Connections to the place's database. */
  readonly connections: number | null;
}

export async function loadOf({ backend, name }: Place, seconds: number): Promise<Load> {
  const commands = backend === "PostgreSQL + BullMQ" ? await countCommands(name) : undefined;
  const before = backend === "SQLite" ? undefined : await databaseOf(name);
  await delay(seconds * 1000);
  const after = backend === "SQLite" ? undefined : await databaseOf(name);
  return {
    transactions:
      before === undefined || after === undefined ? null : (after.commits - before.commits) / seconds,
    commands: commands === undefined ? null : commands() / seconds,
    connections: after?.connections ?? null,
  };
}

async function databaseOf(name: string): Promise<{ commits: number; connections: number }> {
  const { rows } = await onServer((client) =>
    client.query<{ commits: string; connections: number }>(
      "select xact_commit as commits, numbackends as connections from pg_stat_database where datname = $1",
      [name],
    ),
  );
  const [row] = rows;
  if (row === undefined) throw new Error(`PostgreSQL counts nothing for the database ${name}`);
  return { commits: Number(row.commits), connections: row.connections };
}

/** Counts from now on; the returned function ends it and gives the number. */
async function countCommands(prefix: string): Promise<() => number> {
  const redis = new Redis(redisUrl());
  const monitor = await redis.monitor();
  let count = 0;
  monitor.on("monitor", (_time: string, command: readonly string[], source: string) => {
    if (source !== "lua" && command.some((word) => word.includes(prefix))) count++;
  });
  return () => {
    monitor.disconnect();
    redis.disconnect();
    return count;
  };
}
