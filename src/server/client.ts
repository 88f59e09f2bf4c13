/** `llmethod/client`: the runs of a server, with the surface of `runs`; for browsers and for Node, on `fetch` alone. */
import type { BackgroundOptions } from "../background.ts";
import { TimeoutError, UsageError } from "../errors.ts";
import type { RunEvent, StoredEvent } from "../events.ts";
import type { Json, JsonObject } from "../json.ts";
import type { CallOptions } from "../options.ts";
import type { CancelOptions, EventOptions, GapEvent, RunHandle, WaitOptions } from "../run-handle.ts";
import type { RunFilter, RunRecord } from "../store.ts";
import { resultOf, type SyncAnswer } from "./client-answer.ts";
import { streamedEvents, watchedEvents } from "./client-events.ts";
import { persistently } from "./client-patience.ts";
import { type Body, RequestError, Transport, type TransportOptions } from "./client-transport.ts";
import type { RunSummary } from "./stored-runs.ts";

export { RequestError } from "./client-transport.ts";
export type { RunSummary } from "./stored-runs.ts";

export interface ClientOptions extends TransportOptions {
  /**
   * How long a stream of events may be silent before its connection is taken for dead, in ms. Default 60,000: more than
   * the server's `heartbeatMs`.
   */
  readonly silenceMs?: number;
}

/** The options of a run that a server starts: JSON, as they travel. */
export interface RemoteOptions extends Omit<CallOptions, "abortSignal" | "context"> {
  readonly context?: Json;
  /** Ends the request; with `call` and `stream` also the run. */
  readonly abortSignal?: AbortSignal;
}

export type StartOptions = RemoteOptions & Pick<BackgroundOptions, "key" | "priority" | "delayMs">;

/** What a client can do. Errors of the server are `RequestError`s, with its `status` and `code`. */
export interface RunsClient {
  /** Stores a run on the server, which outlives this call. An id that is known with the same input gives that run. */
  start<T = Json>(functionName: string, args: readonly Json[], options?: StartOptions): Promise<RunHandle<T>>;
  /** Waits for the answer; leaving stops the run. Throws `RunCancelledError`, or the error with which the run failed. */
  call<T = Json>(functionName: string, args: readonly Json[], options?: RemoteOptions): Promise<T>;
  /** The events of a run; leaving the loop stops it. A connection that breaks is an error, for the run is stopped. */
  stream<T = Json>(
    functionName: string,
    args: readonly Json[],
    options?: RemoteOptions,
  ): AsyncGenerator<RunEvent<T>, void>;
  /** The record, or nothing where the server has none. */
  get(runId: string): Promise<RunRecord | undefined>;
  /** Newest first, 100 by default, without inputs and outcomes; `before` asks for the next page. */
  list(filter?: RunFilter): Promise<RunSummary[]>;
  /** Resolves with the record when the run has ended, however it did; over broken connections too. */
  wait(runId: string, options?: WaitOptions): Promise<RunRecord>;
  /** Events from the start or from `after`, then live: over broken connections, without gap or double. Never stops the run. */
  events(runId: string, options?: EventOptions): AsyncGenerator<StoredEvent | GapEvent, void>;
  /** `true` where the run was there and had not ended; with `wait` it has ended when this resolves. */
  cancel(runId: string, reason?: unknown, options?: CancelOptions & { wait?: boolean }): Promise<boolean>;
  /** Takes a run up again that was cancelled or failed. */
  resume(runId: string): Promise<RunHandle>;
}

/** How long one request waits for the end of a run, in ms. */
const pollMs = 25_000;

/**
 * A client for the runs of a server made with `createHandler`.
 *
 * @throws UsageError `invalid_option`
 * @example
 * const client = createClient({ url: "http://localhost:8080/runs", token: "a long random secret" });
 * const run = await client.start("Analyst.research", ["Why?"]);
 * for await (const event of run.events()) console.log(event.type);
 */
