/** What the main process asks of the processes of background runs, and what it hears back. */
import type { ManagerName } from "./background-managers.ts";
import type { Place } from "./background-place.ts";

/** The pace of a model that streams. */
export const deltasPerSecond = 30;

/** The command line of a process, as JSON. With a manager it has no store: its runs are calls. */
export interface BackgroundArguments {
  readonly place: Place;
  readonly manager?: ManagerName;
}

export type BackgroundTask =
  /** Takes runs up from now on. */
  | { readonly type: "serve"; readonly concurrency: number }
  | { readonly type: "leave" }
  /** Submits runs one after the other, each when the last has ended, and a moment later. */
  | { readonly type: "start-times"; readonly runs: number }
  /** Submits runs that answer at once, 20 at a time, under a key. */
  | { readonly type: "submit"; readonly runs: number; readonly key: string }
  /** Waits until all runs of a key have ended. */
  | { readonly type: "drained"; readonly runs: number; readonly key: string }
  /** Saves events as a worker does: so many in a transaction, so many runs side by side. */
  | { readonly type: "append"; readonly batch: number; readonly runs: number; readonly ms: number }
  /** Reads the whole log of a run, which has so many events. */
  | { readonly type: "replay"; readonly runId: string; readonly events: number }
  /** Submits runs that stream at the pace of a model, and reads the events of all of them. */
  | { readonly type: "tail"; readonly runs: number; readonly deltas: number }
  /** Stops runs at work, one after the other. */
  | { readonly type: "stop"; readonly runs: number; readonly way: "runs.cancel" | "cancelRun" }
  /** Submits runs that go on until they are stopped; answers when all of them are at work. */
  | { readonly type: "linger"; readonly runs: number }
  /** Waits until each of the runs is at work in another process than before. */
  | { readonly type: "next-requests"; readonly before: readonly Lingering[] }
  /** Begins a call that goes on until it is stopped; answers when its model is at work. */
  | { readonly type: "hold"; readonly runId: string }
  /** Waits for the end of that call. */
  | { readonly type: "held"; readonly runId: string }
  | { readonly type: "cancel"; readonly runId: string }
  | { readonly type: "usage" };

/** A run at work, and the process that has it. */
export interface Lingering {
  readonly runId: string;
  readonly pid: number;
}

/** Times are in ms; points in time are of the clock that all processes of the machine share. */
export interface BackgroundResults {
  serve: null;
  leave: null;
  "start-times": { readonly submitted: readonly number[]; readonly requested: readonly number[] };
  /** Runs a second. */
  submit: number;
  /** Runs a second, from the start of the first to the end of the last. */
  drained: number;
  /** Events a second, and the run that has most of them. */
  append: { readonly perSecond: number; readonly runId: string; readonly events: number };
  /** Events a second. */
  replay: number;
  /** From each delta to its reader, and the CPU of this process as a share of a core. */
  tail: { readonly latencies: readonly number[]; readonly cpu: number };
  stop: readonly number[];
  linger: readonly Lingering[];
  /** When the model was asked there, by run id. */
  "next-requests": Readonly<Record<string, number>>;
  hold: null;
  held: { readonly endedAt: number; readonly status: string };
  cancel: { readonly askedAt: number };
  /** CPU since the process began. */
  usage: { readonly cpuMs: number; readonly rssMiB: number };
}
