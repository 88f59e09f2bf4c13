// A thread that looks for a run to take up, in the same process as the store that has it.

import { parentPort, workerData } from "node:worker_threads";
import { SqliteRunStore } from "../../src/adapters/sqlite.ts";

const store = new SqliteRunStore({ path: String(workerData.path) });
const taken = await store.claimNext("thread", { functions: ["ask"] });
await store.close();
parentPort?.postMessage(taken === undefined ? "none" : "taken");
