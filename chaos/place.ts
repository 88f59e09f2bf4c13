/** Where the runs of a chaos run are kept: a SQLite file, or PostgreSQL with one of the queues. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RunQueue, RunStore } from "../src/index.ts";

export const kinds = ["sqlite", "pg-boss", "bullmq"] as const;
export type Kind = (typeof kinds)[number];

/** What a worker process needs to know. Plain JSON. */
export interface Place {
  readonly kind: Kind;
  /** For files. */
  readonly directory: string;
  /** For schemas and keys. */
  readonly name: string;
  readonly modelUrl: string;
  readonly diary: string;
}

export interface OpenPlace {
  readonly store: RunStore;
  readonly queue?: RunQueue;
  close(): Promise<void>;
}

const databaseUrl = () => process.env.DATABASE_URL || "postgres://postgres@127.0.0.1:5432/test";
const redisUrl = () => process.env.REDIS_URL || "redis://127.0.0.1:6379";

export function newPlace(kind: Kind, modelUrl: string): Place {
  const directory = mkdtempSync(join(tmpdir(), "chaos-"));
  const name = `chaos_${process.pid}_${Date.now().toString(36)}`;
  return { kind, directory, name, modelUrl, diary: join(directory, "diary.jsonl") };
}

export async function openPlace({ kind, directory, name }: Place): Promise<OpenPlace> {
  if (kind === "sqlite") {
    const { SqliteRunStore } = await import("../src/adapters/sqlite.ts");
    const store = new SqliteRunStore({ path: join(directory, "runs.db") });
    return { store, close: () => store.close() };
  }
  const { PostgresRunStore } = await import("../src/adapters/postgres.ts");
  const store = new PostgresRunStore({ url: databaseUrl(), schema: name });
  const queue = await openQueue(kind, name);
  const close = async () => {
    await queue.close();
    await store.close();
  };
  return { store, queue, close };
}

async function openQueue(kind: "pg-boss" | "bullmq", name: string): Promise<RunQueue> {
  if (kind === "pg-boss") {
    const { PgBossQueue } = await import("../src/adapters/pg-boss.ts");
    return new PgBossQueue({ url: databaseUrl(), schema: `${name}_boss` });
  }
  const { BullMQQueue } = await import("../src/adapters/bullmq.ts");
  return new BullMQQueue({ url: redisUrl(), prefix: name });
}

/** Removes all that was kept there. */
export async function removePlace({ kind, directory, name }: Place): Promise<void> {
  rmSync(directory, { recursive: true, force: true });
  if (kind === "sqlite") return;
  const { default: pg } = await import("pg");
  const client = new pg.Client({ connectionString: databaseUrl() });
  await client.connect();
  await client.query(`drop schema if exists ${name} cascade; drop schema if exists ${name}_boss cascade`);
  await client.end();
  if (kind === "bullmq") await removeKeys(name);
}

async function removeKeys(name: string): Promise<void> {
  const { Redis } = await import("ioredis");
  const redis = new Redis(redisUrl());
  for await (const found of redis.scanStream({ match: `${name}*`, count: 1000 })) {
    const keys = found as string[];
    if (keys.length > 0) await redis.del(...keys);
  }
  await redis.quit();
}
