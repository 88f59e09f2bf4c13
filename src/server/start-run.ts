/** Starts a run as a request asks for it: awaited, streamed, or stored for whoever runs it. */
import type { StoredFunction } from "../attempt.ts";
import { submit } from "../background.ts";
import type { RunOutcome } from "../events.ts";
import type { Json } from "../json.ts";
import { type RunStream, streamRun } from "../run.ts";
import { runtime } from "../runtime.ts";
import { knowsStore, queueFor, theStore } from "../storage.ts";
import { storedOutcome } from "../stored-outcome.ts";
import { readBody } from "./body.ts";
import { Problem } from "./problem.ts";
import { jsonResponse, type RunRequest } from "./run-request.ts";
import { eventResponse } from "./sse.ts";
import { type StartOrder, startOrder } from "./start-order.ts";

/** `POST /runs`. */
export async function start(asked: RunRequest): Promise<Response> {
  const { request, settings } = asked;
  const order = startOrder(await readBody(request, settings.maxBodyBytes));
  const fn = settings.functions.get(order.functionName);
  if (fn === undefined) throw unknownFunction(order.functionName, [...settings.functions.keys()]);
  await refuseTaken(order);
  switch (order.mode) {
    case "background":
      return startInBackground(fn, order, asked);
    case "stream":
      return startStream(fn, order, asked);
    case "sync":
      return startAndWait(fn, order, asked);
    default:
      return order.mode satisfies never;
  }
}

async function startInBackground(
  fn: StoredFunction,
  order: StartOrder,
  asked: RunRequest,
): Promise<Response> {
  await checkStorage();
  const { args, options, background, runId } = order;
  // The options always stand last, so that no argument is taken for them.
  const handle = await submit<Json>(fn, [...args, { ...options, ...background, runId }]);
  return accepted(runId, (await handle.get()).status, asked);
}

/** The answer for a run that goes on without its caller. */
export function accepted(runId: string, status: string, { settings }: RunRequest): Response {
  // Without the host, of which a proxy may have made another one.
  const location = `${settings.basePath}/${encodeURIComponent(runId)}`;
  return jsonResponse({ runId, status }, 202, { location });
}

function startStream(fn: StoredFunction, order: StartOrder, { request, settings }: RunRequest): Response {
  const run = begin(fn, order).run;
  const events = run[Symbol.asyncIterator]();
  return eventResponse(events, {
    heartbeatMs: settings.heartbeatMs,
    signal: request.signal,
    leave: () => stopAsLeft(run),
    headers: idHeader(run.runId),
  });
}

async function startAndWait(
  fn: StoredFunction,
  order: StartOrder,
  { request }: RunRequest,
): Promise<Response> {
  const { run, answer } = begin(fn, order);
  const leave = () => stopAsLeft(run);
  if (request.signal.aborted) leave();
  else request.signal.addEventListener("abort", leave, { once: true });
  const outcome = await run.outcome;
  request.signal.removeEventListener("abort", leave);
  const body = { runId: run.runId, ...storedOutcome(outcome, answer(outcome)) };
  return jsonResponse(body, 200, idHeader(run.runId));
}

/** Percent-encoded, as in a path: headers hold no more than Latin letters. */
function idHeader(runId: string): Record<string, string> {
  return { "run-id": encodeURIComponent(runId) };
}

interface Begun {
  readonly run: RunStream<unknown>;
  /** What `await` on the call would have given, where it would have given something. */
  answer(outcome: RunOutcome<unknown>): unknown;
}

/** As a call does, and as workers do: the body is given the options where there are some. */
function begin(fn: StoredFunction, { args, options, runId }: StartOrder): Begun {
  const given = Object.keys(options).length === 0 ? args : [...args, options as Json];
  const spec = fn.spec(given, { ...options, runId });
  return {
    run: streamRun(spec),
    answer(outcome) {
      try {
        return spec.answer(outcome);
      } catch {
        return undefined; // it would have thrown, which the outcome says in its own words
      }
    },
  };
}

function stopAsLeft({ runId }: RunStream<unknown>): void {
  runtime.find(runId)?.stop("consumer", "the client closed the connection");
}

/** A run in the background may be asked for again; one at work here must not share its id with anything. */
async function refuseTaken({ runId, mode }: StartOrder): Promise<void> {
  const isLive = runtime.find(runId) !== undefined;
  if (mode === "background" && !isLive) return;
  const isStored = knowsStore() && (await (await theStore()).get(runId)) !== undefined;
  if (mode === "background" ? isStored : !isLive && !isStored) return;
  throw new Problem(
    409,
    "duplicate_run",
    `There is a run with the id "${runId}" already. For a new run leave runId out, or choose another.`,
  );
}

/** What is wrong with the store or the queue is no fault of the request, whatever it is called. */
export async function checkStorage(): Promise<void> {
  try {
    queueFor(await theStore());
  } catch (error) {
    throw new Error("The run store cannot be used as it is configured", { cause: error });
  }
}

function unknownFunction(functionName: string, known: readonly string[]): Problem {
  const name = functionName.slice(0, 100);
  return new Problem(
    404,
    "unknown_function",
    `This server has no function "${name}". It has ${known.join(", ")}.`,
  );
}
