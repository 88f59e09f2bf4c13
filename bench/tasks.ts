/** What the main process asks of a client process, and what it hears back. */
import type { ContenderName, Kind } from "./contenders/contender.ts";
import type { Batch, Cost } from "./measure.ts";

/** What a client runs: a model of the local server, for one kind of run. */
export interface Subject {
  readonly baseURL: string;
  readonly model: string;
  readonly kind: Kind;
}

/** The command line of a client, as JSON. */
export interface ClientArguments {
  readonly contender: ContenderName;
  readonly subject: Subject;
}

/** What the tool `lookup` does: answers at once, and what it does about a stop. */
export type LookupManner = "answer" | "obey" | "ignore" | "stop-at-last-line";

export type Task =
  /** Runs once and fails where the answer or the number of tool calls is not what it must be. */
  | { readonly type: "check"; readonly answer: unknown; readonly lookups: number }
  | { readonly type: "warm-up"; readonly concurrency: number; readonly ms: number }
  | ({ readonly type: "cost" } & Batch)
  | { readonly type: "first-delta"; readonly runs: number }
  | {
      readonly type: "stop";
      readonly lookup: LookupManner;
      readonly runs: number;
      readonly expectsClose: boolean;
    }
  | { readonly type: "crowd"; readonly runs: number };

/** Times in ms. `closed`: until the server saw the socket closed. */
export interface StopTimes {
  readonly settled: readonly number[];
  readonly closed: readonly number[];
  /** How many requests reached the server after a stop. */
  readonly lateRequests: number;
}

/** Bytes a waiting run, and how long one signal's abort took to settle all of them. */
export interface CrowdCost {
  readonly rssPerRun: number;
  readonly heapPerRun: number;
  readonly settledMs: number;
}

export interface Results {
  check: null;
  /** The CPU of one run, in ms. */
  "warm-up": number;
  cost: Cost;
  "first-delta": readonly number[];
  stop: StopTimes;
  crowd: CrowdCost;
}

export type Reply = { readonly result: unknown } | { readonly error: string };
