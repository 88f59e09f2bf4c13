// One suite for every cancellation manager: what CancellationManager promises, within a process and between processes.

import {
  type CancellationManager,
  configure,
  MemoryCancellationManager,
  setCancellationManager,
} from "llmethod";
import { afterEach, beforeEach, describe, test } from "vitest";
import type { ManagerRecipe } from "./manager-process.ts";
import { servesProcesses } from "./manager-processes.ts";
import { keepsRequests } from "./manager-requests.ts";
import { watchesRuns } from "./manager-watches.ts";

export type Manager = CancellationManager & { close?(): Promise<void> };

export interface OpenedManager {
  readonly manager: Manager;
  /** Another manager object on the same data, as another process would have it. `dispose` closes it, too. */
  second(): Manager;
  /** How another process makes such a manager; absent where no other process can. */
  readonly recipe?: ManagerRecipe;
  /** Closes the managers and removes their data. */
  dispose(): Promise<void>;
}

/** A manager whose backend can be taken away and brought back, with nothing lost but what it keeps in memory. */
export interface BreakableManager extends OpenedManager {
  goDown(): Promise<void>;
  comeBack(): Promise<void>;
}

export interface ManagerKind {
  readonly name: string;
  /** Why it cannot be tested here; nothing where it can. Never skipped on CI. */
  missing?(): Promise<string | undefined>;
  /** With data of its own, each time. */
  open(options?: { intentLifetimeMs?: number }): Promise<OpenedManager>;
  breakable?(): Promise<BreakableManager>;
  /** The most that a stop from another process takes, as the median of 15, in ms. */
  readonly medianMs: number;
  /** How soon the entries of a killed process are gone, in ms. */
  readonly forgetsDeadMs: number;
  /** Titles of tests that this kind does not pass, and why. */
  readonly exceptions: Readonly<Record<string, string>>;
}

export async function describeManager(kind: ManagerKind): Promise<void> {
  const missing = process.env.CI ? undefined : await kind.missing?.();
  if (missing !== undefined) console.warn(`Skipped: the cancellation manager "${kind.name}", as ${missing}.`);
  describe.skipIf(missing !== undefined)(`the cancellation manager: ${kind.name}`, () => suite(kind));
}

/** What the parts of the suite share. */
export interface ManagerSuite {
  readonly kind: ManagerKind;
  /** Opens a manager that is disposed of after the test. */
  open(options?: { intentLifetimeMs?: number }): Promise<OpenedManager>;
  openBreakable(): Promise<BreakableManager>;
  /** A test, or a skipped one with its written reason. */
  holds(title: string, body: () => Promise<void>, timeout?: number): void;
  /** What the runtime was told during the test. */
  faults(): readonly Error[];
}

function suite(kind: ManagerKind): void {
  const opened: OpenedManager[] = [];
  let faults: Error[] = [];
  /** Disposed of after the test, and once, where the test has done it already. */
  const keep = <T extends OpenedManager>(one: T): T => {
    let disposed: Promise<void> | undefined;
    const kept = {
      ...one,
      dispose() {
        disposed ??= one.dispose();
        return disposed;
      },
    };
    opened.push(kept);
    return kept;
  };

  beforeEach(() => {
    faults = [];
    configure({ onFault: (fault) => faults.push(fault) });
  });

  afterEach(async () => {
    setCancellationManager(new MemoryCancellationManager());
    for (const one of opened.splice(0)) await one.dispose();
  });

  const shared: ManagerSuite = {
    kind,
    open: async (options) => keep(await kind.open(options)),
    async openBreakable() {
      const one = await kind.breakable?.();
      if (one === undefined)
        throw new Error(`The kind ${kind.name} does not say how to take its backend away.`);
      return keep(one);
    },
    holds(title, body, timeout) {
      const reason = kind.exceptions[title];
      if (reason === undefined) test(title, body, timeout);
      else test.skip(`${title} (not here: ${reason})`, body);
    },
    faults: () => faults,
  };
  for (const part of [keepsRequests, watchesRuns, servesProcesses]) part(shared);
}
