/** `llmChat`: a method or function whose body is the system prompt; a message and a history go in and out. */
import { answerFormat } from "./answer.ts";
import { decorator, type LlmDecorator } from "./decorators.ts";
import { checkDefinition, type Definition, graceOf, promptOf, settingsFor } from "./definition.ts";
import { UsageError } from "./errors.ts";
import type { Patch, RunOutcome, Usage } from "./events.ts";
import { parseHistory } from "./history.ts";
import { isPlainObject, kindOf } from "./json.ts";
import { loop } from "./loop.ts";
import { refuseMisspeltOptions } from "./options.ts";
import type { Prompt } from "./prompt.ts";
import type { Run } from "./run.ts";
import { append, type ChatMessage, type ContentPart, userMessage } from "./transcript.ts";

/** What a chat answers, also where it was stopped. */
export interface ChatReply {
  readonly text: string;
  /** The whole conversation, ready to be sent again. */
  readonly history: ChatMessage[];
  readonly status: "completed" | "cancelled";
  readonly patches: readonly Patch[];
  readonly usage: Usage;
  readonly runId: string;
}

/** A run of a chat. */
export type ChatRun = Run<ChatReply>;

const chatKeys = ["model", "toolkit", "maxTurns", "abortGraceMs", "name"];

/**
 * Makes a chat: above a method as a decorator (legacy or standard), or around a plain function. The body
 * returns the system prompt; the first argument is the user's message (text, or content parts), and
 * `history` in the call options is the conversation so far. A stopped chat resolves as well, with
 * `status: "cancelled"` and what was said by then; one that failed rejects.
 *
 * @throws UsageError as `llmFunction`; `invalid_message` where the first argument is no message
 * @example
 * const chat = llmChat({ model })((message: string, options?: CallOptions) => prompt`You are kind.`);
 * const hello = await chat("Hello");
 * const more = await chat("And now?", { history: hello.history });
 */
export function llmChat<Self = unknown>(
  given: Definition<Self> = {},
): LlmDecorator<ChatReply, NoInfer<Self>> {
  checkDefinition(given, "llmChat", chatKeys);
  const definition = Object.freeze({ ...given });
  const format = answerFormat<string>(undefined, "llmChat");
  return decorator<ChatReply>("llmChat", definition.name, (body, nameOf) => (self, args, options) => {
    const name = nameOf(self);
    const message = userMessage(checkMessage(args[0], name));
    if (args.length > 1) refuseMisspeltOptions(args.at(-1));
    const { transcript, patches } = parseHistory(options.history);
    return {
      options,
      abortGraceMs: graceOf(definition as Definition),
      message: message.message,
      answer: replyOf,
      engine(run) {
        const settings = settingsFor(definition as Definition, self, name, options);
        const made = run.within(run.stop, undefined, () =>
          promptOf(() => Reflect.apply(body, self, args), name),
        );
        const opening =
          typeof made === "function"
            ? async () => ({ system: systemText(await made(), name), entries: [] })
            : { system: systemText(made, name), entries: [] };
        return loop(
          {
            ...settings,
            transcript: append(transcript, message),
            patches,
            format,
            opening,
            value: (_answer, { text, history, patches, usage }) => ({
              text,
              history,
              status: "completed" as const,
              patches,
              usage,
              runId: run.runId,
            }),
          },
          run,
        );
      },
    };
  }) as LlmDecorator<ChatReply, Self>;
}

function replyOf(outcome: RunOutcome<ChatReply>): ChatReply {
  if (outcome.status === "error") throw outcome.error;
  const { text, history, status, patches, usage, runId } = outcome;
  return { text, history, status, patches, usage, runId };
}

function systemText(system: Prompt, name: string): string {
  if (typeof system.content === "string") return system.content;
  throw new UsageError(
    "invalid_prompt",
    `The prompt of the chat ${name} is its system message, which takes text only. Send images, sound and ` +
      'files in the message: chat([{ type: "text", text: "…" }, image(url)]).',
  );
}

function checkMessage(message: unknown, name: string): string | readonly ContentPart[] {
  if (typeof message === "string") return message;
  const isParts =
    Array.isArray(message) &&
    message.length > 0 &&
    message.every((part) => isPlainObject(part) && typeof part.type === "string");
  if (isParts) return message;
  throw new UsageError(
    "invalid_message",
    `The first argument of the chat ${name} is the user's message: text, or a list of content parts, not ` +
      `${kindOf(message)}.`,
  );
}
