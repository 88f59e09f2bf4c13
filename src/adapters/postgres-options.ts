/** The options that the PostgreSQL store and cancellation manager share, and their check. */
import type { Pool } from "pg";
import { UsageError } from "../errors.ts";
import { shown } from "../json.ts";

/** Where the database is and how it is used. The store and the manager of a program take the same options. */
export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`. Default: the environment variable `DATABASE_URL`. */
  readonly url?: string;
  /**
   * A pool of one's own instead of a `url`; it is not ended by `close()`. Its `connectionTimeoutMillis` says how
   * long a call waits for a server that is down: one of 1,000 ms is a good choice.
   */
  readonly pool?: Pool;
  /** The schema that holds the tables; created where it is missing. Default `llmethod`. */
  readonly schema?: string;
  /**
   * Whether changes are heard of by `LISTEN`, on one connection beside the pool. Default `true`; `false` behind a
   * PgBouncer that pools by transaction: then everybody looks once a second.
   */
  readonly listen?: boolean;
}

/** The options, checked, with the defaults filled in. */
export interface Settings {
  readonly source: string | Pool;
  readonly schema: string;
  readonly listen: boolean;
}

export const optionKeys: readonly string[] = ["url", "pool", "schema", "listen"];

/** The shared options, checked; what else an owner knows it checks itself. */
export function checkOptions(owner: string, options: PostgresOptions): Settings {
  const invalid = (problem: string) => new UsageError("invalid_option", `${owner}: ${problem}`);
  const { url, pool, schema = "llmethod", listen = true } = options;
  if (typeof schema !== "string" || !/^[a-z_][a-z0-9_]{0,47}$/.test(schema) || schema.startsWith("pg_")) {
    throw invalid(
      `"schema" must be at most 48 lower-case letters, digits and underscores, not ${shown(schema)}.`,
    );
  }
  if (typeof listen !== "boolean") throw invalid(`"listen" must be true or false, not ${shown(listen)}.`);
  if (pool !== undefined) {
    if (url !== undefined) throw invalid(`give "url" or "pool", not both.`);
    if (!isPool(pool)) throw invalid(`"pool" must be a Pool of the package pg, not ${shown(pool)}.`);
    return { source: pool, schema, listen };
  }
  const address = url ?? process.env.DATABASE_URL;
  if (address === undefined || address === "") {
    throw invalid(`give "url" or "pool", or set the environment variable DATABASE_URL.`);
  }
  // An address can hold a password, so a message never repeats it.
  if (typeof address !== "string" || !/^(postgres|postgresql|socket):\/\/\S+$/.test(address)) {
    throw invalid(`"url" must look like postgres://user:password@host:5432/database.`);
  }
  return { source: address, schema, listen };
}

function isPool(value: unknown): value is Pool {
  if (typeof value !== "object" || value === null) return false;
  return "connect" in value && "query" in value && "options" in value && "on" in value;
}
