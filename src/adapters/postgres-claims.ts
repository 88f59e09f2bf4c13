/** How a run is taken up, within the limits on how many may be at work at once. */
import { randomUUID } from "node:crypto";
import type { ClaimOptions, ClaimResult, RunLimits } from "../store.ts";
import type { Database, Transaction } from "./postgres-database.ts";
import { persisting } from "./postgres-faults.ts";
import { noteOf } from "./postgres-listener.ts";
import { type RunRow, recordOf, selectRuns } from "./postgres-rows.ts";

interface Limit {
  readonly column: "function_name" | "key";
  readonly value: string;
  readonly atMost: number;
}

/** What a claim came to within its transaction. */
type Taken = { readonly kind: "claimed"; readonly row: RunRow } | { readonly kind: "taken" | "busy" };

export async function takeUp(
  database: Database,
  runId: string,
  owner: string,
  { from, limits, functions }: ClaimOptions,
): Promise<ClaimResult> {
  const states = from === "pending" ? ["pending"] : ["pending", "running"];
  const writeId = randomUUID();
  const taken = await persisting(async (again): Promise<Taken> => {
    const [known] = await database.query<RunRow>(`${selectRuns} where run.run_id = $1`, [runId]);
    if (known === undefined) return { kind: "taken" };
    if (again && known.write_id === writeId) return { kind: "claimed", row: known };
    if (!states.includes(known.status)) return { kind: "taken" };
    const all = limitsOf(known, limits);
    const locks = all.map(({ column, value }) => `limit ${column} ${value}`);
    return database.transaction({ alone: locks }, async (transaction) => {
      if (await isReached(transaction, runId, all, functions)) return { kind: "busy" };
      const updated = await transaction.query(
        `with claimed as (
           update @run set status = 'running', attempt = attempt + 1, owner = $2, write_id = $3::uuid,
             started_at = coalesce(started_at, clock_timestamp())
           where run_id = $1 and status = any($4::text[]) returning run_id
         ) select pg_notify($5, $6) from claimed`,
        [runId, owner, writeId, states, database.channel, noteOf("change", runId)],
      );
      // Read after the update, which may have waited for a stop request that this statement did not see.
      const [row] = await transaction.query<RunRow>(`${selectRuns} where run.run_id = $1`, [runId]);
      return updated.length === 0 || row === undefined ? { kind: "taken" } : { kind: "claimed", row };
    });
  });
  if (taken.kind !== "claimed") return taken;
  const record = recordOf(taken.row);
  return { kind: "claimed", claim: { runId, attempt: record.attempt }, record };
}

/** The limits that hold for this run. */
function limitsOf({ function_name, key }: RunRow, { perFunction = {}, perKey }: RunLimits = {}): Limit[] {
  const limits: Limit[] = [];
  const ofFunction = Object.hasOwn(perFunction, function_name) ? perFunction[function_name] : undefined;
  if (ofFunction !== undefined) {
    limits.push({ column: "function_name", value: function_name, atMost: ofFunction });
  }
  if (perKey !== undefined && key !== null) limits.push({ column: "key", value: key, atMost: perKey });
  return limits;
}

/**
 * Counted under the limit's lock, so that two workers do not both take the last place. The run itself does not count. The
 * runs of a key go in order: those that wait before this one have their places first.
 */
async function isReached(
  { query }: Transaction,
  runId: string,
  limits: readonly Limit[],
  functions: readonly string[] | undefined,
): Promise<boolean> {
  for (const { column, value, atMost } of limits) {
    const [row] = await query<{ ahead: number }>(
      `select count(*)::int as ahead from @run as other, @run as own
       where own.run_id = $2 and other.run_id <> $2 and other.${column} = $1 and (other.status = 'running'
         or ($3::boolean and own.status = 'pending' and other.status = 'pending'
           and ($4::text[] is null or other.function_name = any($4::text[]))
           and (other.priority, -other.number) > (own.priority, -own.number)
           and other.created_at + coalesce(other.delay_ms, 0) * interval '1 ms' <= clock_timestamp()))`,
      [value, runId, String(column === "key"), functions === undefined ? null : [...functions]],
    );
    if (Number(row?.ahead) >= atMost) return true;
  }
  return false;
}
