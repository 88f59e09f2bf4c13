/** The ReAct loop: one async generator that every call, stream and background run is driven by. */
import { Stopped } from "./abort.ts";
import { type AnswerFormat, correctionRequest } from "./answer.ts";
import { Conversation } from "./conversation.ts";
import type { Engine, RunContext, RunEnd, RunView } from "./engine.ts";
import { asError, ModelError, OutputError, TurnLimitError, UsageError } from "./errors.ts";
import type { DeepPartial, EngineEvent, FinishReason, Patch } from "./events.ts";
import { kindOf } from "./json.ts";
import { batchesOf, type EventBatches, type Model, type ModelEvent, type ModelRequest } from "./model.ts";
import type { TurnLimit } from "./options.ts";
import type { PartialTurn } from "./partial-turn.ts";
import { closeTurn, settleLost } from "./taken-up.ts";
import { playCalls } from "./tool-phase.ts";
import type { ResolvedToolkit } from "./toolkit.ts";
import { type Entry, type Transcript, userMessage } from "./transcript.ts";
import { TurnTimers } from "./turn-timers.ts";

/** What a loop starts from. */
export interface LoopPlan<T, Answer> {
  readonly model: Model;
  readonly transcript: Transcript;
  /** What was changed in the given history to make it valid. */
  readonly patches: readonly Patch[];
  /** The prompt: at once, or awaited when the run has begun. */
  readonly opening: Opening | (() => Promise<Opening>);
  readonly toolkit: ResolvedToolkit;
  readonly format: AnswerFormat<Answer>;
  /** What the run gives for the model's answer. */
  value(answer: Answer, view: RunView): T;
  readonly maxTurns: TurnLimit;
}

/** The system message's text (empty: none) and the entries that stand behind the given history. */
export interface Opening {
  readonly system: string;
  readonly entries: readonly Entry[];
}

const correctionsMax = 2;

/** The loop as an engine of a run; nothing happens before its events are asked for. */
export function loop<T, Answer>(plan: LoopPlan<T, Answer>, run: RunContext): Engine<T> {
  const talk = new Conversation(plan.transcript, plan.patches);
  const state = run.journal?.state;
  if (state !== undefined) talk.takeUp(state);
  else if (typeof plan.opening !== "function") open(talk, plan.opening);
  return { events: play(plan, run, talk), view: (end) => talk.view(end) };
}

function open(talk: Conversation, { system, entries }: Opening): void {
  talk.instruct(system);
  talk.add(...entries);
}

async function* play<T, Answer>(
  plan: LoopPlan<T, Answer>,
  run: RunContext,
  talk: Conversation,
): AsyncGenerator<EngineEvent<T>, T> {
  const { stop, journal } = run;
  const { limit, atLimit } =
    typeof plan.maxTurns === "number" ? { limit: plan.maxTurns, atLimit: "error" as const } : plan.maxTurns;
  const state = journal?.state;
  if (state !== undefined) yield* closeTurn(state);
  if (!talk.isOpen) stop.throwIfStopped();
  if (state === undefined && typeof plan.opening === "function") {
    const { opening } = plan;
    open(talk, await stop.race(run.within(stop, undefined, opening)));
  }
  if (state === undefined && journal !== undefined) await journal.write(talk.opening());
  for (let corrections = state?.corrections ?? 0; ; ) {
    const partial = talk.open ?? begin(talk, limit, stop);
    const turn = talk.turns;
    const isLast = turn === limit && atLimit === "answer";
    let timers: TurnTimers | undefined;
    let stream: EventBatches | undefined;
    try {
      const isTakenUp = partial.finishReason !== undefined;
      // An attempt that was stopped has ended the turn in the log, and the turn goes on.
      if (!isTakenUp || state?.told.openTurn !== turn) yield { type: "turn-start", turn };
      if (isTakenUp) yield* settleLost(partial, plan.toolkit.tools, run);
      stop.throwIfStopped();
      partial.isRequested = true;
      timers = new TurnTimers(run.timeouts, stop);
      if (!isTakenUp) stream = request(plan.model, requestOf(plan, run, talk, isLast));
      let parsedLength = 0;
      while (stream !== undefined && partial.finishReason === undefined) {
        timers.waiting();
        const step = await stop.race(stream.next());
        if (step.done === true) break;
        for (const item of step.value) {
          const event = partial.accept(item);
          timers.arrived(event !== undefined);
          if (partial.finishReason !== undefined) break;
          if (event === undefined) continue;
          yield event as EngineEvent<T>;
          stop.throwIfStopped();
          if (plan.format.output === undefined || !run.isWatched) continue;
          // Parsing a partial answer again costs its length: one that comes in large pieces is read less often.
          const growth = item === step.value.at(-1) ? 1.03 : 1.25;
          if (event.type !== "text-delta" || partial.text.length < parsedLength * growth) continue;
          parsedLength = partial.text.length;
          const value = plan.format.readPartial(partial.text);
          if (value !== undefined) yield { type: "object-delta", value: value as DeepPartial<T> };
          stop.throwIfStopped();
        }
      }
      timers.streamEnded();
      stop.throwIfStopped();
      checkFinish(partial, plan.model);
      if (partial.calls.length > 0) {
        if (isLast) throw new TurnLimitError(limit);
        if (!isTakenUp && journal !== undefined)
          await journal.write({ kind: "answer", ...partial.answer(turn) });
        yield* playCalls(partial, plan.toolkit.tools, run);
        stop.throwIfStopped();
        timers.turnEnded();
        const whole = talk.commit(partial);
        const finishReason = "tool-calls";
        if (journal !== undefined) await journal.write({ kind: "turn", ...whole, finishReason, corrections });
        yield { type: "turn-end", turn, finishReason, usage: whole.usage };
        continue;
      }
      const answer = await stop.race(plan.format.read(partial.text));
      timers.turnEnded();
      const finishReason = partial.finishReason ?? "stop";
      if (answer.ok) {
        yield { type: "turn-end", turn, finishReason, usage: talk.commit(partial).usage };
        return plan.value(answer.value, talk.view());
      }
      if (++corrections > correctionsMax) throw outputError(partial.text, answer.issues);
      const correction = userMessage(correctionRequest(answer.issues, plan.format.output));
      const whole = talk.commit(partial, [correction]);
      if (journal !== undefined) await journal.write({ kind: "turn", ...whole, finishReason, corrections });
      yield { type: "turn-end", turn, finishReason, usage: whole.usage };
    } catch (failure) {
      const end = endOf(failure, run);
      if (!talk.isOpen) throw failure;
      const usage = talk.cut(partial, end);
      const finishReason: FinishReason = end.status === "error" ? "error" : "cancelled";
      yield { type: "turn-end", turn, finishReason, usage };
      throw stop.stopped !== undefined && end.status === "cancelled" ? new Stopped(stop.stopped) : failure;
    } finally {
      timers?.turnEnded();
      leave(stream, run);
    }
  }
}

