/** Which pages' scripts may use the server, as browsers ask and tell. */
import { Problem } from "./problem.ts";

type Cors = "*" | readonly string[];

/** The answer to a browser that asks before it sends; nothing where the request is none of these. */
export function preflight(request: Request, cors: Cors): Response | undefined {
  if (request.method !== "OPTIONS" || !request.headers.has("access-control-request-method")) return undefined;
  if (!isWelcome(request, cors)) return undefined;
  return new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-methods": "GET, POST",
      "access-control-allow-headers": "authorization, content-type, last-event-id",
      "access-control-max-age": "600",
    },
  });
}

/**
 * A page elsewhere can send some requests without asking first, with the user's cookies: browsers say so of these.
 *
 * @throws Problem 403
 */
export function refuseForeignPage(request: Request, cors: Cors): void {
  if (request.method === "GET" || isWelcome(request, cors)) return;
  const site = request.headers.get("sec-fetch-site");
  if (site === null ? isOwnPage(request) : site === "same-origin" || site === "none") return;
  throw new Problem(
    403,
    "forbidden_origin",
    "A page of another origin has sent this. To let it, name its origin: createHandler({ cors: [origin] }).",
  );
}

/** Browsers that do not say more (over plain HTTP, older ones) name the page's origin; other programs name none. */
function isOwnPage(request: Request): boolean {
  const origin = request.headers.get("origin");
  if (origin === null) return true;
  const host = request.headers.get("host") ?? new URL(request.url).host;
  return URL.canParse(origin) && new URL(origin).host === host;
}

/** Tells the browser that the page which asked may read the answer. */
export function shareWith(request: Request, response: Response, cors: Cors): Response {
  if (cors !== "*" && cors.length === 0) return response;
  response.headers.append("vary", "origin");
  const origin = request.headers.get("origin");
  if (origin === null || !isWelcome(request, cors)) return response;
  response.headers.set("access-control-allow-origin", cors === "*" ? "*" : origin);
  response.headers.set("access-control-expose-headers", "location, run-id");
  return response;
}

function isWelcome(request: Request, cors: Cors): boolean {
  const origin = request.headers.get("origin");
  return origin !== null && (cors === "*" || cors.includes(origin));
}
