/** `llmethod/server`: runs over HTTP, as one function from a request to a response. */
import { runtime } from "../runtime.ts";
import { authorise } from "./auth.ts";
import { preflight, refuseForeignPage, shareWith } from "./cors.ts";
import { Problem, problemOf } from "./problem.ts";
import { runIdIn } from "./run-id.ts";
import type { RunRequest } from "./run-request.ts";
import { type HandlerOptions, type HandlerSettings, settingsOf } from "./settings.ts";
import { start } from "./start-run.ts";
import { cancel, get, list, resume, watch } from "./stored-runs.ts";

export type { TokenCheck, TokenOption } from "./auth.ts";
export type { FetchHandler, NodeHandler } from "./node.ts";
export { toNodeHandler } from "./node.ts";
export type { ProblemCode } from "./problem.ts";
export type { HandlerOptions } from "./settings.ts";
export type { RunSummary } from "./stored-runs.ts";

/**
 * Makes a handler that serves runs of these functions over HTTP, for any server that speaks `Request` and `Response`
 * (Hono, Next, Deno, Bun), and with `toNodeHandler` for `node:http`, Express and Fastify. Whoever has a token sees and
 * stops every run of the store. Problems are answered as `application/problem+json` with a `code` and a `detail`.
 *
 * - `POST /runs` `{ function, args, options, mode, runId }` starts a run. `mode` is `"background"` (default; also takes
 *   `key`, `priority`, `delayMs`): 202 with `{ runId, status }`; `"sync"`: its outcome; `"stream"`: its events. A client
 *   that leaves stops its run, except in the background.
 * - `GET /runs?status=&function=&key=&parent=&limit=&before=`: `{ runs, next }`, newest first
 * - `GET /runs/:id?wait=`: the record, after `wait` ms at most where the run has not ended
 * - `GET /runs/:id/events?after=`: the events as server-sent events, from the start or after `Last-Event-ID`, then live
 * - `POST /runs/:id/cancel` `{ reason, by, wait }`: `{ runId, found, run }`; reaches runs of every mode
 * - `POST /runs/:id/resume`: takes a run up again that was cancelled or failed
 *
 * @throws UsageError `invalid_option` for an option that cannot work, or without `token`; `unknown_function`
 * @example
 * const handler = createHandler({ functions: [analyst], token: "a long random secret" });
 * const response = await handler(new Request("http://localhost/runs"));
 */
export function createHandler(options: HandlerOptions): (request: Request) => Promise<Response> {
  const settings = settingsOf(options);
  // The runs that a request starts belong to no run in which the server itself may have been started.
  return (request) => runtime.outside(() => answer(request, settings));
}

type Route = (asked: RunRequest) => Promise<Response>;

/** By what stands behind the base path, `:id` for any id, then by method. */
const routes: Readonly<Record<string, Readonly<Record<string, Route>>>> = {
  "": { GET: list, POST: start },
  ":id": { GET: get },
  ":id/events": { GET: watch },
  ":id/cancel": { POST: cancel },
  ":id/resume": { POST: resume },
};

async function answer(request: Request, settings: HandlerSettings): Promise<Response> {
  const response = preflight(request, settings.cors) ?? (await respond(request, settings));
  return shareWith(request, response, settings.cors);
}

async function respond(request: Request, settings: HandlerSettings): Promise<Response> {
  try {
    refuseForeignPage(request, settings.cors);
    await authorise(request, settings.isAllowed);
    const { route, asked } = routed(request, settings);
    return await route(asked);
  } catch (error) {
    // Nobody hears this: the client is gone, and what it waited for was ended by that.
    if (request.signal.aborted && error === request.signal.reason) return new Response(null, { status: 499 });
    return problemOf(error).toResponse();
  }
}

function routed(request: Request, settings: HandlerSettings): { route: Route; asked: RunRequest } {
  const { pathname, searchParams: query } = new URL(request.url);
  const { basePath } = settings;
  const isBelow = pathname === basePath || pathname.startsWith(`${basePath}/`);
  const [id = "", ...rest] = isBelow
    ? pathname
        .slice(basePath.length + 1)
        .replace(/\/$/, "")
        .split("/")
    : [];
  const key = [...(id === "" ? [] : [":id"]), ...rest].join("/");
  const methods = isBelow && Object.hasOwn(routes, key) ? routes[key] : undefined;
  if (methods === undefined) {
    throw new Problem(404, "not_found", `There is nothing at this path: the runs are at ${basePath || "/"}.`);
  }
  const route = Object.hasOwn(methods, request.method) ? methods[request.method] : undefined;
  if (route === undefined) {
    const allowed = Object.keys(methods).join(", ");
    throw new Problem(405, "method_not_allowed", `Here only ${allowed} is known, not ${request.method}.`, {
      allow: allowed,
    });
  }
  return { route, asked: { request, settings, query, runId: id === "" ? "" : runIdIn(id) } };
}
