/** Reads the JSON body of a request, within limits. */
import { isPlainObject, kindOf, parseJson, textOf } from "../json.ts";
import { invalid, Problem } from "./problem.ts";

/** Deeper data is nobody's argument, and could exhaust the stack of whoever walks through it. */
const maxDepth = 200;

/**
 * The object that the body holds; an empty one where there is no body.
 *
 * @throws Problem 400, 413, 415, 422
 */
export async function readBody(request: Request, maxBytes: number): Promise<Record<string, unknown>> {
  const bytes = await readBytes(request, maxBytes);
  if (bytes.length === 0) return {};
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json *(;|$)/i.test(type)) {
    throw new Problem(
      415,
      "unsupported_media_type",
      `The body must be JSON, with the header Content-Type: application/json${type === "" ? "." : `, not ${type}.`}`,
    );
  }
  const value = parseJson(textIn(bytes));
  if (value === undefined) {
    throw new Problem(
      400,
      "invalid_json",
      "The body is no valid JSON in UTF-8: send what JSON.stringify gives.",
    );
  }
  if (!isPlainObject(value))
    throw invalid(`The body must be a JSON object, not ${kindOf(value)}.`, "invalid_body");
  if (isDeeper(value, maxDepth)) {
    throw invalid(`The body is nested more than ${maxDepth} levels deep.`, "invalid_body");
  }
  return value;
}

/** @throws Problem 422 where the body holds other keys than these */
export function checkKeys(value: object, known: readonly string[], what = "The body"): void {
  const foreign = Object.keys(value).filter((key) => !known.includes(key));
  if (foreign.length === 0) return;
  throw invalid(
    `${what} does not know ${foreign.join(", ").slice(0, 200)}. ${known.length === 0 ? "It takes nothing." : `It knows ${known.join(", ")}.`}`,
    what === "The body" ? "invalid_body" : "invalid_option",
  );
}

async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  if (Number(request.headers.get("content-length")) > maxBytes) {
    await request.body?.cancel();
    throw tooLarge(maxBytes);
  }
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    // Leaving the loop cancels the rest of the body.
    for await (const part of request.body ?? []) {
      length += part.byteLength;
      if (length > maxBytes) throw tooLarge(maxBytes);
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem(400, "invalid_body", `The body broke off: ${textOf(error)}`);
  }
  return Buffer.concat(parts, length);
}

function tooLarge(maxBytes: number): Problem {
  return new Problem(
    413,
    "body_too_large",
    `The body is larger than ${maxBytes} bytes. Send less, or let the server take more: createHandler({ maxBodyBytes }).`,
  );
}

function textIn(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return ""; // no JSON either, which is what is said of it
  }
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((item) => isDeeper(item, levels - 1));
}
