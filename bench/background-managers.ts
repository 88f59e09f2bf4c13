/** The cancellation managers, each at a place of its own. */
import { join } from "node:path";
import type { CancellationManager } from "../dist/index.js";
import { type Backend, type Place, redisUrl } from "./background-place.ts";

export const managers = ["memory", "file", "SQLite", "PostgreSQL", "Redis"] as const;
export type ManagerName = (typeof managers)[number];

/** What has to be there for a manager; its place is made for that. */
export const neededFor: Readonly<Record<ManagerName, Backend>> = {
  memory: "SQLite",
  file: "SQLite",
  SQLite: "SQLite",
  PostgreSQL: "PostgreSQL + pg-boss",
  Redis: "PostgreSQL + BullMQ",
};

export async function openManager(name: ManagerName, place: Place): Promise<CancellationManager> {
  switch (name) {
    case "memory":
      return new (await import("../dist/index.js")).MemoryCancellationManager();
    case "file": {
      const { FileCancellationManager } = await import("../dist/adapters/file.js");
      return new FileCancellationManager({ directory: join(place.directory, "cancellation") });
    }
    case "SQLite": {
      const { SqliteCancellationManager } = await import("../dist/adapters/sqlite.js");
      return new SqliteCancellationManager({ path: join(place.directory, "runs.db") });
    }
    case "PostgreSQL": {
      const { PostgresCancellationManager } = await import("../dist/adapters/postgres.js");
      return new PostgresCancellationManager({ url: place.databaseUrl });
    }
    case "Redis": {
      const { RedisCancellationManager } = await import("../dist/adapters/redis.js");
      return new RedisCancellationManager({ url: redisUrl(), prefix: `${place.name}:` });
    }
    default:
      return name satisfies never;
  }
}
