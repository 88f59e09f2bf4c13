/**
 * Shows every way to limit a run's time, and how the caller finds out which limit it was.
 *
 * Run it: npx tsx --tsconfig examples/tsconfig.json examples/timeout.ts
 */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type CallOptions,
  configure,
  llmFunction,
  prompt,
  RunCancelledError,
  TimeoutError,
  type ToolContext,
  tool,
  withTimeout,
} from "llmethod";
import { connect } from "./connect.ts";

const tell = llmFunction({ name: "tell" })(
  (subject: string, _options?: CallOptions) => prompt`Tell me a long story about ${subject}`,
);

/** The error of a call that must not come to its end, and how long it took. */
async function stopped(what: string, call: () => PromiseLike<string>): Promise<RunCancelledError> {
  const start = performance.now();
  try {
    await call();
  } catch (error) {
    if (!(error instanceof RunCancelledError)) throw error;
    const ms = Math.round(performance.now() - start);
    console.log(`${what}: stopped after ${ms} ms, "${error.message}", with ${error.text.length} characters`);
    return error;
  }
  throw new Error(`${what}: the run came to its end.`);
}

await using connection = await connect();
configure({ model: connection.model });

// 1. The `timeout` option: a number limits the whole run …
const total = await stopped("timeout: 300", () => tell("bees", { timeout: 300 }));
assert.ok(total.cause instanceof TimeoutError);
assert.equal(total.cause.which, "total");

// … or each limit by its name, counted from the start of a request.
const turn = await stopped("timeout: { turn: 250 }", () => tell("bees", { timeout: { turn: 250 } }));
assert.ok(turn.cause instanceof TimeoutError);
assert.equal(turn.cause.which, "turn");

const first = await stopped("timeout: { firstToken: 1 }", () => tell("bees", { timeout: { firstToken: 1 } }));
assert.ok(first.cause instanceof TimeoutError);
assert.equal(first.cause.which, "firstToken");
assert.equal(first.text, "");

// 2. `withTimeout` gives a function of the same type with the limit in it.
const tellQuickly = withTimeout(tell, 200);
const wrapped = await stopped("withTimeout(tell, 200)", () => tellQuickly("bees"));
assert.ok(wrapped.cause instanceof TimeoutError);

// 3. A signal of the platform works as well; its own reason comes back.
const signal = AbortSignal.timeout(200);
const aborted = await stopped("AbortSignal.timeout(200)", () => tell("bees", { abortSignal: signal }));
assert.equal(aborted.cause, signal.reason);

// 4. A tool's timeout ends that call only: the model reads about it, and answers.
const survey = tool({
  name: "survey",
  description: "Survey the project",
  timeout: 100,
  execute: async (_input, { abortSignal }: ToolContext) => {
    await sleep(60_000, undefined, { signal: abortSignal });
    return { files: 41 };
  },
});
const ask = llmFunction({ name: "ask", toolkit: [survey] })(
  (question: string, _options?: CallOptions) => prompt`${question}`,
);
const stream = ask.stream("Survey this project, once only", { maxTurns: { limit: 5, atLimit: "answer" } });
let failure: string | undefined;
for await (const event of stream) if (event.type === "tool-end") failure = event.error;
const outcome = await stream.outcome;
console.log(`a tool's timeout: the call ended with "${failure}", the run ${outcome.status}: ${outcome.text}`);
assert.match(failure ?? "", /timed out after 100 ms/);
assert.equal(outcome.status, "completed");
