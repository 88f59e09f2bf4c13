// PostgreSQL for tests: the server that is there, with a schema of its own for each test, and one that may be crashed.

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { globSync } from "node:fs";
import { chown, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";

const run = promisify(execFile);

export const url = process.env.DATABASE_URL ?? "postgres://postgres@127.0.0.1:5432/test";

/** Why the server cannot be used; nothing where it can. */
export async function postgresProblem(): Promise<string | undefined> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.end();
    return undefined;
  } catch (error) {
    return `no PostgreSQL answers (${error}); set DATABASE_URL`;
  }
}

export interface TestSchema {
  readonly name: string;
  readonly sql: <Row extends pg.QueryResultRow>(text: string, values?: unknown[]) => Promise<Row[]>;
  drop(): Promise<void>;
}

/** A schema that nobody else has, and a connection beside the store's. */
export async function testSchema(address = url): Promise<TestSchema> {
  const name = `llmethod_test_${randomBytes(6).toString("hex")}`;
  const client = new pg.Client(address);
  let isDropped = false;
  client.on("error", () => {});
  await client.connect();
  return {
    name,
    sql: async <Row extends pg.QueryResultRow>(text: string, values: unknown[] = []) =>
      (await client.query<Row>(text.replaceAll("@", `"${name}".`), values)).rows,
    async drop() {
      if (isDropped) return;
      isDropped = true;
      await client.query(`drop schema if exists "${name}" cascade`);
      await client.end();
    },
  };
}

export interface OwnServer {
  readonly url: string;
  start(): Promise<void>;
  /** Ends it as a crash would: no connection is told. */
  crash(): Promise<void>;
  remove(): Promise<void>;
}

const programs = globSync("/usr/lib/postgresql/*/bin").sort().at(-1);

/** Why a test cannot have a server of its own here; on CI it must. */
export const noOwnServer =
  programs === undefined && process.env.CI === undefined
    ? "the programs of a PostgreSQL server are not in /usr/lib/postgresql"
    : undefined;

/** A server of the test's own, not yet started, in a directory that goes with it. */
export async function ownServer(): Promise<OwnServer> {
  const folder = await mkdtemp(join(tmpdir(), "llmethod-pg-"));
  const data = join(folder, "data");
  const options = `-p ${await freePort()} -k ${folder} -c listen_addresses=127.0.0.1 -c fsync=off`;
  const port = /-p (\d+)/.exec(options)?.[1];
  // The server refuses to run as root.
  const user = process.getuid?.() === 0 ? await postgresUser() : undefined;
  const as = async (program: string, ...args: string[]) => {
    const path = join(programs ?? "", program);
    const [command, all] =
      user === undefined
        ? [path, args]
        : ["setpriv", [`--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups", path, ...args]];
    await run(command, all, { cwd: folder });
  };
  if (user !== undefined) await chown(folder, user.uid, user.gid);
  await as("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync");
  const crash = () => as("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop");
  let isUp = false;
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    async start() {
      await as("pg_ctl", "-D", data, "-o", options, "-l", join(folder, "log"), "-w", "start");
      isUp = true;
    },
    async crash() {
      isUp = false;
      await crash();
    },
    async remove() {
      if (isUp) await crash();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function postgresUser(): Promise<{ uid: number; gid: number }> {
  const [uid, gid] = await Promise.all([run("id", ["-u", "postgres"]), run("id", ["-g", "postgres"])]);
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (typeof address !== "object" || address === null) throw new Error("no free port");
  return address.port;
}
