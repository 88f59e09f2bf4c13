/** One tool call from its raw input to its outcome: prepare, execute, settle. Every way to fail is an outcome. */
import { describeStop, isAbortError, type Stop, StopSource } from "./abort.ts";
import type { RunContext } from "./engine.ts";
import { RunCancelledError, TimeoutError } from "./errors.ts";
import { copyJson, isPlainObject, jsonText, parseJson, textOf } from "./json.ts";
import { type CallOutcome, stoppedOutcome, unknownOutcome } from "./partial-turn.ts";
import type { Tool, ToolContext } from "./tool.ts";
import type { ContentPart } from "./transcript.ts";

/**
 * A call that was read and checked: ready to run, or refused with what the model is told. `given` is the JSON that
 * the model sent, `input` what the schema made of it.
 */
export type PreparedCall =
  | { readonly kind: "ready"; readonly tool: Tool; readonly given: unknown; readonly input: unknown }
  | { readonly kind: "refused"; readonly given: unknown; readonly outcome: CallOutcome };

/** Parses strictly and validates. The input of a call that is refused is kept for the event. */
export async function prepareCall(
  tools: ReadonlyMap<string, Tool>,
  toolName: string,
  text: string,
  { stop, timeouts }: Pick<RunContext, "stop" | "timeouts">,
): Promise<PreparedCall> {
  const parsed = text.trim() === "" ? {} : parseJson(text);
  const given = parsed ?? text;
  const refuse = (why: string): PreparedCall => ({ kind: "refused", given, outcome: failedOutcome(why) });
  const tool = tools.get(toolName);
  if (tool === undefined) {
    const known = [...tools.keys()].join(", ") || "none";
    return refuse(`There is no tool "${toolName}". The tools are: ${known}.`);
  }
  if (parsed === undefined) {
    return refuse(`The arguments are not valid JSON. Call ${toolName} again with a complete JSON object.`);
  }
  let checked: Awaited<ReturnType<Tool["validate"]>>;
  try {
    checked = await withinTime(tool.timeout ?? timeouts.tool, stop, tool.validate(parsed));
  } catch (error) {
    return refuse(`The check of the arguments failed: ${errorText(error)}`);
  }
  if (!checked.ok) {
    const issues = checked.issues.map((issue) => `- ${issue}`).join("\n");
    return refuse(`The arguments do not fit the tool's input:\n${issues}\nCorrect them and call it again.`);
  }
  return { kind: "ready", tool, given, input: checked.value };
}

/** A check that waits (an async refinement) has the tool's time, and no more; a stop ends the wait. */
async function withinTime<T>(ms: number | undefined, stop: StopSource, work: Promise<T>): Promise<T> {
  if (ms === undefined) return work;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimeoutError("tool", ms)), ms);
  });
  try {
    return await stop.race(Promise.race([work, late]));
  } finally {
    clearTimeout(timer);
  }
}

export interface CallEnvironment {
  readonly runStop: StopSource;
  /** How long a tool that was told to stop may take to do so, in ms. */
  graceMs(): number;
  /** Default limit for a call, in ms, where the tool has none of its own. */
  readonly timeoutMs: number | undefined;
  readonly context: Omit<ToolContext, "abortSignal">;
  /** Runs the tool so that the runs which it begins know their parent and stop with this call. */
  within<T>(stop: StopSource, work: () => T): T;
  /** A tool that was given up is still alive: the run has not settled before it ends. */
  adopt(work: Promise<unknown>): void;
}

/** Runs a tool to its outcome; settles within the grace after a stop or a timeout, and never rejects. */
export function executeCall(tool: Tool, input: unknown, env: CallEnvironment): Promise<CallOutcome> {
  const callStop = new StopSource();
  const timeoutMs = tool.timeout ?? env.timeoutMs;
  const context = new CallContext(env.context, callStop);
  const work = env.within(callStop, () => run(tool, input, context));
  return new Promise((settle) => {
    let grace: NodeJS.Timeout | undefined;
    const deadline =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            callStop.stop("timeout", new TimeoutError("tool", timeoutMs));
          }, timeoutMs);
    const finish = (outcome: CallOutcome) => {
      clearTimeout(grace);
      clearTimeout(deadline);
      unlink();
      context.close();
      settle(outcome);
    };
    const unlink = env.runStop.onStop((stop) => {
      callStop.stop(stop.cause, stop.reason);
    });
    callStop.onStop((stop) => {
      clearTimeout(deadline);
      grace = setTimeout(() => {
        env.adopt(work);
        finish(givenUpOutcome(stop, timeoutMs));
      }, env.graceMs());
    });
    // A value whose own methods throw fails its call, and no more than that.
    const finishWith = (outcomeOf: () => CallOutcome) => {
      try {
        finish(outcomeOf());
      } catch (failure) {
        finish(failedOutcome(textOf(failure)));
      }
    };
    work.then(
      (output) => finishWith(() => returnedOutcome(output, callStop.stopped, timeoutMs)),
      (error) => finishWith(() => thrownOutcome(error, callStop.stopped, timeoutMs)),
    );
  });
}

/** Calls the tool; a generator's yields are its progress and its return is its result. */
async function run(tool: Tool, input: unknown, context: ToolContext): Promise<unknown> {
  const result: unknown = await tool.execute(input, context);
  if (!isGenerator(result)) return result;
  for (;;) {
    const step = await result.next();
    if (step.done === true) return step.value;
    try {
      if (step.value !== undefined) context.emit(step.value);
      context.abortSignal.throwIfAborted();
    } catch (error) {
      await result.return(undefined);
      throw error;
    }
  }
}

function isGenerator(value: unknown): value is AsyncGenerator | Generator {
  return (
    typeof value === "object" &&
    value !== null &&
    (Symbol.asyncIterator in value || Symbol.iterator in value) &&
    "next" in value &&
    "return" in value
  );
}

