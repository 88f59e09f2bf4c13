// What every run store keeps, whatever it is made of: one suite for all of them.

import { afterEach, beforeEach, describe } from "vitest";
import type { Claim, NewRun, RunStore, StoredOutcome } from "../../src/store.ts";
import { testClaims } from "./store-claims.ts";
import { testCreating } from "./store-creating.ts";
import { claimed, newRun, outcome, terminal } from "./store-runs.ts";
import { testStops } from "./store-stops.ts";
import { testUpkeep } from "./store-upkeep.ts";
import { testWriting } from "./store-writing.ts";

/** A store that is open for one test. */
export interface OpenStore<Store extends RunStore = RunStore> {
  readonly store: Store;
  /** Another store object on the same data, as another process would have it. `dispose` closes it too. */
  second(): Store;
  dispose(): Promise<void>;
}

export interface StoreEntry<Store extends RunStore = RunStore> {
  readonly name: string;
  open(): Promise<OpenStore<Store>>;
  /** Why this store cannot be tested here; never regarded in CI. */
  readonly missing?: string | undefined;
}

/** What each test has: two objects on the same data, and the ways to a run that runs or has ended. */
export interface TestedStore {
  readonly store: RunStore;
  readonly second: RunStore;
  running(runId: string, more?: Partial<NewRun>): Promise<Claim>;
  ended(runId: string, status?: StoredOutcome["status"]): Promise<Claim>;
}

export function testStore({ name, open, missing }: StoreEntry): void {
  const isSkipped = missing !== undefined && !process.env.CI;
  if (isSkipped) console.warn(`Skipped: the run store "${name}", as ${missing}.`);

  describe.skipIf(isSkipped)(`the run store ${name}`, () => {
    let opened: OpenStore;
    let tested: TestedStore;

    beforeEach(async () => {
      opened = await open();
      tested = testedStore(opened);
    });
    afterEach(() => opened.dispose());

    for (const part of [testCreating, testStops, testClaims, testWriting, testUpkeep]) part(() => tested);
  });
}

function testedStore(opened: OpenStore): TestedStore {
  const { store } = opened;
  const running = async (runId: string, more?: Partial<NewRun>) => {
    await store.create(newRun(runId, more));
    return claimed(await store.claim(runId, "worker"));
  };
  const ended = async (runId: string, status: StoredOutcome["status"] = "completed") => {
    const claim = await running(runId);
    await store.finish(claim, outcome(status), [terminal(runId, status)]);
    return claim;
  };
  return { store, second: opened.second(), running, ended };
}
