/** The function that is run while its workers die: four turns, with tools that note what they have done in a file. */
import { appendFileSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { type CallOptions, llmFunction, openai, prompt, type Run, tool } from "../src/index.ts";
import { type Answer, answer, type ChatRequest, delay, text, toolCall } from "../test/support/server.ts";

const deltaMs = 70;
const toolMs = 150;
export const turnsNeeded = 4;

/** A tool has finished: one line of the diary. */
export interface Finished {
  readonly runId: string;
  readonly callId: string;
  readonly toolName: string;
  /** When it had begun: `Date.now()` in ms. */
  readonly begunAt: number;
}

export type Survey = (topic: string, options?: CallOptions) => Run<string>;

/** `note` must not run twice, `look` may. */
export function makeSurvey(url: string, diary: string): Survey {
  const made = (name: string, idempotent: boolean) =>
    tool({
      name,
      description: `The tool ${name}`,
      input: z.object({ topic: z.string() }),
      idempotent,
      async execute({ topic }, { runId, callId, abortSignal }) {
        const finished: Finished = { runId, callId, toolName: name, begunAt: Date.now() };
        await sleep(toolMs, undefined, { signal: abortSignal });
        // One write of one line, which the system appends whole (O_APPEND).
        appendFileSync(diary, `${JSON.stringify(finished)}\n`);
        return resultOf(name, topic);
      },
    });
  return llmFunction({
    model: openai("chaos", { apiKey: "sk-test", baseURL: url }),
    name: "survey",
    toolkit: [made("note", false), made("look", true)],
    instructions: "Survey with care.",
  })((topic: string, _options?: CallOptions) => prompt`Survey: ${topic}`);
}

export const resultOf = (toolName: string, topic: string): string => `${toolName} of ${topic}`;

export const answerFor = (topic: string): string => `All that is known of ${topic} has been said and noted.`;

export function diaryOf(path: string): Finished[] {
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Finished);
}

/** Which turn of which run a request asks for. */
export function askedFor(request: ChatRequest): { topic: string; turn: number } {
  const task = request.messages.find(({ role }) => role === "user")?.content;
  const turn = 1 + request.messages.filter(({ role }) => role === "assistant").length;
  return { topic: String(task).replace("Survey: ", ""), turn };
}

/** What the model says to it: the same after any interruption. */
export function modelAnswer(request: ChatRequest): Answer {
  const { topic, turn } = askedFor(request);
  if (turn === 1) return paced("Let me look and take notes, one by one. ", "note", "look");
  if (turn === 2) return paced("There is more to be noted of it. ", "note");
  if (turn === 3) return paced("And something to be looked at again. ", "look");
  return paced(answerFor(topic));

  function paced(said: string, ...tools: readonly string[]): Answer {
    const words = said.split(/(?<= )/).flatMap((word) => [text(word), delay(deltaMs)]);
    const calls = tools.map((name, index) => {
      const input = JSON.stringify({ topic: `${topic}/${turn}` });
      return toolCall({
        id: `call_${turn}_${index + 1}`,
        name,
        arguments: [input.slice(0, 5), input.slice(5)],
      });
    });
    return answer(delay(deltaMs), ...words, ...calls);
  }
}
