// A process of its own that starts one run, stops it in the phase that it is told, and must end by itself.

import { setTimeout as sleep } from "node:timers/promises";
import {
  type CallOptions,
  cancelRun,
  llmChat,
  llmFunction,
  openai,
  prompt,
  type RunStream,
  tool,
} from "../../src/index.ts";
import { obeys, returns } from "./tools-told.ts";

const [, , url = "", phase = ""] = process.argv;
const model = openai("gpt-test", { apiKey: "sk-test", baseURL: url });
const study = llmFunction({ model })((topic: string) => prompt`Study ${topic}`);

const behaviours: Record<string, Parameters<typeof makeTool>[0]> = {
  "tool-obeys": obeys,
  "tool-ignores": async () => {
    await sleep(1000);
    throw new Error("too late");
  },
  "tool-never-ends": () => new Promise(() => {}),
  nested: () => study("owls"),
};

function makeTool(execute: typeof obeys | (() => unknown)) {
  return tool({ name: "find", description: "Find", execute: (_input, context) => execute(context) });
}

const find = makeTool(behaviours[phase] ?? returns("found"));
const chat = llmChat({ model, toolkit: [find] })(
  (_message: string, _options?: CallOptions) => prompt`Be kind.`,
);

const minute = 60_000;
const controller = new AbortController();
const options: CallOptions = {
  abortSignal: controller.signal,
  runId: "child",
  timeout:
    phase === "timeout"
      ? 1500
      : { total: minute, turn: minute, firstToken: minute, idle: minute, tool: minute },
};

const stops: Record<string, (run: RunStream<unknown>) => unknown> = {
  completed: () => undefined,
  timeout: () => undefined,
  failed: () => undefined,
  "before-start": () => controller.abort("halt"),
  "by-id": (run) => hasSaid(run).then(() => cancelRun("child", "halt", { wait: true })),
  leaving: async (run) => {
    for await (const event of run) if (event.type === "text-delta") break;
  },
};

/** The phases in which text comes first are reached when it is there; the others soon after the start. */
const silent = new Set(["headers", "backoff", "reasoning", "arguments", "unwatched"]);

async function stopLater(run: RunStream<unknown>): Promise<void> {
  await (silent.has(phase) ? sleep(500) : hasSaid(run).then(() => sleep(50)));
  controller.abort(new Error("halt"));
}

async function hasSaid(run: RunStream<unknown>): Promise<void> {
  while (run.history.length < 2) await sleep(5);
}

const run = phase === "unwatched" ? chat("Go", options) : chat.stream("Go", options);
await (stops[phase] ?? stopLater)(run);
if (phase !== "unwatched") {
  const { status, text } = await run.outcome;
  console.log(JSON.stringify({ status, text }));
}
