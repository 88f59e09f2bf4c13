/** The run store in PostgreSQL: for runs of many machines. */
import { randomUUID } from "node:crypto";
import type { Json } from "../json.ts";
import {
  type Bell,
  type Claim,
  type ClaimOptions,
  type ClaimResult,
  LostClaimError,
  type NewEvent,
  type NewRun,
  type Progress,
  type PruneOptions,
  type RunFilter,
  type RunRecord,
  type RunStore,
  type StoredEvent,
  type StoredOutcome,
  type StoredStop,
} from "../store.ts";
import { takeUp } from "./postgres-claims.ts";
import { DatabaseLease, type Value } from "./postgres-database.ts";
import { persisting, repeating } from "./postgres-faults.ts";
import { noteOf } from "./postgres-listener.ts";
import { checkOptions, optionKeys, type PostgresOptions } from "./postgres-options.ts";
import { pruneRuns } from "./postgres-prune.ts";
import {
  parsed,
  type RunRow,
  recordOf,
  type StopRow,
  selectRuns,
  stopColumns,
  stopOf,
  valuesOf,
} from "./postgres-rows.ts";
import { ancestorsOf, inheritStop, isExpired, storeStop } from "./postgres-stops.ts";
import { lastSeqOf, write } from "./postgres-writes.ts";
import { checkKeys } from "./stop-request.ts";

export interface PostgresRunStoreOptions extends PostgresOptions {}

/**
 * Keeps runs in PostgreSQL (11 or newer) through the package `pg`. The tables are made with the first call; several
 * processes may do that at once. Idle connections hold no process open, but `close()` ends them at once. A write whose
 * connection broke is done again for about eight seconds, and never twice.
 *
 * @throws UsageError `invalid_option`
 * @example
 * const store = new PostgresRunStore({ url: "postgres://app@db.example/app" });
 * const failed = await store.list({ status: "error", limit: 10 });
 * await store.close();
 */
export class PostgresRunStore implements RunStore {
  readonly #lease: DatabaseLease;

  constructor(options: PostgresRunStoreOptions = {}) {
    checkKeys("PostgresRunStore", options, optionKeys);
    this.#lease = new DatabaseLease("PostgresRunStore", checkOptions("PostgresRunStore", options));
  }

  /**
   * `also` is given the transaction's client, a `PoolClient` of `pg`; it is not called for a run that is known, and
   * called again where the transaction was undone by a broken connection.
   */
  async create(
    run: NewRun,
    also?: (transaction: unknown) => Promise<void>,
  ): Promise<{ created: boolean; record: RunRecord }> {
    const database = await this.#lease.open();
    const writeId = randomUUID();
    return persisting(async () => {
      const ancestors = await ancestorsOf(database, run.parentRunId);
      return database.transaction({ alone: [run.runId], shared: ancestors }, async (transaction) => {
        const { client, query } = transaction;
        const inserted = await query(
          `with created as (
             insert into @run (run_id, function_name, input, key, priority, delay_ms, parent_run_id, parent_call_id,
               write_id) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             on conflict (run_id) do nothing returning run_id
           ) select pg_notify($10, $11) from created`,
          [...valuesOf(run), writeId, database.channel, noteOf("change", run.runId)],
        );
        if (inserted.length > 0) {
          await inheritStop(transaction, run.runId, ancestors);
          await also?.(client);
        }
        const [row] = await query<RunRow>(`${selectRuns} where run.run_id = $1`, [run.runId]);
        if (row === undefined) throw new Error(`The run ${run.runId} was removed while it was created.`);
        return { created: row.write_id === writeId, record: recordOf(row) };
      });
    });
  }

  async get(runId: string): Promise<RunRecord | undefined> {
    const database = await this.#lease.open();
    const [row] = await database.query<RunRow>(`${selectRuns} where run.run_id = $1`, [runId]);
    return row === undefined ? undefined : recordOf(row);
  }

  async list(filter: RunFilter = {}): Promise<RunRecord[]> {
    const database = await this.#lease.open();
    const { status, functionName, key, parentRunId, before, limit = 100 } = filter;
    const values: Value[] = [limit];
    const conditions = ["true"];
    const only = (condition: string, value: Value | undefined) => {
      if (value === undefined) return;
      values.push(value);
      conditions.push(condition.replace("?", `$${values.length}`));
    };
    only("status = any(?::text[])", typeof status === "string" ? [status] : status);
    only("function_name = ?", functionName);
    only("key = ?", key);
    only("parent_run_id = ?", parentRunId);
    only("number < (select number from @run where run_id = ?)", before);
    const rows = await database.query<RunRow>(
      `${selectRuns} where ${conditions.join(" and ")} order by number desc limit $1`,
      values,
    );
    return rows.map(recordOf);
  }

