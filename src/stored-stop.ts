/** Ends stored runs that were stopped while they waited: at once, without a worker, and without a model call. */
import { randomUUID } from "node:crypto";
import { nothingEarlier, readEarlier } from "./journal.ts";
import type { Json } from "./json.ts";
import { listAll } from "./list-all.ts";
import { runtime } from "./runtime.ts";
import { queueFor } from "./storage.ts";
import type { RunRecord, RunStore } from "./store.ts";
import { endedWithoutRun } from "./unplayed-end.ts";

/** For this run, and for the runs that it has begun: those that nobody runs and that are asked to stop are over. */
export async function endWaiting(store: RunStore, runId: string): Promise<void> {
  const record = await store.get(runId);
  const isOpen = record?.status === "pending" || record?.status === "running";
  if (isOpen && record.stopRequest !== undefined) await endIdle(store, record);
  for await (const child of listAll(store, { parentRunId: runId, status: ["pending", "running"] })) {
    await endWaiting(store, child.runId);
  }
}

/** Stops what a run has begun in the background, where nobody has asked the run itself to stop (a timeout). */
export async function stopChildren(store: RunStore, runId: string, reason: Json | undefined): Promise<void> {
  for await (const child of listAll(store, { parentRunId: runId, status: ["pending", "running"] })) {
    await store.requestStop(child.runId, reason === undefined ? {} : { reason });
    await endWaiting(store, child.runId);
  }
}

async function endIdle(store: RunStore, { runId }: RunRecord): Promise<void> {
  const result = await store.claim(runId, `stop-${randomUUID()}`, { from: "pending" });
  // A worker has it: it finds the request.
  if (result.kind !== "claimed") return;
  const { claim, record } = result;
  const { state } = claim.attempt === 1 ? nothingEarlier : await readEarlier(store, runId);
  const reason = record.stopRequest?.reason;
  const { outcome, events } = endedWithoutRun(record, state, {
    status: "cancelled",
    cause: "cancel",
    reason,
  });
  await store.finish(claim, outcome, events);
  // A request that came before the run was kept by the manager, too: it has done its work.
  try {
    await runtime.manager.register(runId);
    await runtime.manager.cleanup(runId);
  } catch (error) {
    runtime.report("The cancellation manager could not forget a stop request", error);
  }
  try {
    await queueFor(store)?.dequeue(record);
  } catch (error) {
    runtime.report("A job of a run that was stopped could not be removed; it will find nothing to do", error);
  }
}
