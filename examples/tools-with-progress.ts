/**
 * Shows the events of a run: two tools at work side by side, each telling how far it is, and the answer made
 * from their results.
 *
 * Run it: npx tsx --tsconfig examples/tsconfig.json examples/tools-with-progress.ts
 */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { type CallOptions, llmFunction, prompt, type RunEvent, type ToolContext, tool } from "llmethod";
import { z } from "zod";
import { connect } from "./connect.ts";

const SHELVES = 4;

const Sum = z.object({ expression: z.string().describe("Two numbers and a sign, such as 12 * 12") });

class Warehouse {
  // A generator's yields are its progress, and what it returns is its result.
  @tool({ description: "Survey the project: count the files on every shelf", input: z.object({}) })
  async *survey(_input: Record<string, never>, { abortSignal }: ToolContext) {
    let files = 0;
    for (let shelf = 1; shelf <= SHELVES; shelf++) {
      await sleep(60, undefined, { signal: abortSignal });
      files += shelf * 10;
      yield { shelf, of: SHELVES };
    }
    return { files };
  }

  // Any other tool can call emit; a tool that says parallel: false would wait for the others.
  @tool({ description: "Multiply two numbers", input: Sum, timeout: 5_000 })
  async calculate({ expression }: z.output<typeof Sum>, { emit }: ToolContext) {
    const [left = Number.NaN, right = Number.NaN] = expression.split("*").map(Number);
    emit(`multiplying ${left} by ${right}`);
    return { expression, result: left * right };
  }
}

await using connection = await connect();
const warehouse = new Warehouse();
const ask = llmFunction({ name: "ask", model: connection.model, toolkit: [warehouse] })(
  (question: string, _options?: CallOptions) => prompt`${question}`,
);

const events: RunEvent<string>[] = [];
const stream = ask.stream("Survey this project, and what is 12 * 12?");
for await (const event of stream) {
  events.push(event);
  switch (event.type) {
    case "tool-start":
      console.log(`→ ${event.toolName}`, event.input);
      break;
    case "tool-progress":
      console.log(`  ${event.toolName}:`, event.data);
      break;
    case "tool-end":
      console.log(
        `✓ ${event.toolName}: ${event.status} after ${Math.round(event.durationMs)} ms`,
        event.output,
      );
      break;
    case "run-completed":
      console.log(event.value);
      console.log(`${event.usage.totalTokens} tokens`);
      break;
    default:
  }
}

const of = <Type extends RunEvent["type"]>(type: Type) =>
  events.filter((event): event is Extract<RunEvent<string>, { type: Type }> => event.type === type);

assert.deepEqual(new Set(of("tool-start").map(({ toolName }) => toolName)), new Set(["survey", "calculate"]));
assert.equal(of("tool-progress").filter(({ toolName }) => toolName === "survey").length, SHELVES);
assert.equal(of("tool-progress").filter(({ toolName }) => toolName === "calculate").length, 1);
for (const { callId } of of("tool-start")) {
  assert.equal(of("tool-end").filter((end) => end.callId === callId).length, 1, "each start has one end");
}
assert.equal(events.at(-1)?.type, "run-completed");
assert.match(of("run-completed")[0]?.value ?? "", /144/);
assert.match(of("run-completed")[0]?.value ?? "", /100/);
