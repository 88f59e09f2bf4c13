/** How much is measured: the whole, or a quick look that only shows that all of it works. */

export interface Plan {
  readonly baseURL: string;
  /** How often the contenders take turns. */
  readonly rounds: number;
  /** The CPU of one measured batch, and of the warm-up before the first, in ms. */
  readonly batchMs: number;
  readonly warmUpMs: number;
  /** Runs at work at once, where it is more than one. */
  readonly concurrency: number;
  /** Tool rounds whose growth is looked at. */
  readonly roundSizes: readonly number[];
  /** Runs for the time to the first delta, and for each phase of a stop. */
  readonly firstRuns: number;
  readonly stopRuns: number;
  /** Runs that wait at once. */
  readonly crowd: number;
  /** Fresh processes for the import time. */
  readonly imports: number;
  readonly background: BackgroundPlan;
}

/** Runs in the background. */
export interface BackgroundPlan {
  /** Runs that are submitted one after the other, and before them for the warm-up. */
  readonly starts: number;
  readonly warmUps: number;
  /** Runs that are there when workers begin to take them up. */
  readonly backlog: number;
  /** How long events are appended, in ms. */
  readonly appendMs: number;
  /** Runs that stream at once, and the deltas of each. */
  readonly streams: number;
  readonly deltas: number;
  readonly stops: number;
  readonly crashes: number;
  readonly idleSeconds: number;
}

export const fullPlan: Omit<Plan, "baseURL"> = {
  rounds: 7,
  batchMs: 200,
  warmUpMs: 800,
  concurrency: 64,
  roundSizes: [10, 50, 200],
  firstRuns: 200,
  stopRuns: 40,
  crowd: 1000,
  imports: 10,
  background: {
    starts: 100,
    warmUps: 30,
    backlog: 600,
    appendMs: 1500,
    streams: 20,
    deltas: 150,
    stops: 30,
    crashes: 5,
    idleSeconds: 10,
  },
};

export const quickPlan: Omit<Plan, "baseURL"> = {
  rounds: 1,
  batchMs: 40,
  warmUpMs: 60,
  concurrency: 4,
  roundSizes: [2, 5, 10],
  firstRuns: 5,
  stopRuns: 2,
  crowd: 50,
  imports: 1,
  background: {
    starts: 20,
    warmUps: 5,
    backlog: 200,
    appendMs: 200,
    streams: 10,
    deltas: 45,
    stops: 5,
    crashes: 2,
    idleSeconds: 5,
  },
};
