/** A process of background runs: the one that submits and watches, or a worker, as the main process says. */

import { configure, startWorker, type Worker } from "../dist/index.js";
import { append, replay, tail } from "./background-events.ts";
import { allFunctions } from "./background-functions.ts";
import { openManager } from "./background-managers.ts";
import { openPlace } from "./background-place.ts";
import { drained, startTimes, submit } from "./background-runs.ts";
import { cancel, held, hold, linger, nextRequests, stopTimes } from "./background-stops.ts";
import type { BackgroundArguments, BackgroundResults, BackgroundTask } from "./background-tasks.ts";
import { respond } from "./respond.ts";

const { place, manager } = JSON.parse(process.argv[2] ?? "{}") as BackgroundArguments;
const { store, queue } = await openPlace(place);
if (manager !== undefined) configure({ cancellation: await openManager(manager, place) });
else configure({ store, worker: false, ...(queue === undefined ? {} : { queue }) });
let worker: Worker | undefined;
respond(perform);

async function perform(task: BackgroundTask): Promise<BackgroundResults[keyof BackgroundResults]> {
  switch (task.type) {
    case "serve":
      worker = await startWorker({
        functions: allFunctions,
        concurrency: task.concurrency,
        signals: false,
      });
      return null;
    case "leave":
      await worker?.stop();
      return null;
    case "start-times":
      return startTimes(task.runs);
    case "submit":
      return submit(task.runs, task.key);
    case "drained":
      return drained(task.runs, task.key);
    case "append":
      return append(store, task);
    case "replay":
      return replay(task);
    case "tail":
      return tail(task);
    case "stop":
      return stopTimes(task);
    case "linger":
      return linger(task.runs);
    case "next-requests":
      return nextRequests(task.before);
    case "hold":
      return hold(task.runId);
    case "held":
      return held(task.runId);
    case "cancel":
      return cancel(task.runId);
    case "usage": {
      const { user, system } = process.cpuUsage();
      return { cpuMs: (user + system) / 1000, rssMiB: process.memoryUsage.rss() / 2 ** 20 };
    }
    default:
      return task satisfies never;
  }
}
