/** `llmFunction`: a method or function whose body is the task and whose typed answer the model gives. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { describeStop } from "./abort.ts";
import { answerFormat } from "./answer.ts";
import { decorator, type LlmDecorator } from "./decorators.ts";
import { checkDefinition, type FunctionDefinition, graceOf, promptOf, settingsFor } from "./definition.ts";
import { RunCancelledError } from "./errors.ts";
import type { RunOutcome } from "./events.ts";
import { parseHistory } from "./history.ts";
import { loop, type Opening } from "./loop.ts";
import type { Prompt } from "./prompt.ts";
import { userMessage } from "./transcript.ts";

type Answer<S> = S extends StandardSchemaV1 ? StandardSchemaV1.InferOutput<S> : string;

/**
 * Makes an LLM function: above a method as a decorator (legacy or standard), or around a plain function. The
 * body returns the task as `` prompt`…` ``; a call gives a `Run` of the typed answer.
 *
 * `await` rejects with `RunCancelledError` where the run was stopped, with `OutputError` where the answer did
 * not fit after two corrections, with `ModelError` where the provider failed, with `TurnLimitError` at
 * `maxTurns`. The run's `outcome` never rejects.
 *
 * @throws UsageError at the definition: `invalid_option`, `invalid_schema`, `invalid_decorator`; at a call:
 *   `missing_model`, `invalid_option`, `invalid_history`, `invalid_prompt`, `duplicate_tool`, `duplicate_run`
 * @example
 * const summarise = llmFunction({ model, returns: z.string() })(
 *   (text: string, options?: CallOptions) => prompt`Summarise: ${text}`,
 * );
 * const summary = await summarise("A long text", { timeout: 10_000 });
 */
export function llmFunction<S extends StandardSchemaV1 | undefined = undefined, Self = unknown>(
  given: FunctionDefinition<S, Self> = {},
): LlmDecorator<Answer<S>, NoInfer<Self>> {
  checkDefinition(given, "llmFunction");
  const definition = Object.freeze({ ...given });
  const format = answerFormat<Answer<S>>(
    definition.returns as StandardSchemaV1<unknown, Answer<S>> | undefined,
    definition.name ?? "llmFunction",
  );
  const opening = (task: Prompt): Opening => ({
    system: definition.instructions ?? "",
    entries: [userMessage(task.content)],
  });
  return decorator<Answer<S>>("llmFunction", definition.name, (body, nameOf) => (self, args, options) => {
    const name = nameOf(self);
    const { transcript, patches } = parseHistory(options.history);
    return {
      options,
      abortGraceMs: graceOf(definition as FunctionDefinition<S>),
      answer: valueOrThrow,
      engine(run) {
        const settings = settingsFor(definition as FunctionDefinition<S>, self, name, options);
        const made = run.within(run.stop, undefined, () =>
          promptOf(() => Reflect.apply(body, self, args), name),
        );
        return loop(
          {
            ...settings,
            transcript,
            patches,
            format,
            value: (answer) => answer,
            opening: typeof made === "function" ? async () => opening(await made()) : opening(made),
          },
          run,
        );
      },
    };
  }) as LlmDecorator<Answer<S>, Self>;
}

/** A stopped function has no value. */
function valueOrThrow<T>(outcome: RunOutcome<T>): T {
  if (outcome.status === "completed") return outcome.value;
  if (outcome.status === "error") throw outcome.error;
  const { reason, runId, history, text, patches } = outcome;
  const message = `The run was cancelled: ${describeStop(outcome)}`;
  throw new RunCancelledError(message, { cause: reason, runId, history, text, patches });
}
