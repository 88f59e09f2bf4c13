// The program of a worker process: it serves what its argument says, and goes when the channel to its parent is closed.

import { configure, startWorker } from "../../src/index.ts";
import { askAs, queueOf, storeOf, type WorkerSpec } from "./worker-spec.ts";

const spec: WorkerSpec = JSON.parse(process.argv[2] ?? "");

process.on("disconnect", () => process.exit());
configure({
  store: storeOf(spec.store),
  ...(spec.queue === undefined ? {} : { queue: queueOf(spec.queue) }),
  onFault: () => {},
});
await startWorker({ functions: spec.functions.map((name) => askAs(name, spec)), ...spec.settings });
process.send?.("ready");
