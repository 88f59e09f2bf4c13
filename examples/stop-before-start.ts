/**
 * Shows stops that come before their runs: by an id that nobody has used yet, and while a run waits in the queue.
 * Neither makes a single request to the model.
 *
 * Run it: npx tsx --tsconfig examples/tsconfig.json examples/stop-before-start.ts
 */
import assert from "node:assert/strict";
import {
  type CallOptions,
  cancelRun,
  configure,
  llmFunction,
  MemoryRunStore,
  prompt,
  runs,
  startWorker,
} from "llmethod";
import { scriptedModel } from "llmethod/testing";

// A script without answers fails at the first request.
const model = scriptedModel([]);
configure({ model, store: new MemoryRunStore() });
const tell = llmFunction({ name: "tell" })(
  (subject: string, _options?: CallOptions) => prompt`Tell me a story about ${subject}`,
);

// 1. The page was closed before the run was begun: only its id was known.
console.log("stopped an unknown run:", await cancelRun("story-1", "the page was closed"));
const outcome = await tell("bees", { runId: "story-1" }).outcome;
console.log("  the call:", outcome.status, "reason" in outcome ? outcome.reason : "");
assert.equal(outcome.status, "cancelled");

console.log("stopped another:", await runs.cancel("story-2", "not wanted any more", { by: "reader-7" }));
configure({ worker: false }); // this process submits only
const late = await tell.background("owls", { runId: "story-2" });
const record = await late.get();
console.log("  in the background:", record.status, record.stopRequest);
assert.equal(record.status, "cancelled");

// 2. While it waits: no worker has it yet, and it is over all the same.
const waiting = await tell.background("ants");
console.log("a waiting run:", (await waiting.get()).status);
console.log("  stopped:", await waiting.cancel("changed my mind"));
assert.equal((await waiting.wait({ timeoutMs: 1000 })).status, "cancelled");

// 3. A worker that comes now finds nothing to do.
const worker = await startWorker({ functions: [tell] });
await worker.stop();
console.log("requests to the model:", model.requests.length);
assert.equal(model.requests.length, 0);
