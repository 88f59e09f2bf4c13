/** Stored runs over HTTP: listed, looked at, watched, stopped, taken up again. */
import { cancelRun } from "../cancel-run.ts";
import { TimeoutError, UsageError } from "../errors.ts";
import type { RunStatus } from "../events.ts";
import { hasEnded, runs } from "../runs.ts";
import { runtime } from "../runtime.ts";
import { queueFor, theStore } from "../storage.ts";
import type { RunFilter, RunRecord } from "../store.ts";
import { serve, workersOf } from "../worker.ts";
import { checkKeys, readBody } from "./body.ts";
import { invalid, Problem } from "./problem.ts";
import { jsonResponse, numberIn, type RunRequest, wholeNumber } from "./run-request.ts";
import { eventResponse } from "./sse.ts";
import { accepted, checkStorage } from "./start-run.ts";

/** A run in a list: without its input and its outcome, which can be large. */
export type RunSummary = Omit<RunRecord, "input" | "outcome">;

/** The longest that a request for a record waits for the run's end, in ms. */
const maxWaitMs = 60_000;
const maxLimit = 1000;
const statuses: readonly RunStatus[] = ["pending", "running", "completed", "stopped", "cancelled", "error"];
const listKeys = ["status", "function", "key", "parent", "before", "limit"];

/** `GET /runs`. */
export async function list({ query }: RunRequest): Promise<Response> {
  checkKeys(Object.fromEntries(query), listKeys, "The query");
  const limit = numberIn(query, "limit", 1, maxLimit) ?? 100;
  const status = query.getAll("status").flatMap((text) => text.split(","));
  const foreign = status.filter((name) => !statuses.some((known) => known === name));
  if (foreign.length > 0) {
    throw invalid(`"status" must be of ${statuses.join(", ")}, not "${foreign.join(", ").slice(0, 100)}".`);
  }
  const texts = {
    functionName: query.get("function"),
    key: query.get("key"),
    parentRunId: query.get("parent"),
    before: query.get("before"),
  };
  const filter: RunFilter = {
    ...Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== null && text !== "")),
    ...(status.length === 0 ? {} : { status: status as RunStatus[] }),
    limit,
  };
  const records = await runs.list(filter);
  const next = records.length === limit ? records.at(-1)?.runId : undefined;
  return jsonResponse({ runs: records.map(summaryOf), ...(next === undefined ? {} : { next }) });
}

/** `GET /runs/:id`. */
export async function get({ runId, query, request }: RunRequest): Promise<Response> {
  const waitMs = numberIn(query, "wait", 0, maxWaitMs) ?? 0;
  const record = await known(runId);
  if (waitMs === 0 || hasEnded(record)) return jsonResponse(record);
  try {
    return jsonResponse(await runs.wait(runId, { timeoutMs: waitMs, abortSignal: request.signal }));
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    return jsonResponse(await known(runId));
  }
}

/** `GET /runs/:id/events`. */
export async function watch({ runId, query, request, settings }: RunRequest): Promise<Response> {
  const lastId = request.headers.get("last-event-id");
  const most = Number.MAX_SAFE_INTEGER;
  // The header first: an EventSource that connects again sends it, and its first address besides.
  const after =
    lastId === null || lastId === ""
      ? (numberIn(query, "after", 0, most) ?? 0)
      : wholeNumber(lastId, 'The header "Last-Event-ID"', 0, most);
  const record = await known(runId);
  // By this an EventSource knows that there is nothing to connect again for.
  if (hasEnded(record) && after >= record.lastSeq) return new Response(null, { status: 204 });
  const reading = new AbortController();
  const events = runs.events(runId, { after, abortSignal: reading.signal });
  return eventResponse(events, {
    heartbeatMs: settings.heartbeatMs,
    signal: request.signal,
    leave: () => reading.abort(),
  });
}

/** `POST /runs/:id/cancel`. */
export async function cancel({ runId, request, settings }: RunRequest): Promise<Response> {
  const body = await readBody(request, settings.maxBodyBytes);
  checkKeys(body, ["reason", "wait", "by"]);
  const { reason, wait = false, by } = body;
  if (typeof wait !== "boolean") throw invalid('"wait" must be true or false.', "invalid_body");
  if (by !== undefined && typeof by !== "string") throw invalid('"by" must be a string.', "invalid_body");
  const live = runtime.find(runId);
  const store = await theStore(); // from here on known, so that runs of an earlier process are reached too
  const found = await cancelRun(runId, reason, by === undefined ? {} : { by });
  if (!wait || !found) return jsonResponse({ runId, found });
  await live?.settled;
  if ((await store.get(runId)) === undefined) return jsonResponse({ runId, found });
  const run = await runs.wait(runId, { abortSignal: request.signal });
  return jsonResponse({ runId, found, run });
}

/** `POST /runs/:id/resume`. */
export async function resume(asked: RunRequest): Promise<Response> {
  const { runId, request, settings } = asked;
  checkKeys(await readBody(request, settings.maxBodyBytes), []);
  await checkStorage();
  const { functionName } = await known(runId);
  try {
    await runs.resume(runId);
  } catch (error) {
    const isNotSo = error instanceof UsageError && error.code === "invalid_option";
    throw isNotSo ? new Problem(409, "not_resumable", error.message) : error;
  }
  await serveHere(functionName, asked);
  return accepted(runId, (await known(runId)).status, asked);
}

/** As a submitted run has a worker where nobody started one, so has a run that is taken up again. */
async function serveHere(functionName: string, { settings }: RunRequest): Promise<void> {
  const fn = settings.functions.get(functionName);
  const store = await theStore();
  if (fn === undefined || runtime.settings.worker === false) return;
  if (workersOf(store).some(({ isExplicit }) => isExplicit)) return;
  await serve(store, queueFor(store), fn);
}

async function known(runId: string): Promise<RunRecord> {
  const record = await runs.get(runId);
  if (record !== undefined) return record;
  const live = runtime.find(runId) !== undefined;
  throw new Problem(
    404,
    "unknown_run",
    live
      ? `The run "${runId}" is at work, but is not stored: it can be cancelled, and only its starter sees its events.`
      : `The store has no run "${runId}". Only runs of the mode "background" are stored.`,
  );
}

function summaryOf({ input: _input, outcome: _outcome, ...summary }: RunRecord): RunSummary {
  return summary;
}
