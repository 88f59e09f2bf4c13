/**
 * Shows how a run is stopped from anywhere by its id, as a "stop" button of a web page does: the request that
 * stops it knows nothing of the run but the id. Also before the run has started.
 *
 * Run it: npx tsx --tsconfig examples/tsconfig.json examples/stop-by-id.ts
 */
import assert from "node:assert/strict";
import {
  activeRuns,
  type CallOptions,
  cancelRun,
  configure,
  llmFunction,
  prompt,
  type RunStream,
} from "llmethod";
import { connect } from "./connect.ts";

const tell = llmFunction({ name: "tell" })(
  (subject: string, _options?: CallOptions) => prompt`Tell me a long story about ${subject}`,
);

await using connection = await connect();
configure({ model: connection.model });

// 1. One handler starts runs under ids of its own …
const stories = [tell.stream("bees", { runId: "story-1" }), tell.stream("owls", { runId: "story-2" })];

async function read(story: RunStream<string>): Promise<void> {
  let length = 0;
  for await (const piece of story.textStream()) {
    length += piece.length;
    if (length > 100) await stop(story.runId);
  }
}

// … and another, which has only the id, stops them.
async function stop(runId: string): Promise<void> {
  if (!(await cancelRun(runId, "the user pressed stop"))) return;
  console.log(`stopped ${runId}; active, and whether they are to stop:`, [...(await activeRuns())]);
}

await Promise.all(stories.map(read));
for (const { runId, outcome } of stories) {
  const { status, text, patches } = await outcome;
  console.log(`${runId}: ${status} after ${text.length} characters;`, patches.map(({ kind }) => kind).join());
  assert.equal(status, "cancelled");
  assert.ok(text.length > 100);
}
assert.equal((await activeRuns()).size, 0, "nothing is at work any more");

// 2. Before the start: the request is kept, and the run ends without one request to the model.
assert.equal(await cancelRun("story-3", "changed my mind"), false, "no such run yet");
const third = await tell("cats", { runId: "story-3" }).outcome;
console.log(`${third.runId}: ${third.status} after ${third.turns} turns`);
assert.equal(third.status, "cancelled");
assert.equal(third.turns, 0);
assert.equal(third.status === "cancelled" && third.reason, "changed my mind");

// 3. After the end nothing happens any more; with `wait`, the answer comes when the run has settled.
assert.equal(await cancelRun("story-1"), false);
const fourth = tell("dogs", { runId: "story-4" });
assert.equal(await cancelRun("story-4", "closing down", { wait: true }), true);
console.log(`${fourth.runId}: ${fourth.status} when cancelRun with wait has resolved`);
assert.equal(fourth.status, "cancelled");
