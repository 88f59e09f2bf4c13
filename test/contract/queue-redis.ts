// The Redis server that is there for all tests, and what a test may do with it.

import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import { answers } from "./redis-server.ts";

export const redisUrl = new URL(process.env.REDIS_URL ?? "redis://127.0.0.1:6379");

/** Why the server cannot be used; nothing where it can. */
export async function redisProblem(): Promise<string | undefined> {
  if (await answers(redisUrl.hostname, Number(redisUrl.port || 6379))) return undefined;
  return `no Redis answers at ${redisUrl.host}; set REDIS_URL`;
}

/** A name that nobody else has, for keys in a server that is shared. */
export const ownPrefix = (): string => `llmethod-test-${randomBytes(6).toString("hex")}`;

/** Removes all keys that begin so. */
export async function removeKeys(prefix: string): Promise<void> {
  const client = new Redis(redisUrl.href);
  const keys = await client.keys(`${prefix}:*`);
  if (keys.length > 0) await client.del(keys);
  client.disconnect();
}
