/** The package `pg`, loaded when it is first needed, and how connections are made with it. */
import type { ClientConfig, Pool, PoolConfig } from "pg";

export type Pg = typeof import("pg");

/** @throws Error with the command that installs it, where `pg` is missing */
export async function postgresModule(owner: string): Promise<Pg> {
  try {
    return await import("pg");
  } catch (error) {
    throw new Error(`${owner} needs the package pg: run npm install pg`, { cause: error });
  }
}

/** How long to wait for a server that does not answer. */
const connectMs = 1000;

/** How long to wait for a connection while all of them are in use. */
const busyMs = 10_000;

/** A pool whose idle connections hold no process open, and which tells a server that is down from a busy one. */
export function ownPool(pg: Pg, url: string): Pool {
  class PooledClient extends pg.Client {
    constructor(config?: ClientConfig) {
      super({ ...config, connectionTimeoutMillis: connectMs });
    }
  }
  const config: PoolConfig = {
    connectionString: url,
    max: 10,
    connectionTimeoutMillis: busyMs,
    query_timeout: 30_000,
    allowExitOnIdle: true,
    keepAlive: true,
    fallback_application_name: "llmethod",
    Client: PooledClient,
  };
  return new pg.Pool(config);
}

/** The connection on which a process listens: like the pool's, but outside it, so that a full pool makes nobody deaf. */
export function listenConfig({ options }: Pool): ClientConfig {
  return {
    ...options,
    ...(options.password === undefined ? {} : { password: options.password }),
    connectionTimeoutMillis: connectMs,
    query_timeout: 2000,
    keepAlive: true,
  };
}
