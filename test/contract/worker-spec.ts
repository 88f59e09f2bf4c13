// What a worker process of the tests is told, and the store, the queue and the functions that it makes of it.

import { appendFileSync } from "node:fs";
import { z } from "zod";
import { BullMQQueue, type BullMQQueueOptions } from "../../src/adapters/bullmq.ts";
import { PgBossQueue, type PgBossQueueOptions } from "../../src/adapters/pg-boss.ts";
import { PostgresRunStore, type PostgresRunStoreOptions } from "../../src/adapters/postgres.ts";
import { SqliteRunStore } from "../../src/adapters/sqlite.ts";
import {
  type BackgroundOptions,
  type CallOptions,
  llmFunction,
  openai,
  prompt,
  type Run,
  type RunQueue,
  type RunStore,
  tool,
  type WorkerSettings,
} from "../../src/index.ts";

export type StoreSpec =
  | ({ readonly kind: "postgres" } & Pick<PostgresRunStoreOptions, "url" | "schema">)
  | { readonly kind: "sqlite"; readonly path: string };

export type QueueSpec =
  | ({ readonly kind: "pg-boss" } & Pick<PgBossQueueOptions, "url" | "schema">)
  | ({ readonly kind: "bullmq" } & Pick<BullMQQueueOptions, "url" | "prefix" | "lockMs">);

export interface WorkerSpec {
  readonly store: StoreSpec;
  /** None where the store queues by itself. */
  readonly queue?: QueueSpec;
  /** The names of the functions; all of them do the same. */
  readonly functions: readonly string[];
  /** The OpenAI API that the functions ask. */
  readonly baseURL: string;
  /** The file to which each execution of the tool `note` adds a line. */
  readonly log: string;
  readonly settings?: Omit<WorkerSettings, "onRunEnd">;
}

export function storeOf(spec: StoreSpec): RunStore {
  if (spec.kind === "sqlite") return new SqliteRunStore({ path: spec.path });
  const { kind: _, ...options } = spec;
  return new PostgresRunStore(options);
}

export function queueOf(spec: QueueSpec): RunQueue {
  const { kind: _, ...options } = spec;
  // While servers are taken away, faults are what the tests are about.
  const onFault = () => {};
  return spec.kind === "pg-boss"
    ? new PgBossQueue({ ...options, onFault })
    : new BullMQQueue({ ...options, onFault });
}

export type Ask = (topic: string, options?: CallOptions & BackgroundOptions) => Run<string>;

/** A function that asks about its topic, and whose model may take notes. */
export function askAs(name: string, { baseURL, log }: Pick<WorkerSpec, "baseURL" | "log">): Ask {
  const note = tool({
    name: "note",
    description: "Keeps a note.",
    input: z.object({ note: z.string() }),
    execute({ note: text }) {
      appendFileSync(log, `${text}\n`);
      return "noted";
    },
  });
  const model = openai("gpt-test", { apiKey: "sk-test", baseURL, maxRetries: 0 });
  return llmFunction({ name, model, toolkit: [note] })(
    (topic: string, _options?: CallOptions & BackgroundOptions) => prompt`${topic}`,
  );
}