  async requestStop(runId: string, request: { reason?: Json; by?: string } = {}): Promise<boolean> {
    const database = await this.#lease.open();
    const { reason, by } = request;
    const { isStored } = await repeating(() => storeStop(database, { runId, reason, by }));
    return isStored;
  }

  async stopRequests(runIds: readonly string[]): Promise<ReadonlyMap<string, StoredStop>> {
    if (runIds.length === 0) return new Map();
    const database = await this.#lease.open();
    const rows = await database.query<StopRow>(
      `select run_id, ${stopColumns} from @stop_request stop where run_id = any($1::text[]) and not ${isExpired()}`,
      [runIds],
    );
    const requests = new Map<string, StoredStop>();
    for (const row of rows) {
      const request = stopOf(row);
      if (request !== undefined) requests.set(row.run_id, request);
    }
    return requests;
  }

  async claim(runId: string, owner: string, options: ClaimOptions = {}): Promise<ClaimResult> {
    return takeUp(await this.#lease.open(), runId, owner, options);
  }

  async release(claim: Claim): Promise<boolean> {
    const seq = await write(await this.#lease.open(), claim, { set: "status = 'pending'" });
    return seq !== undefined;
  }

  async save(claim: Claim, progress: Progress): Promise<number> {
    const seq = await write(await this.#lease.open(), claim, progress);
    if (seq === undefined) throw new LostClaimError(claim);
    return seq;
  }

  async finish(claim: Claim, outcome: StoredOutcome, events: readonly NewEvent[]): Promise<boolean> {
    const seq = await write(await this.#lease.open(), claim, {
      events,
      set: "status = $10, outcome = $11::json, ended_at = clock_timestamp()",
      values: [outcome.status, JSON.stringify(outcome)],
    });
    return seq !== undefined;
  }

  async reopen(runId: string, event: NewEvent): Promise<boolean> {
    const database = await this.#lease.open();
    const writeId = randomUUID();
    return persisting(async (again) => {
      if (again && (await lastSeqOf(database, runId, writeId)) !== undefined) return true;
      const rows = await database.once(
        `with reopened as (
           update @run set status = 'pending', outcome = null, ended_at = null, write_id = $2::uuid,
             last_seq = greatest(last_seq, 1), first_seq = least(first_seq, greatest(last_seq, 1))
           where run_id = $1 and status in ('cancelled', 'error') returning last_seq
         ), replaced as (
           insert into @run_event (run_id, seq, event) select $1, last_seq, $3::json from reopened
           on conflict (run_id, seq) do update set event = excluded.event
         ), withdrawn as (delete from @stop_request using reopened where run_id = $1)
         select pg_notify($4, $5) from reopened`,
        [runId, writeId, JSON.stringify(event), database.channel, noteOf("change", runId)],
      );
      return rows.length > 0;
    });
  }

  async events(runId: string, after: number, limit = 1000): Promise<StoredEvent[]> {
    const database = await this.#lease.open();
    const rows = await database.query<{ seq: number; event: string }>(
      `select seq, event::text as event from @run_event where run_id = $1 and seq > $2 order by seq limit $3`,
      [runId, after, limit],
    );
    return rows.map(({ seq, event }) => ({ ...parsed<StoredEvent>(event), seq: Number(seq) }));
  }

  async journal(runId: string): Promise<Json[]> {
    const database = await this.#lease.open();
    const rows = await database.query<{ entry: string }>(
      "select entry::text as entry from @run_journal where run_id = $1 order by place",
      [runId],
    );
    return rows.map(({ entry }) => parsed<Json>(entry));
  }

  async watch(bell: Bell): Promise<() => void> {
    const database = await this.#lease.open();
    // First, so that the ring with which the hearing begins is none: who watches looks when this has returned.
    await database.hearing();
    return this.#lease.subscribe((runId, isStop) =>
      runId === undefined ? bell() : bell(runId, isStop ? "stop" : "change"),
    );
  }

  async prune(options: PruneOptions): Promise<number> {
    return pruneRuns(await this.#lease.open(), options);
  }

  /** Ends the connections, where no other store or manager of this process uses them. The store cannot be opened again. */
  async close(): Promise<void> {
    await this.#lease.close();
  }
}
