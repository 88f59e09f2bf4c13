/** The three configurations of the workers example: what changes from one machine to many. */
import { connect } from "node:net";
import { join } from "node:path";
import type { RunQueue, RunStore } from "llmethod";
import { BullMQQueue } from "llmethod/bullmq";
import { PgBossQueue } from "llmethod/pg-boss";
import { PostgresRunStore } from "llmethod/postgres";
import { SqliteRunStore } from "llmethod/sqlite";

export type Kind = "sqlite" | "pg-boss" | "bullmq";

const postgres = process.env.DATABASE_URL || "postgres://postgres@127.0.0.1:5432/postgres";
const redis = process.env.REDIS_URL || "redis://127.0.0.1:6379";

/** `place` is a folder for the file of SQLite. */
export function configurationOf(kind: Kind, place: string): { store: RunStore; queue?: RunQueue } {
  switch (kind) {
    case "sqlite":
      return { store: new SqliteRunStore({ path: join(place, "runs.db") }) };
    case "pg-boss":
      return { store: new PostgresRunStore({ url: postgres }), queue: new PgBossQueue({ url: postgres }) };
    case "bullmq":
      return { store: new PostgresRunStore({ url: postgres }), queue: new BullMQQueue({ url: redis }) };
    default:
      throw new Error(`There is no configuration ${String(kind satisfies never)}.`);
  }
}

/** Whether the servers of a configuration can be reached. */
export async function isReachable(kind: Kind): Promise<boolean> {
  const urls = { sqlite: [], "pg-boss": [postgres], bullmq: [postgres, redis] }[kind];
  return (await Promise.all(urls.map(canConnect))).every(Boolean);
}

function canConnect(url: string): Promise<boolean> {
  const { hostname, port, protocol } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port) || (protocol.startsWith("redis") ? 6379 : 5432), hostname);
    const end = (isThere: boolean) => {
      socket.destroy();
      resolve(isThere);
    };
    socket.setTimeout(2000, () => end(false));
    socket.once("connect", () => end(true)).once("error", () => end(false));
  });
}