function requestOf(
  plan: Pick<LoopPlan<unknown, unknown>, "format" | "toolkit">,
  run: RunContext,
  talk: Conversation,
  isLast: boolean,
): ModelRequest {
  const { output } = plan.format;
  const { metadata } = run.options;
  return {
    messages: talk.messages(),
    tools: plan.toolkit.specs,
    toolChoice: isLast ? "none" : "auto",
    ...(output === undefined ? {} : { output }),
    ...(metadata === undefined ? {} : { metadata }),
    abortSignal: run.stop.signal,
    runId: run.runId,
  };
}

function begin(talk: Conversation, limit: number, stop: RunContext["stop"]): PartialTurn {
  stop.throwIfStopped();
  if (talk.turns >= limit) throw new TurnLimitError(limit);
  return talk.begin();
}

function request(model: Model, what: ModelRequest): EventBatches {
  const stream: unknown = model.stream(what);
  if (typeof stream === "object" && stream !== null && Symbol.asyncIterator in stream) {
    return batchesOf(stream as AsyncIterable<ModelEvent>);
  }
  Promise.resolve(stream).catch(() => {}); // a promise that fails is told of by this error already
  throw new UsageError(
    "invalid_option",
    `stream(request) of the model ${model.name} must give an async iterable, not ${kindOf(stream)}. Write ` +
      "async *stream(request) { … }.",
  );
}

/** A stop that had come by the time of the failure is what ended the turn: SDKs throw their own errors then. */
function endOf(failure: unknown, { stop }: RunContext): RunEnd<never> {
  const { stopped } = stop;
  if (stopped === undefined) return { status: "error", error: asError(failure) };
  return { status: "cancelled", reason: stopped.reason, cause: stopped.cause };
}

function checkFinish(partial: PartialTurn, model: Model): void {
  const { text } = partial;
  switch (partial.finishReason) {
    case undefined:
      throw new ModelError("stream", `${model.name} ended its stream before the answer was complete.`, {
        text,
        retryable: true,
      });
    case "length":
      throw new ModelError(
        "length",
        `${model.name} reached its output limit before the answer was complete. Raise the model's limit ` +
          "(maxOutputTokens), or ask for less.",
        { text },
      );
    case "content-filter":
      throw new ModelError("content_filter", `The content filter of ${model.name} cut the answer off.`, {
        text,
      });
    case "refusal":
      throw new ModelError("refusal", `${model.name} refused to answer: ${text}`, { text });
    case "stop":
    case "tool-calls":
      return;
    default:
      partial.finishReason satisfies never;
  }
}

function outputError(text: string, issues: readonly string[]): OutputError {
  return new OutputError(
    `The answer does not fit "returns", also after ${correctionsMax} corrections: ${issues.join("; ")}`,
    { text, issues },
  );
}

/** Tells a stream that nobody reads on. A model that ignores it is still alive: the run settles after it. */
function leave(stream: EventBatches | undefined, run: RunContext): void {
  if (stream?.return !== undefined) run.adopt((async () => stream.return?.())());
}
