/** Stops a run by its id, wherever it is: in this process, with the manager, in the run store. */
import { patience } from "./cancellation.ts";
import { UsageError } from "./errors.ts";
import { shown } from "./json.ts";
import { runs } from "./runs.ts";
import { type LiveRun, runtime } from "./runtime.ts";
import { knowsStore } from "./storage.ts";
import type { RunRecord } from "./store.ts";

export interface StopRequestOptions {
  /**
   * Resolve when the run has stopped: a stored run, wherever it is at work, with its final record; a call of this process
   * when it has settled, tools and models that ignore the stop included.
   */
  readonly wait?: boolean;
  /** Who asks, for the record of a stored run. */
  readonly by?: string;
}

/**
 * Stops a run by its id, from anywhere.
 *
 * @returns `true` where the run was registered and had not ended; `false` where the request was stored for a
 *   run that may still start, which then ends cancelled without a model call, or where the run had ended.
 *   With `wait` a stored run gives its final record instead.
 * @example
 * if (await cancelRun(runId, "the user closed the page", { wait: true })) console.log("stopped");
 */
export function cancelRun(
  runId: string,
  reason: unknown,
  options: StopRequestOptions & { wait: true },
): Promise<boolean | RunRecord>;
export function cancelRun(runId: string, reason?: unknown, options?: StopRequestOptions): Promise<boolean>;
export async function cancelRun(
  runId: string,
  reason?: unknown,
  options: StopRequestOptions = {},
): Promise<boolean | RunRecord> {
  if (typeof runId !== "string" || runId === "") {
    throw new UsageError("invalid_option", `cancelRun takes a run's id, not ${shown(runId)}.`);
  }
  const local = runtime.find(runId);
  // At once, in this very tick: a run of this process is stopped before anything is waited for.
  const asked = local === undefined ? undefined : requestStop(runId, reason, local);
  const isKnown = knowsStore() && (await isStored(runId));
  const isStopped = isKnown && (await stopStored(runId, reason, options));
  // One that was at work here may have ended by now, by this very stop.
  const wasHere = asked !== undefined && (await asked);
  const isUnknown = !isKnown && asked === undefined;
  const found = isStopped || wasHere || (isUnknown && (await requestUnknown(runId, reason, options)));
  // A tool that stops the run which it belongs to, and waits for it, would wait for itself.
  if (options.wait !== true || isInside(runId)) return found;
  if (isKnown) return runs.wait(runId);
  await local?.settled;
  return found;
}

/** Neither here nor in the store: it may be at work in another process, or start later, here or from the store. */
async function requestUnknown(runId: string, reason: unknown, options: StopRequestOptions): Promise<boolean> {
  if (runtime.hasEnded(runId)) return false;
  const found = await requestStop(runId, reason, undefined);
  return (knowsStore() && (await stopStored(runId, reason, options))) || found;
}

async function isStored(runId: string): Promise<boolean> {
  try {
    return (await runs.get(runId)) !== undefined;
  } catch (error) {
    runtime.report("The run store could not be asked for a run", error);
    return false;
  }
}

/** Through the store alone: what it knows needs no request with the manager, which nobody would take away. */
async function stopStored(runId: string, reason: unknown, { by }: StopRequestOptions): Promise<boolean> {
  try {
    return await runs.cancel(runId, reason, by === undefined ? {} : { by });
  } catch (error) {
    runtime.report("The run store could not keep a stop request", error);
    return false;
  }
}

function isInside(runId: string): boolean {
  for (let run = runtime.current; run !== undefined; run = run.parent) if (run.runId === runId) return true;
  return false;
}

/** The runs that are registered and have not ended; the value says whether a stop was requested. */
export function activeRuns(): Promise<ReadonlyMap<string, boolean>> {
  return runtime.manager.activeRuns();
}

/** Through the manager; a run of this process is reached directly, whether the manager answers or not. */
async function requestStop(runId: string, reason: unknown, local: LiveRun | undefined): Promise<boolean> {
  try {
    const asked = runtime.manager.cancel(runId, reason);
    local?.stop("cancel", reason);
    return (await patience(asked)) || local !== undefined;
  } catch (error) {
    if (local === undefined) throw error;
    local.stop("cancel", reason);
    runtime.report("The cancellation manager could not store a stop request", error);
    return true;
  }
}
