/** One watch of a store for all who wait in this process: each hears the bells of its own run. */
import type { StopSource } from "./abort.ts";
import type { RunStore } from "./store.ts";

/** Somebody who waits for changes of one run. */
export interface Listener {
  /** Resolves at the first bell since the last call, after `floorMs` without one, or at the stop. */
  next(floorMs: number, stop: StopSource): Promise<void>;
  end(): void;
}

class RunBells {
  readonly #store: RunStore;
  readonly #listeners = new Map<string, Set<() => void>>();
  #unwatch: Promise<() => void> | undefined;

  constructor(store: RunStore) {
    this.#store = store;
  }

  async listen(runId: string): Promise<Listener> {
    let hasRung = false;
    let wake = () => {};
    const ring = () => {
      hasRung = true;
      wake();
    };
    const all = this.#listeners.get(runId) ?? new Set();
    this.#listeners.set(runId, all.add(ring));
    this.#unwatch ??= this.#store.watch((rung) => this.#ring(rung));
    const end = () => {
      all.delete(ring);
      if (all.size === 0 && this.#listeners.get(runId) === all) this.#listeners.delete(runId);
      if (this.#listeners.size === 0) this.#end();
    };
    try {
      await this.#unwatch;
    } catch (error) {
      this.#unwatch = undefined;
      end();
      throw error;
    }
    return {
      // Whoever leaves in the middle of a wait leaves no timer behind.
      end: () => {
        end();
        wake();
      },
      next: (floorMs, stop) =>
        new Promise((resolve) => {
          let unlink = () => {};
          const done = () => {
            hasRung = false;
            wake = () => {};
            clearTimeout(timer);
            unlink();
            resolve();
          };
          const timer = setTimeout(done, floorMs);
          wake = done;
          unlink = stop.onStop(done);
          if (hasRung) done();
        }),
    };
  }

  #ring(runId: string | undefined): void {
    const rung = runId === undefined ? [...this.#listeners.values()] : [this.#listeners.get(runId) ?? []];
    for (const listeners of rung) for (const ring of [...listeners]) ring();
  }

  #end(): void {
    this.#unwatch?.then(
      (unwatch) => unwatch(),
      () => {}, // a watch that never began has told its listener why
    );
    this.#unwatch = undefined;
  }
}

const bells = new WeakMap<RunStore, RunBells>();

export function bellsOf(store: RunStore): RunBells {
  const known = bells.get(store) ?? new RunBells(store);
  bells.set(store, known);
  return known;
}
