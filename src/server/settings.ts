/** What a handler is told when it is made: checked at once, with the defaults filled in. */
import type { StoredFunction } from "../attempt.ts";
import { UsageError } from "../errors.ts";
import { isPlainObject, shown } from "../json.ts";
import { functionsOf } from "../start-worker.ts";
import { checkToken, type TokenCheck, type TokenOption } from "./auth.ts";

export interface HandlerOptions {
  /** Objects with decorated methods, and LLM functions or chats: the only ones that requests can start. */
  readonly functions: readonly object[];
  /**
   * What `Authorization: Bearer …` must hold: a token, one of several, or what a function says of it (it is given `""`
   * where there is no such header, and may look at a cookie). `false` lets everybody in; there is no default.
   */
  readonly token?: TokenOption | undefined;
  /** Where the runs are in the server's paths. Default `"/runs"`. */
  readonly basePath?: string;
  /** The largest body that is read, in bytes. Default 1 MiB. */
  readonly maxBodyBytes?: number;
  /** How long a stream of events may be silent before a comment is sent to keep it alive, in ms. Default 15,000. */
  readonly heartbeatMs?: number;
  /** The origins whose pages may call, as browsers ask; `"*"` for all. Default: that of the server itself only. */
  readonly cors?: "*" | readonly string[];
}

export interface HandlerSettings {
  readonly functions: ReadonlyMap<string, StoredFunction>;
  /** Nothing where everybody is let in. */
  readonly isAllowed: TokenCheck | undefined;
  /** Without a slash at its end. */
  readonly basePath: string;
  readonly maxBodyBytes: number;
  readonly heartbeatMs: number;
  readonly cors: "*" | readonly string[];
}

const optionKeys = ["functions", "token", "basePath", "maxBodyBytes", "heartbeatMs", "cors"];

/** @throws UsageError `invalid_option`, `unknown_function` */
export function settingsOf(options: HandlerOptions): HandlerSettings {
  if (!isPlainObject(options)) fail(`takes an object, not ${shown(options)}.`);
  const unknown = Object.keys(options).filter((key) => !optionKeys.includes(key));
  if (unknown.length > 0) fail(`does not know ${unknown.join(", ")}. It knows ${optionKeys.join(", ")}.`);
  const { functions, token, basePath = "/runs", maxBodyBytes = 1_048_576, heartbeatMs = 15_000 } = options;
  const { cors = [] } = options;
  if (!Array.isArray(functions) || functions.length === 0) {
    fail('"functions" must be a list of what requests may start: [analyst, summarise].');
  }
  if (typeof basePath !== "string" || !/^(\/[^?#]*)?$/.test(basePath)) {
    fail(`"basePath" must be a path such as "/runs", not ${shown(basePath)}.`);
  }
  if (!Number.isInteger(maxBodyBytes) || maxBodyBytes < 1) {
    fail(`"maxBodyBytes" must be a whole number of bytes above 0, not ${shown(maxBodyBytes)}.`);
  }
  if (!(typeof heartbeatMs === "number" && heartbeatMs >= 1 && heartbeatMs <= 2_147_483_647)) {
    fail(`"heartbeatMs" must be a number of milliseconds, 1 or more, not ${shown(heartbeatMs)}.`);
  }
  if (cors !== "*" && !(Array.isArray(cors) && cors.every(isOrigin))) {
    fail('"cors" must be "*" or a list of origins: ["https://app.example.com"].');
  }
  return {
    functions: new Map(functionsOf(functions).map((fn) => [fn.functionName, fn])),
    isAllowed: checkToken(token, fail),
    basePath: basePath.replace(/\/+$/, ""),
    maxBodyBytes,
    heartbeatMs,
    cors,
  };
}

function isOrigin(value: unknown): boolean {
  return typeof value === "string" && URL.canParse(value) && new URL(value).origin === value;
}

function fail(message: string): never {
  throw new UsageError("invalid_option", `createHandler({ … }): ${message}`);
}
