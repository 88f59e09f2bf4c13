// The function that worker processes run in the tests, and what they are told when they are started.

import { appendFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { type CallOptions, llmFunction, openai, prompt, type Run, tool } from "../../src/index.ts";
import type { WorkerSettings } from "../../src/worker-settings.ts";

export interface ActorSpec {
  readonly directory: string;
  readonly url: string;
  /** The functions; all do the same. */
  readonly names: readonly string[];
  /** How many workers are in the process; each has all functions. */
  readonly workers: number;
  readonly settings: WorkerSettings;
}

export type Story = (task: string, options?: CallOptions) => Run<string>;

/** Tools: `note` must not run twice, `look` may. Both obey a stop, `deaf` does not. Each waits while its gate is there. */
export function storyOf(name: string, { directory, url }: Pick<ActorSpec, "directory" | "url">): Story {
  const made = (toolName: string, idempotent: boolean) =>
    tool({
      name: toolName,
      description: `The tool ${toolName}`,
      input: z.object({}),
      idempotent,
      async execute(_input, { callId, abortSignal }) {
        const note = (what: string) =>
          appendFileSync(join(directory, "diary"), `${what} ${toolName} ${callId}\n`);
        note("begin");
        while (existsSync(join(directory, `gate-${toolName}`))) {
          await sleep(10);
          if (toolName !== "deaf") abortSignal.throwIfAborted();
        }
        note("end");
        return `${toolName} of ${callId}`;
      },
    });
  return llmFunction({
    model: openai("gpt-test", { apiKey: "sk-test", baseURL: url, maxRetries: 0 }),
    name,
    toolkit: [made("note", false), made("look", true), made("deaf", false)],
  })((task: string, _options?: CallOptions) => prompt`${task}`);
}
