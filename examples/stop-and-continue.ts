/**
 * Shows what remains of a run that is stopped in the middle of its text, and in the middle of a tool: patches
 * say what was changed, and the history can be sent again at once.
 *
 * Run it: npx tsx --tsconfig examples/tsconfig.json examples/stop-and-continue.ts
 */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type CallOptions,
  type ChatMessage,
  type ChatReply,
  configure,
  llmChat,
  prompt,
  type RunOutcome,
  repairHistory,
  type ToolContext,
  tool,
} from "llmethod";
import { connect } from "./connect.ts";

const STEPS = 5;

const survey = tool({
  name: "survey",
  description: "Survey the project; takes a while",
  // The signal ends the wait; a tool that ignores it is given up after the grace and called "unknown".
  async *execute(_input, { abortSignal }: ToolContext) {
    for (let step = 1; step <= STEPS; step++) {
      await sleep(80, undefined, { signal: abortSignal });
      yield { step, of: STEPS };
    }
    return { files: 41, lines: 5_120 };
  },
});

const chat = llmChat({ name: "chat", toolkit: [survey] })(
  (_message: string, _options?: CallOptions) =>
    prompt`You are a storyteller who can survey a project. When asked to continue, go on where you were stopped.`,
);

function show(title: string, outcome: RunOutcome<ChatReply>): void {
  console.log(`\n${title}: ${outcome.status}`);
  for (const patch of outcome.patches) console.log("  patch:", JSON.stringify(patch));
  for (const message of outcome.history) console.log("  history:", shortened(message));
}

function shortened(message: ChatMessage): string {
  const text = JSON.stringify(message);
  return text.length <= 150 ? text : `${text.slice(0, 70)} … ${text.slice(-75)}`;
}

await using connection = await connect({ pace: 4 });
configure({ model: connection.model });

// 1. In the middle of the text. Leaving the loop would stop the run as well.
const story = chat.stream("Tell me a long story");
let said = "";
for await (const event of story) {
  if (event.type === "text-delta") said += event.delta;
  if (said.length > 200) story.cancel("that is enough");
}
const cut = await story.outcome;
show("stopped in its text", cut);
assert.equal(cut.status, "cancelled");
assert.equal(cut.patches[0]?.kind, "text-truncated");
assert.equal(cut.text, said, "not a character is lost, and none comes twice");

// The model reads that it was cut off: a note stands behind the text.
assert.match(String(cut.history.at(-1)?.content), /\[stopped: that is enough\]$/);

const goOn = await chat("Continue", { history: cut.history });
console.log(`  continued: ${goOn.text.slice(0, 200)} …`);
assert.equal(goOn.status, "completed");

// 2. In the middle of a tool.
const run = chat.stream("Survey this project");
for await (const event of run) {
  if (event.type === "tool-progress") run.cancel("the user pressed stop");
}
const stopped = await run.outcome;
show("stopped in its tool", stopped);
assert.equal(stopped.status, "cancelled");
assert.deepEqual(
  stopped.patches.map((patch) => (patch.kind === "call-cancelled" ? patch.state : patch.kind)),
  ["stopped"],
);
// The call has a result that says so: repairHistory finds nothing to do.
assert.deepEqual(repairHistory(stopped.history), { history: stopped.history, patches: [] });

const finished = await chat("Continue", { history: stopped.history });
console.log(`  continued: ${finished.text}`);
assert.equal(finished.status, "completed");
assert.match(finished.text, /41/);
