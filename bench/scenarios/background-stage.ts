/** The processes of a background scenario: started at one place, and ended whatever happens. */
import { type Backend, type Place, servers, withPlace } from "../background-place.ts";
import type { BackgroundArguments } from "../background-tasks.ts";
import { BackgroundProcess } from "../processes.ts";

export interface Stage {
  readonly place: Place;
  /** A process that has opened the place when it does its first task. */
  start(manager?: BackgroundArguments["manager"]): BackgroundProcess;
}

/** Sets a stage at a new place of this backend. */
export async function onStage<R>(backend: Backend, play: (stage: Stage) => Promise<R>): Promise<R> {
  return withPlace(backend, async (place) => {
    const started: BackgroundProcess[] = [];
    const start: Stage["start"] = (manager) => {
      const child = new BackgroundProcess({ place, ...(manager === undefined ? {} : { manager }) });
      started.push(child);
      return child;
    };
    try {
      return await play({ place, start });
    } finally {
      await Promise.all(started.map((child) => child.stop()));
    }
  });
}

export interface Measured<R> {
  /** The row's name. */
  readonly backend: string;
  readonly result: R;
}

/** One after the other, each backend that is there. */
export async function forEachBackend<R>(play: (stage: Stage) => Promise<R>): Promise<Measured<R>[]> {
  const results: Measured<R>[] = [];
  for (const backend of (await servers()).backends) {
    results.push({ backend, result: await onStage(backend, play) });
  }
  return results;
}

/** One after the other, each store that is there: what is measured has nothing to do with queues. */
export async function forEachStore<R>(play: (stage: Stage) => Promise<R>): Promise<Measured<R>[]> {
  const results: Measured<R>[] = [];
  const there = (await servers()).backends;
  for (const backend of ["SQLite", "PostgreSQL + pg-boss"] as const) {
    if (!there.includes(backend)) continue;
    results.push({ backend: backend.replace(" + pg-boss", ""), result: await onStage(backend, play) });
  }
  return results;
}
