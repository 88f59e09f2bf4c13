// The recorded scenario of three turns, and its typed variant with a correction, as a script for the server.

import { type CallOptions, llmFunction, prompt, type Run, type Tool, tool } from "llmethod";
import { z } from "zod";
import {
  type Answer,
  answer,
  argumentsOf,
  done,
  finishReason,
  reasoning,
  type Step,
  text,
  usage,
} from "../support/server.ts";
import { chatOf } from "./ask.ts";
import { loops, type Stage } from "./stage.ts";

export type Ask = (message: string, options?: CallOptions) => Run<unknown>;

/** What is written between two chunks: nothing, or a checkpoint. */
export type Between = (chunkIndex: number) => Step;

export interface Scenario {
  readonly name: string;
  /** How many chunks all answers have together. */
  readonly chunks: number;
  answers(between: Between): Answer[];
  ask(stage: Stage): Ask;
}

const begin = (id: string, name: string): Step => {
  return (wire) =>
    wire.delta({
      tool_calls: [{ index: wire.callIndex(), id, type: "function", function: { name, arguments: "" } }],
    });
};

const end = (reason: "stop" | "tool_calls"): Step[] => [finishReason(reason), usage(), done()];

const threeTurns: readonly (readonly Step[])[] = [
  [
    text("Let me "),
    text("look. "),
    begin("call_a", "find"),
    argumentsOf(0, '{"n"'),
    argumentsOf(0, ":1}"),
    begin("call_b", "read"),
    argumentsOf(1, "{}"),
    ...end("tool_calls"),
  ],
  [
    reasoning("Hm, "),
    reasoning("more."),
    begin("call_c", "count"),
    argumentsOf(0, "{}"),
    ...end("tool_calls"),
  ],
  [text("All "), text("is "), text("said."), ...end("stop")],
];

const typedTurns: readonly (readonly Step[])[] = [
  ...threeTurns.slice(0, 1),
  [text('{"n":'), text('"one"}'), ...end("stop")],
  [text('{"n"'), text(":1}"), ...end("stop")],
];

export const chatScenario: Scenario = scenario("a chat of three turns", threeTurns, (stage) =>
  chatOf(stage.model(), toolsOf(stage), { abortGraceMs: 100 }),
);

export const typedScenario: Scenario = scenario("a typed answer with a correction", typedTurns, (stage) =>
  llmFunction({
    model: stage.model(),
    toolkit: toolsOf(stage),
    returns: z.object({ n: z.number() }),
    abortGraceMs: 100,
  })((message: string, _options?: CallOptions) => prompt`${message}`),
);

function scenario(name: string, turns: readonly (readonly Step[])[], ask: (stage: Stage) => Ask): Scenario {
  return {
    name,
    chunks: turns.flat().length,
    ask,
    answers(between) {
      let index = 0;
      return turns.map((steps) => answer(...steps.flatMap((step) => [step, between(index++)])));
    },
  };
}

function toolsOf(stage: Stage): Tool[] {
  const count = tool({
    name: "count",
    description: "Counts, and obeys the signal between its yields",
    execute: async function* () {
      stage.started.push("count");
      for (const step of [1, 2]) {
        yield { step };
        await loops(1);
      }
      return { total: 2 };
    },
  });
  return [
    stage.tool("find", async ({ abortSignal, emit }) => {
      emit({ found: 1 });
      await loops(2);
      abortSignal.throwIfAborted();
      return { found: ["owl"] };
    }),
    stage.tool("read", () => "text"),
    count,
  ];
}
