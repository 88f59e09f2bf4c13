/** Who may use the server: a bearer token, compared in a time that says nothing of it. */
import { createHash, timingSafeEqual } from "node:crypto";
import { Problem } from "./problem.ts";

/** Says whether a request with this token may do what it asks; the token is `""` where there is none. */
export type TokenCheck = (token: string, request: Request) => boolean | Promise<boolean>;
export type TokenOption = string | readonly string[] | TokenCheck | false;

/** The check for an option; nothing where everybody is let in. `fail` hears of an option that cannot work. */
export function checkToken(
  option: TokenOption | undefined,
  fail: (message: string) => never,
): TokenCheck | undefined {
  if (option === false) return undefined;
  if (typeof option === "function") return option;
  if (option === undefined) {
    return fail(
      'needs a "token": whoever can send requests can spend your money. Give a secret, token: process.env.RUNS_TOKEN, ' +
        "or say token: false where only you can reach the server.",
    );
  }
  const tokens: readonly unknown[] = typeof option === "string" ? [option] : option;
  if (!Array.isArray(tokens) || tokens.length === 0 || !tokens.every(isToken)) {
    return fail(
      '"token" must be a string without spaces that is not empty, a list of such, a function, or false.',
    );
  }
  const digests = tokens.map((token) => digestOf(token));
  return (given) => {
    const digest = digestOf(given);
    // Each is compared, so that the time does not tell which of them came close.
    return digests.map((known) => timingSafeEqual(known, digest)).includes(true);
  };
}

/** @throws Problem 401 */
export async function authorise(request: Request, isAllowed: TokenCheck | undefined): Promise<void> {
  if (isAllowed === undefined) return;
  const token = /^Bearer +(\S+) *$/i.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
  if ((await isAllowed(token, request)) === true) return;
  const detail =
    token === ""
      ? "This server needs a token: send the header Authorization: Bearer <token>."
      : "This token is not known here: ask whoever runs the server for a valid one.";
  const challenge = token === "" ? 'Bearer realm="runs"' : 'Bearer realm="runs", error="invalid_token"';
  throw new Problem(401, "unauthorized", detail, { "www-authenticate": challenge });
}

function isToken(value: unknown): value is string {
  return typeof value === "string" && /^\S+$/.test(value);
}

function digestOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
