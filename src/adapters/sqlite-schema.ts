/** The tables of a run store's file, as numbered steps: each process that opens the file brings it up to the newest. */
import type { DatabaseSync } from "node:sqlite";
import { SqliteStoreError } from "./sqlite-errors.ts";
import { transaction } from "./sqlite-transaction.ts";

/** Marks the file as a run store: "llmd". */
const applicationId = 0x6c6c6d64;

/** Step n brings a file from version n to n + 1. Steps that were released are never changed. */
const steps: readonly string[] = [
  `create table run (
    position integer primary key autoincrement,
    run_id text not null unique,
    function_name text not null,
    input text not null,
    run_key text,
    priority real not null,
    begin_at integer not null,
    parent_run_id text,
    parent_call_id text,
    status text not null,
    attempt integer not null default 0,
    owner text,
    holder text,
    outcome text,
    first_seq integer not null default 1,
    last_seq integer not null default 0,
    created_at integer not null,
    started_at integer,
    ended_at integer
  ) strict;
  create index run_pending on run (priority desc, position) where status = 'pending';
  create index run_running on run (holder, function_name, run_key) where status = 'running';
  create index run_ended on run (ended_at) where ended_at is not null;
  create index run_parent on run (parent_run_id) where parent_run_id is not null;
  create index run_of_key on run (run_key, position) where run_key is not null;

  create table run_event (
    run_id text not null,
    seq integer not null,
    event text not null,
    primary key (run_id, seq)
  ) strict, without rowid;

  create table run_journal (
    run_id text not null,
    place integer not null,
    entry text not null,
    primary key (run_id, place)
  ) strict, without rowid;

  create table stop_request (
    run_id text primary key,
    reason text,
    requested_by text,
    requested_at integer not null
  ) strict;

  create table registration (
    run_id text not null,
    token text not null,
    holder text not null,
    primary key (run_id, token)
  ) strict, without rowid;`,
];

/**
 * Whether the file is a run store, or can become one; changes nothing.
 *
 * @throws SqliteStoreError `newer_version`, `foreign_file`
 */
export function checkFile(database: DatabaseSync, path: string): void {
  transaction(database, () => check(database, path), "deferred");
}

/**
 * Brings the file up to date, in one transaction that other processes wait for.
 *
 * @throws SqliteStoreError `newer_version`, `foreign_file`
 */
export function migrate(database: DatabaseSync, path: string): void {
  if (isCurrent(database)) return;
  transaction(database, () => {
    if (isCurrent(database)) return;
    check(database, path);
    for (const step of steps.slice(pragma(database, "user_version"))) database.exec(step);
    database.exec(`pragma application_id = ${applicationId}; pragma user_version = ${steps.length}`);
  });
}

function isCurrent(database: DatabaseSync): boolean {
  return (
    pragma(database, "application_id") === applicationId && pragma(database, "user_version") === steps.length
  );
}

/** Within a transaction: another process may be making the file at this moment. */
function check(database: DatabaseSync, path: string): void {
  const version = pragma(database, "user_version");
  const application = pragma(database, "application_id");
  const isNew = application === 0 && version === 0 && !hasTables(database);
  if (application !== applicationId && !isNew) {
    throw new SqliteStoreError(
      "foreign_file",
      `The file ${path} is the database of another program. Pass another path for the run store.`,
    );
  }
  if (version > steps.length) {
    throw new SqliteStoreError(
      "newer_version",
      `The run store ${path} was written by a newer llmethod (version ${version} of its tables; this one knows ` +
        `${steps.length}). Update llmethod, or pass another path.`,
    );
  }
}

function pragma(database: DatabaseSync, name: "user_version" | "application_id"): number {
  return Number(database.prepare(`pragma ${name}`).get()?.[name]);
}

function hasTables(database: DatabaseSync): boolean {
  return database.prepare("select 1 from sqlite_schema limit 1").get() !== undefined;
}
