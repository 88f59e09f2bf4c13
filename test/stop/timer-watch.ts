// Knows which timers were set and neither fired nor cleared; the process's own count holds the test runner's too.

import { vi } from "vitest";

export interface TimerWatch extends Disposable {
  /** The delays, in ms, of the timers that are still to fire and hold the process open. */
  readonly left: number[];
}

export function watchTimers(): TimerWatch {
  const live = new Map<unknown, readonly [NodeJS.Timeout, number]>();
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  const settingSpy = vi.spyOn(globalThis, "setTimeout").mockImplementation(((act: () => void, ms = 0) => {
    const timer = set(() => {
      live.delete(timer);
      act();
    }, ms);
    live.set(timer, [timer, ms]);
    return timer;
  }) as typeof setTimeout);
  const clearingSpy = vi.spyOn(globalThis, "clearTimeout").mockImplementation((timer) => {
    live.delete(timer);
    clear(timer);
  });
  return {
    get left() {
      return [...live.values()].flatMap(([timer, ms]) => (timer.hasRef() ? [ms] : []));
    },
    [Symbol.dispose]() {
      settingSpy.mockRestore();
      clearingSpy.mockRestore();
    },
  };
}
