// Sets the scene of one stop: a strict server, a model whose events are noted, tools that are counted.

import { setImmediate as nextLoop } from "node:timers/promises";
import type { ToolContext, ToolOptions } from "llmethod";
import { type Model, type ModelEvent, type OpenAIOptions, openai, type Tool, tool } from "llmethod";
import { z } from "zod";
import { type OpenAiServer, startServer } from "../support/server.ts";

export class Stage implements AsyncDisposable {
  readonly server: OpenAiServer;
  readonly controller = new AbortController();
  readonly reason = new Error("halt");
  /** What the model's stream has said so far, one note an event. */
  readonly heard: string[] = [];
  /** The names of the tools in the order in which they began; those that began after the stop as well. */
  readonly started: string[] = [];
  readonly startedLate: string[] = [];
  requestsAtStop: number | undefined;
  stoppedAt: number | undefined;

  private constructor(server: OpenAiServer) {
    this.server = server;
  }

  static async open(): Promise<Stage> {
    return new Stage(await startServer());
  }

  model(options: OpenAIOptions = {}): Model {
    const own = openai("gpt-test", { apiKey: "sk-test", baseURL: this.server.url, ...options });
    return noting(own, (event) => this.heard.push(noteOf(event)));
  }

  /** The stop of the scene, by the signal. */
  readonly stop = (): void => {
    this.marked();
    this.controller.abort(this.reason);
  };

  /** The stop comes now, by other means. */
  marked(): void {
    this.stoppedAt ??= performance.now();
    this.requestsAtStop ??= this.server.requests.length;
  }

  tool(
    name: string,
    execute: (context: ToolContext) => unknown,
    options: Omit<ToolOptions, "name" | "description" | "input"> = {},
  ): Tool {
    return tool({
      ...options,
      name,
      description: `The tool ${name}`,
      input: z.object({ n: z.number().optional() }),
      execute: (_input, context) => {
        (this.requestsAtStop === undefined ? this.started : this.startedLate).push(name);
        return execute(context);
      },
    });
  }

  /** Resolves when the run has taken in an event of the model whose note begins so. */
  async heardOf(note: string): Promise<void> {
    await until(() => this.heard.some((heard) => heard.startsWith(note)), `the model to say ${note}`);
    await loops(3);
  }

  async toolsStarted(count = 1): Promise<void> {
    await until(() => this.started.length >= count, `${count} tools to start`);
    await loops(3);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
  }
}

export async function loops(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await nextLoop();
}

/** Waits for what is sure to come; a bound of five seconds makes a failure readable. */
export async function until(check: () => boolean, what = "a condition", ms = 5000): Promise<void> {
  const end = performance.now() + ms;
  while (!check()) {
    if (performance.now() > end) throw new Error(`Waited in vain for ${what}.`);
    await nextLoop();
  }
}

/** Within two seconds, or the word that it hangs. */
export const soon = <T>(work: Promise<T>): Promise<T | "hangs"> =>
  Promise.race([work, new Promise<"hangs">((resolve) => setTimeout(resolve, 2000, "hangs").unref())]);

/** The same model, its iterator passed through untouched, so that a stop takes its usual way. */
function noting(model: Model, note: (event: ModelEvent) => void): Model {
  return {
    name: model.name,
    stream(request) {
      const inner = model.stream(request)[Symbol.asyncIterator]();
      const iterator: AsyncIterator<ModelEvent> = {
        async next() {
          const step = await inner.next();
          if (step.done !== true) note(step.value);
          return step;
        },
        return: async () => (await inner.return?.()) ?? { done: true, value: undefined },
      };
      return { [Symbol.asyncIterator]: () => iterator };
    },
  };
}

function noteOf(event: ModelEvent): string {
  switch (event.type) {
    case "text-delta":
      return `text ${event.delta}`;
    case "reasoning-delta":
      return `reasoning ${event.delta}`;
    case "tool-input-delta":
      return `input ${event.callId} ${event.delta}`;
    case "tool-call":
      return `call ${event.callId}`;
    case "finish":
      return `finish ${event.finishReason}`;
    default:
      return event satisfies never;
  }
}
