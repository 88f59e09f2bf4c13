// Workers by hand: an executor for one function, as a worker has it, at whatever store a test gives it.

import type { RunStore } from "llmethod";
import { boundOf, storedFunction } from "../../src/callable.ts";
import { Executor } from "../../src/executor.ts";

/** An executor whose runs are all of this function, a callable. */
export function executorFor(store: RunStore, callable: unknown, owner: string): Executor {
  const bound = boundOf(callable);
  if (bound === undefined) throw new Error("this is no LLM function");
  const fn = storedFunction(bound);
  return new Executor({ store, owner, functionOf: () => fn, limits: {}, maxAttempts: 20 });
}
