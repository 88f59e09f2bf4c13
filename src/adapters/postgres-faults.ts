/** Which database errors mean that the same work may succeed when it is done again, and the doing again. */
import { setTimeout as sleep } from "node:timers/promises";

/**
 * `lost`: the connection broke, and nobody knows whether the work was done. `conflict`: the server rolled it back for
 * another transaction. `unreachable`: there was no connection, so nothing was done. `other`: no use to try again.
 */
export type FaultKind = "lost" | "conflict" | "unreachable" | "other";

const kindByCode: Readonly<Record<string, FaultKind>> = {
  "57P01": "lost",
  "57P02": "lost",
  "57P05": "lost",
  "08003": "lost",
  "08006": "lost",
  ECONNRESET: "lost",
  EPIPE: "lost",
  "40001": "conflict",
  "40P01": "conflict",
  "57P03": "unreachable",
  "53300": "unreachable",
  ECONNREFUSED: "unreachable",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  ENOTFOUND: "unreachable",
  EAI_AGAIN: "unreachable",
  ETIMEDOUT: "unreachable",
};

/** What `pg` says without a code. */
const kindByMessage: readonly (readonly [RegExp, FaultKind])[] = [
  [/timeout expired|timeout exceeded when trying to connect|due to connection timeout/, "unreachable"],
  [/Connection terminated|not queryable|Query read timeout/, "lost"],
];

export function faultKind(error: unknown): FaultKind {
  if (!(error instanceof Error)) return "other";
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  if (Object.hasOwn(kindByCode, code)) return kindByCode[code] ?? "other";
  return kindByMessage.find(([pattern]) => pattern.test(error.message))?.[1] ?? "other";
}

const shortPausesMs = [20, 100, 300];
const longPausesMs = [20, 100, 300, 500, 1000, 1000, 1000, 2000, 2000, 2000];

/** For work that may be done twice: again where a connection broke. A server that is down is an error at once. */
export function repeating<T>(work: () => Promise<T>): Promise<T> {
  return attempts(work, shortPausesMs, false);
}

/**
 * For work that must be done once: again where the server rolled back or a connection broke; then it waits about eight
 * seconds for a server that starts again, to learn whether it was done. `again`: an earlier try may have done it.
 */
export function persisting<T>(work: (again: boolean) => Promise<T>): Promise<T> {
  return attempts(work, longPausesMs, true);
}

async function attempts<T>(
  work: (again: boolean) => Promise<T>,
  pausesMs: readonly number[],
  waitsForServer: boolean,
): Promise<T> {
  let lost = false;
  for (let tries = 0; ; tries++) {
    try {
      return await work(lost);
    } catch (error) {
      const kind = faultKind(error);
      lost ||= kind === "lost";
      const isWorthIt =
        kind === "lost" || kind === "conflict" || (kind === "unreachable" && lost && waitsForServer);
      const pauseMs = pausesMs[tries];
      if (!isWorthIt || pauseMs === undefined) throw error;
      await sleep(pauseMs * (0.5 + Math.random() / 2));
    }
  }
}
