/** A request to the server as its routes see it, and what they answer. */
import { invalid } from "./problem.ts";
import type { HandlerSettings } from "./settings.ts";

export interface RunRequest {
  readonly request: Request;
  readonly settings: HandlerSettings;
  readonly query: URLSearchParams;
  /** From the path; `""` where the route has none. */
  readonly runId: string;
}

export function jsonResponse(
  body: object,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { ...headers, "content-type": "application/json", "cache-control": "no-store" },
  });
}

/** @throws Problem 422 */
export function numberIn(query: URLSearchParams, name: string, min: number, max: number): number | undefined {
  const text = query.get(name);
  return text === null ? undefined : wholeNumber(text, `"${name}"`, min, max);
}

/** @throws Problem 422 */
export function wholeNumber(text: string, what: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw invalid(`${what} must be a whole number from ${min} to ${max}, not "${text.slice(0, 40)}".`);
}