export function createClient(options: ClientOptions): RunsClient {
  const { silenceMs = 60_000 } = options;
  if (!(silenceMs > 0)) {
    throw new UsageError("invalid_option", "createClient({ silenceMs }) takes milliseconds above 0.");
  }
  const transport = new Transport(options);

  const client: RunsClient = {
    async start<T>(functionName: string, args: readonly Json[], given: StartOptions = {}) {
      const { abortSignal, runId, key, priority, delayMs, ...rest } = given;
      const body = { ...order(functionName, args, rest, "background"), runId, key, priority, delayMs };
      const { runId: id } = await transport.json<{ runId: string }>("", { body, abortSignal });
      return handleOf<T>(client, id);
    },

    async call<T>(functionName: string, args: readonly Json[], given: RemoteOptions = {}) {
      const { abortSignal, runId, ...rest } = given;
      const body = { ...order(functionName, args, rest, "sync"), runId };
      const { runId: id, ...outcome } = await transport.json<SyncAnswer>("", { body, abortSignal });
      return resultOf<T>(id, outcome);
    },

    stream<T>(functionName: string, args: readonly Json[], given: RemoteOptions = {}) {
      const { abortSignal, runId, ...rest } = given;
      const body = { ...order(functionName, args, rest, "stream"), runId };
      return streamedEvents<T>(transport, body, { abortSignal, silenceMs });
    },

    async get(runId) {
      try {
        return await transport.json<RunRecord>(pathOf(runId));
      } catch (error) {
        if (error instanceof RequestError && error.code === "unknown_run") return undefined;
        throw error;
      }
    },

    async list({ status, functionName, key, parentRunId, before, limit } = {}) {
      const query = new URLSearchParams();
      for (const name of [status ?? []].flat()) query.append("status", name);
      const texts = { function: functionName, key, parent: parentRunId, before, limit: limit?.toString() };
      for (const [name, text] of Object.entries(texts)) if (text !== undefined) query.set(name, text);
      return (await transport.json<{ runs: RunSummary[] }>(`?${query}`)).runs;
    },

    async wait(runId, { timeoutMs, abortSignal } = {}) {
      const deadline = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
      for (;;) {
        const leftMs = deadline === undefined ? pollMs : Math.max(0, Math.ceil(deadline - performance.now()));
        const path = `${pathOf(runId)}?wait=${Math.min(pollMs, leftMs)}`;
        const ask = () => transport.json<RunRecord>(path, { abortSignal });
        const record = await persistently(ask, { abortSignal, deadline });
        if (record.status !== "pending" && record.status !== "running") return record;
        if (timeoutMs !== undefined && leftMs === 0) throw new TimeoutError("wait", timeoutMs);
      }
    },

    events(runId, { after = 0, abortSignal } = {}) {
      return watchedEvents(transport, `${pathOf(runId)}/events`, { after, abortSignal, silenceMs });
    },

    async cancel(runId, reason, { by, wait } = {}) {
      const body = { reason: reason as Json, by, wait };
      return (await transport.json<{ found: boolean }>(`${pathOf(runId)}/cancel`, { body })).found;
    },

    async resume(runId) {
      await transport.json(`${pathOf(runId)}/resume`, { body: {} });
      return handleOf(client, runId);
    },
  };
  return client;
}

function handleOf<T>(client: RunsClient, runId: string): RunHandle<T> {
  const resulting = async (options?: WaitOptions) => {
    const { outcome } = await client.wait(runId, options);
    if (outcome === undefined) throw new Error(`The run ${runId} has ended without an outcome.`);
    return resultOf<T>(runId, outcome);
  };
  return {
    runId,
    get: async () => {
      const record = await client.get(runId);
      if (record === undefined)
        throw new UsageError("unknown_run", `The server has no run "${runId}" any more.`);
      return record;
    },
    wait: (options) => client.wait(runId, options),
    result: resulting,
    events: (options) => client.events(runId, options),
    cancel: (reason, options) => client.cancel(runId, reason, options),
  };
}

function order(functionName: string, args: readonly Json[], options: object, mode: string): Body {
  return { function: functionName, args, options: options as JsonObject, mode };
}

function pathOf(runId: string): string {
  if (typeof runId === "string" && runId !== "") return `/${encodeURIComponent(runId)}`;
  throw new UsageError("invalid_option", "A run's id is a string that is not empty.");
}
