/** Where background runs are kept while they are measured: a SQLite file, or a database of their own with a queue. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import pg from "pg";
import type { RunQueue, RunStore } from "../dist/index.js";

/** Stores and what carries their runs to workers. */
export const backends = ["SQLite", "PostgreSQL + pg-boss", "PostgreSQL + BullMQ"] as const;
export type Backend = (typeof backends)[number];

/** What a process needs to know to work there. Plain JSON. */
export interface Place {
  readonly backend: Backend;
  /** For files. */
  readonly directory: string;
  /** For keys of Redis, and the name of the database. */
  readonly name: string;
  /** The database of this place; empty where there is none. */
  readonly databaseUrl: string;
}

export interface OpenPlace {
  readonly store: RunStore;
  readonly queue: RunQueue | undefined;
}

const serverUrl = () => process.env.DATABASE_URL || "postgres://postgres@127.0.0.1:5432/test";
export const redisUrl = () => process.env.REDIS_URL || "redis://127.0.0.1:6379";

export async function openPlace({ backend, directory, name, databaseUrl }: Place): Promise<OpenPlace> {
  if (backend === "SQLite") {
    const { SqliteRunStore } = await import("../dist/adapters/sqlite.js");
    return { store: new SqliteRunStore({ path: join(directory, "runs.db") }), queue: undefined };
  }
  const { PostgresRunStore } = await import("../dist/adapters/postgres.js");
  const store = new PostgresRunStore({ url: databaseUrl });
  if (backend === "PostgreSQL + BullMQ") {
    const { BullMQQueue } = await import("../dist/adapters/bullmq.js");
    return { store, queue: new BullMQQueue({ url: redisUrl(), prefix: name }) };
  }
  const { PgBossQueue } = await import("../dist/adapters/pg-boss.js");
  return { store, queue: new PgBossQueue({ url: databaseUrl }) };
}

/** Makes a place that nobody else has, and removes it with all that was kept there when the work is done. */
export async function withPlace<R>(backend: Backend, work: (place: Place) => Promise<R>): Promise<R> {
  const name = `llmethod_bench_${randomBytes(5).toString("hex")}`;
  const directory = mkdtempSync(join(tmpdir(), "llmethod-bench-"));
  const isLocal = backend === "SQLite";
  try {
    if (!isLocal) await onServer((client) => client.query(`create database ${name}`));
    return await work({ backend, directory, name, databaseUrl: isLocal ? "" : databaseUrl(name) });
  } finally {
    rmSync(directory, { recursive: true, force: true });
    if (!isLocal) {
      await onServer((client) => client.query(`drop database if exists ${name} with (force)`));
      if (backend === "PostgreSQL + BullMQ") await removeKeys(name);
    }
  }
}

/** On the server, beside the databases of the places: what is asked there is not counted for them. */
export async function onServer<R>(work: (client: pg.Client) => Promise<R>): Promise<R> {
  const client = new pg.Client({ connectionString: serverUrl(), connectionTimeoutMillis: 2000 });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** What is there to be measured, and in which version; a server that is not there has one line that says so. */
export interface Servers {
  readonly backends: readonly Backend[];
  readonly versions: string;
}

let found: Promise<Servers> | undefined;

export function servers(): Promise<Servers> {
  found ??= findServers();
  return found;
}

async function findServers(): Promise<Servers> {
  const [postgres, redis] = await Promise.all([postgresVersion(), redisVersion()]);
  const packages = ["pg", "pg-boss", "bullmq", "ioredis"].map((name) => {
    const file = new URL(`../node_modules/${name}/package.json`, import.meta.url);
    return `${name} ${(JSON.parse(readFileSync(file, "utf8")) as { version: string }).version}`;
  });
  const versions = [
    postgres === undefined ? "no PostgreSQL (set DATABASE_URL): left out" : `PostgreSQL ${postgres}`,
    redis === undefined ? "no Redis (set REDIS_URL): left out" : `Redis ${redis}`,
    ...packages,
  ];
  const there = backends.filter((backend) => {
    if (backend === "SQLite") return true;
    return postgres !== undefined && (backend !== "PostgreSQL + BullMQ" || redis !== undefined);
  });
  return { backends: there, versions: versions.join(", ") };
}

async function postgresVersion(): Promise<string | undefined> {
  try {
    const { rows } = await onServer((client) =>
      client.query<{ server_version: string }>("show server_version"),
    );
    return rows[0]?.server_version.split(" ")[0];
  } catch {
    return undefined; // its absence is what the caller tells of
  }
}

async function redisVersion(): Promise<string | undefined> {
  const redis = new Redis(redisUrl(), { lazyConnect: true, retryStrategy: () => null, connectTimeout: 2000 });
  redis.on("error", () => {}); // told by `connect`
  try {
    await redis.connect();
    return /redis_version:(\S+)/.exec(await redis.info("server"))?.[1];
  } catch {
    return undefined; // its absence is what the caller tells of
  } finally {
    redis.disconnect();
  }
}

async function removeKeys(prefix: string): Promise<void> {
  const redis = new Redis(redisUrl());
  for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1000 }) as AsyncIterable<
    string[]
  >) {
    if (keys.length > 0) await redis.del(...keys);
  }
  await redis.quit();
}

function databaseUrl(name: string): string {
  const url = new URL(serverUrl());
  url.pathname = `/${name}`;
  return url.href;
}