/** No plain object, so that a tool which is an LLM function itself does not read it as call options. */
class CallContext implements ToolContext {
  readonly runId: string;
  readonly callId: string;
  readonly toolName: string;
  readonly context: unknown;
  readonly emit: (data: unknown) => void;
  readonly #stop: StopSource;
  #open = true;

  constructor(
    { runId, callId, toolName, context, emit }: Omit<ToolContext, "abortSignal">,
    stop: StopSource,
  ) {
    this.runId = runId;
    this.callId = callId;
    this.toolName = toolName;
    this.context = context;
    this.#stop = stop;
    this.emit = (data) => {
      if (this.#open) emit(data);
    };
  }

  get abortSignal(): AbortSignal {
    return this.#stop.signal;
  }

  close(): void {
    this.#open = false;
  }
}

function returnedOutcome(
  output: unknown,
  stop: Stop | undefined,
  timeoutMs: number | undefined,
): CallOutcome {
  const outcome = okOutcome(output);
  if (stop?.cause !== "timeout" || !(stop.reason instanceof TimeoutError) || stop.reason.which !== "tool") {
    return outcome;
  }
  const error = `${timedOut(timeoutMs)} It ended after that and returned: ${textOf(output)}`;
  return { ...failedOutcome(error), output: outcome.output };
}

function thrownOutcome(error: unknown, stop: Stop | undefined, timeoutMs: number | undefined): CallOutcome {
  if (stop === undefined) return failedOutcome(errorText(error));
  const isNested = error instanceof RunCancelledError;
  const detail = isNested || !isAbortError(error, stop) ? errorText(error).toWellFormed() : "";
  if (stop.reason instanceof TimeoutError && stop.reason.which === "tool") {
    return failedOutcome(isNested ? `${timedOut(timeoutMs)} ${detail}` : timedOut(timeoutMs));
  }
  const reason = describeStop(stop);
  const outcome = isNested && mayHaveTakenEffect(error) ? unknownOutcome : stoppedOutcome;
  return { ...outcome(reason, detail), error: errorText(error) };
}

/** A tool of the nested run ignored the stop: what it did is unknown to the outer run as well. */
function mayHaveTakenEffect({ patches }: RunCancelledError): boolean {
  return patches.some((patch) => patch.kind === "call-cancelled" && patch.state === "unknown");
}

function givenUpOutcome(stop: Stop, timeoutMs: number | undefined): CallOutcome {
  if (stop.reason instanceof TimeoutError && stop.reason.which === "tool") {
    return failedOutcome(
      `${timedOut(timeoutMs)} It did not stop: outcome unknown, it may have taken effect.`,
    );
  }
  return unknownOutcome(describeStop(stop));
}

function timedOut(timeoutMs: number | undefined): string {
  return `The tool timed out after ${timeoutMs} ms.`;
}

function failedOutcome(error: string): CallOutcome {
  return { status: "error", content: `Error: ${error}`.toWellFormed(), output: undefined, error };
}

/** A nested run that was stopped tells its inner outcome: why, and the text that it had by then. */
function errorText(error: unknown): string {
  if (!(error instanceof RunCancelledError)) return textOf(error);
  const text = error.text === "" ? "It had said nothing yet." : `Its text so far: ${error.text}`;
  const unknown = error.patches.flatMap((patch) =>
    patch.kind === "call-cancelled" && patch.state === "unknown" ? [patch.toolName] : [],
  );
  const effects = unknown.length === 0 ? "" : ` Its tools that may have taken effect: ${unknown.join(", ")}.`;
  return `Nested run ${error.runId}: ${error.message}. ${text}${effects}`;
}

function okOutcome(output: unknown): CallOutcome {
  if (output === undefined) return { status: "ok", content: "done", output: null };
  if (typeof output === "string") return { status: "ok", content: output.toWellFormed(), output };
  const text = jsonText(output);
  if (text === undefined) return failedOutcome("The tool returned a value that has no JSON form.");
  // What has a JSON form is told as JSON: a copy, whatever becomes of the tool's own value.
  const json: unknown = JSON.parse(text);
  const parts = contentParts(json);
  if (parts !== undefined) return partsOutcome(parts);
  return { status: "ok", content: text.toWellFormed(), output: json };
}

/** A tool message takes text only: other parts follow in a user message behind the turn's results. */
function partsOutcome(parts: readonly ContentPart[]): CallOutcome {
  const texts = copyJson(parts.filter((part) => part.type === "text"));
  const attachments = parts.filter((part) => part.type !== "text");
  if (attachments.length === 0) return { status: "ok", content: texts, output: parts };
  const note = { type: "text" as const, text: "The rest of the result follows the tool results." };
  return { status: "ok", content: [...texts, note], attachments, output: parts };
}

/** What a part of each type holds: domain data often has a `type` of the same name. */
const partChecks: Readonly<Record<string, (inner: unknown) => boolean>> = {
  text: (inner) => typeof inner === "string",
  image_url: (inner) => isPlainObject(inner) && typeof inner.url === "string",
  input_audio: (inner) => isPlainObject(inner) && typeof inner.data === "string",
  file: (inner) => isPlainObject(inner) && ("file_id" in inner || "file_data" in inner),
};

function contentParts(output: unknown): ContentPart[] | undefined {
  const list = Array.isArray(output) ? output : [output];
  const isPart = (item: unknown) =>
    isPlainObject(item) &&
    typeof item.type === "string" &&
    Object.keys(item).length === 2 &&
    partChecks[item.type]?.(item[item.type]) === true;
  return list.length > 0 && list.every(isPart) ? (list as ContentPart[]) : undefined;
}
