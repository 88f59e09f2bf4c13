/** The tables of the PostgreSQL store, as numbered steps that each database takes once. */
import type { ClientBase } from "pg";

/**
 * Each step runs once, in order, and is never changed afterwards: a change is a new step. JSON that must come back as
 * it was written is `json` and not `jsonb`, which refuses \u0000 and drops the order of keys.
 */
const steps: readonly string[] = [
  // The row of a run is written with each flush of events: room on its page, no index on what changes then, and
  // everything large outside the row make that a small write.
  `create table @run (
     run_id text primary key,
     number bigint generated always as identity,
     function_name text not null,
     input json not null,
     key text,
     priority float8 not null,
     delay_ms float8,
     parent_run_id text,
     parent_call_id text,
     status text not null default 'pending',
     attempt int not null default 0,
     owner text,
     outcome json,
     last_seq int not null default 0,
     first_seq int not null default 1,
     journal_size int not null default 0,
     write_id uuid not null,
     created_at timestamptz not null default clock_timestamp(),
     started_at timestamptz,
     ended_at timestamptz
   ) with (fillfactor = 60, toast_tuple_target = 256);
   create unique index run_number on @run (number);
   create index run_unended on @run (number) where status in ('pending', 'running');
   create index run_running on @run (function_name) where status = 'running';
   create index run_function on @run (function_name, number);
   create index run_key on @run (key, number) where key is not null;
   create index run_parent on @run (parent_run_id) where parent_run_id is not null;
   create index run_ended on @run (ended_at) where ended_at is not null;
   create table @run_event (
     run_id text not null,
     seq int not null,
     event json not null,
     primary key (run_id, seq)
   );
   create table @run_journal (
     run_id text not null,
     place int not null,
     entry json not null,
     primary key (run_id, place)
   );
   create table @stop_request (
     run_id text primary key,
     reason json,
     requested_by text,
     requested_at timestamptz not null default clock_timestamp()
   );
   -- Unlogged: it says who is alive now, which a crash of the server makes untrue anyway, and each run writes it twice.
   create unlogged table @registration (
     run_id text not null,
     token uuid not null,
     seen_at timestamptz not null default clock_timestamp(),
     primary key (run_id, token)
   );`,
];

/** `@name` in a statement is the table of that name in the schema. */
export function inSchema(statement: string, schema: string): string {
  return statement.replaceAll(/@(\w+)/g, `"${schema}"."$1"`);
}

/** Whether the schema has all steps. @throws Error where a newer llmethod has changed it. */
export async function isUpToDate(client: ClientBase, schema: string): Promise<boolean> {
  return (await versionOf(client, schema)) === steps.length;
}

/** Takes the steps that are missing; within a transaction that holds the lock of the schema. */
export async function migrate(client: ClientBase, schema: string): Promise<void> {
  const run = (statement: string) => client.query(inSchema(statement, schema));
  if ((await versionOf(client, schema)) === undefined) {
    await run(`create schema if not exists "${schema}"`);
    await run(
      "create table @migration (version int primary key, done_at timestamptz not null default now())",
    );
  }
  const version = (await versionOf(client, schema)) ?? 0;
  for (const [index, step] of steps.entries()) {
    if (index < version) continue;
    await run(step);
    await run(`insert into @migration (version) values (${index + 1})`);
  }
}

/** How many steps were taken; `undefined` where the schema is not there yet. */
async function versionOf(client: ClientBase, schema: string): Promise<number | undefined> {
  // From the catalogue's table: a look by name may be answered from before another process has made the tables.
  const there = await client.query<{ there: boolean }>(
    `select exists (select from pg_class join pg_namespace on pg_namespace.oid = relnamespace
       where nspname = $1 and relname = 'migration') as there`,
    [schema],
  );
  if (there.rows[0]?.there !== true) return undefined;
  const newest = await client.query<{ version: number }>(
    inSchema("select coalesce(max(version), 0) as version from @migration", schema),
  );
  const version = Number(newest.rows[0]?.version);
  if (version > steps.length) {
    throw new Error(
      `The PostgreSQL schema ${schema} is at version ${version}, and this llmethod knows version ${steps.length}: ` +
        "update llmethod in this program, or give it another schema.",
    );
  }
  return version;
}
