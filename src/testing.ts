/** For tests of one's own code: a model that answers from a script, in the process, without a server. */
import { UsageError } from "./errors.ts";
import type { Usage } from "./events.ts";
import type { Model, ModelEvent, ModelRequest } from "./model.ts";

/** A call that the scripted model asks for; `input` is any JSON value. */
export interface ScriptedCall {
  readonly name: string;
  /** Default `{}`. */
  readonly input?: unknown;
  /** Default: `call_1`, `call_2`, … */
  readonly id?: string;
}

/** One answer of the script: text, or what else an answer may hold. */
export type ScriptedAnswer =
  | string
  | {
      readonly text?: string | readonly string[];
      readonly reasoning?: string;
      readonly calls?: readonly ScriptedCall[];
      readonly usage?: Usage;
      /** Thrown after the rest was sent. */
      readonly error?: Error;
      /** Keeps the stream open after the rest, until the run is stopped. */
      readonly hang?: boolean;
    }
  | ((request: ModelRequest) => ScriptedAnswer);

export interface ScriptedModel extends Model {
  /** The requests so far. */
  readonly requests: readonly ModelRequest[];
  /** @throws UsageError where answers of the script were not asked for */
  verify(): void;
}

/**
 * A model that gives the answers in turn. A request too many is an error, and so is, by `verify`, an answer
 * that nobody asked for.
 *
 * @example
 * const model = scriptedModel([{ calls: [{ name: "find", input: { topic: "x" } }] }, "The answer."]);
 * configure({ model });
 * // … the code under test …
 * model.verify();
 */
export function scriptedModel(answers: readonly ScriptedAnswer[]): ScriptedModel {
  const requests: ModelRequest[] = [];
  let calls = 0;
  return {
    name: "scripted",
    requests,
    stream(request) {
      requests.push(request);
      let answer = answers[requests.length - 1];
      if (answer === undefined) {
        throw new UsageError(
          "invalid_option",
          `The scripted model got request ${requests.length}, but its script has ${answers.length} answers.`,
        );
      }
      while (typeof answer === "function") answer = answer(request);
      return play(typeof answer === "string" ? { text: answer } : answer, request, () => `call_${++calls}`);
    },
    verify() {
      if (requests.length >= answers.length) return;
      throw new UsageError(
        "invalid_option",
        `The script has ${answers.length} answers, but only ${requests.length} were asked for.`,
      );
    },
  };
}

async function* play(
  answer: Exclude<ScriptedAnswer, string | ((request: ModelRequest) => ScriptedAnswer)>,
  { abortSignal }: ModelRequest,
  nextId: () => string,
): AsyncGenerator<ModelEvent, void> {
  const { text = [], reasoning, calls = [], usage, error, hang } = answer;
  if (reasoning !== undefined) yield { type: "reasoning-delta", delta: reasoning };
  for (const delta of typeof text === "string" ? [text] : text) yield { type: "text-delta", delta };
  for (const { name: toolName, input, id: callId = nextId() } of calls) {
    const json = JSON.stringify(input ?? {});
    yield { type: "tool-input-delta", callId, toolName, delta: json };
    yield { type: "tool-call", callId, toolName, input: json };
  }
  if (error !== undefined) throw error;
  if (hang === true) await aborted(abortSignal);
  const finish = { type: "finish", finishReason: calls.length > 0 ? "tool-calls" : "stop" } as const;
  yield usage === undefined ? finish : { ...finish, usage };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
