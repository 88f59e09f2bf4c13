/** The turn at work: what has been received and done of it, and what is kept of it when it is cut off. */
import { UsageError } from "./errors.ts";
import type { EngineEvent, FinishReason, Patch, ToolStatus, Usage } from "./events.ts";
import { freeId, validArguments, validToolName } from "./history.ts";
import { kindOf } from "./json.ts";
import type { ModelEvent } from "./model.ts";
import type { ContentPart, Exchange, ToolMessage, Turn } from "./transcript.ts";

/** How a call ended: what the model reads, and what the event says. */
export interface CallOutcome {
  readonly status: ToolStatus;
  readonly content: ToolMessage["content"];
  readonly attachments?: readonly ContentPart[];
  readonly output: unknown;
  readonly error?: string;
}

export interface PartialCall {
  readonly callId: string;
  readonly toolName: string;
  input: string;
  complete: boolean;
  started: boolean;
  outcome: CallOutcome | undefined;
}

/** A model's whole answer that asks for tools. `usage` is left out where the provider gave none. */
export interface ModelAnswer {
  readonly turn: number;
  readonly text: string;
  readonly calls: readonly { readonly callId: string; readonly toolName: string; readonly input: string }[];
  readonly usage?: Usage;
}

/** Such a turn as an earlier attempt has left it. */
export interface OpenTurn extends ModelAnswer {
  readonly begun: ReadonlySet<string>;
  readonly outcomes: ReadonlyMap<string, CallOutcome>;
}

/** Why a turn is cut off: the reason as text, and the note for the history (empty: none). */
export interface Cut {
  readonly reason: string;
  readonly note: string;
}

/** The ways in which a model itself ends its answer. */
type ModelFinish = Exclude<FinishReason, "cancelled" | "interrupted" | "error">;

export class PartialTurn {
  text = "";
  /** Characters of reasoning, for the estimate of usage. */
  reasoningLength = 0;
  finishReason: ModelFinish | undefined;
  usage: Usage | undefined;
  /** Whether a request was made for it: without one there is no usage. */
  isRequested = false;
  readonly calls: PartialCall[] = [];
  readonly #byModelId = new Map<string, PartialCall>();
  readonly #takenIds: Set<string>;

  /** `takenIds` are the call ids of the conversation so far: a model that repeats one gets a new one. */
  constructor(takenIds: Set<string>) {
    this.#takenIds = takenIds;
  }

  /** A turn that another attempt has received, with what was settled of its calls. */
  static takenUp(open: OpenTurn, takenIds: Set<string>): PartialTurn {
    const turn = new PartialTurn(takenIds);
    turn.text = open.text;
    turn.usage = open.usage;
    turn.finishReason = "tool-calls";
    turn.isRequested = true;
    for (const { callId, toolName, input } of open.calls) {
      takenIds.add(callId);
      const [started, outcome] = [open.begun.has(callId), open.outcomes.get(callId)];
      turn.calls.push({ callId, toolName, input, complete: true, started, outcome });
    }
    return turn;
  }

  /** Takes in what the model said; gives the event that tells of it, where there is one. */
  accept(event: ModelEvent): EngineEvent | undefined {
    // Nearly all events are text: for these one look is enough.
    if (event?.type !== "text-delta" || typeof event.delta !== "string") checkEvent(event);
    switch (event.type) {
      case "text-delta":
        this.text += event.delta;
        return event.delta === "" ? undefined : event;
      case "reasoning-delta":
        this.reasoningLength += event.delta.length;
        return event.delta === "" ? undefined : event;
      case "tool-input-delta": {
        const call = this.#call(event.callId, event.toolName);
        call.input += event.delta;
        return call.callId === event.callId ? event : { ...event, callId: call.callId };
      }
      case "tool-call": {
        const call = this.#call(event.callId, event.toolName);
        call.input = event.input;
        call.complete = true;
        return undefined;
      }
      case "finish":
        this.finishReason = event.finishReason;
        this.usage = event.usage;
        return undefined;
      default:
        return event satisfies never;
    }
  }

  /** The answer as it is written down before its tools begin. */
  answer(turn: number): ModelAnswer {
    const { text, usage } = this;
    const calls = this.calls.map(({ callId, toolName, input }) => ({ callId, toolName, input }));
    return { turn, text, calls, ...(usage === undefined ? {} : { usage }) };
  }

  /** The whole turn, once every call has its outcome. */
  whole(): Turn {
    return this.#turn(withoutHalf(this.text), this.calls);
  }

  /** In a whole turn: the calls that an interruption has cut off, whose outcome another attempt had to settle. */
  lostCalls(): Patch[] {
    return this.calls.flatMap((call) => {
      const { callId, toolName, outcome } = call;
      const state = outcome === undefined ? undefined : cancelledState(call, outcome);
      return state === undefined
        ? []
        : [{ kind: "call-cancelled", callId, toolName, state, reason: interruption }];
    });
  }

  /** What remains when the turn is cut off just now: changes nothing, so a run can be looked at at any time. */
  cut({ reason, note }: Cut): { turn: Turn | undefined; patches: Patch[] } {
    const patches: Patch[] = [];
    const isCutText = this.text !== "" && !isWhole.has(this.finishReason);
    if (isCutText) patches.push({ kind: "text-truncated", partialText: this.text, reason });
    const kept: PartialCall[] = [];
    for (const call of this.calls) {
      const { callId, toolName } = call;
      if (!call.complete) {
        patches.push({ kind: "call-dropped", toolName, reason });
        continue;
      }
      const outcome = call.outcome ?? (call.started ? unknownOutcome(reason) : notStartedOutcome(reason));
      const state = cancelledState(call, outcome);
      if (state !== undefined) patches.push({ kind: "call-cancelled", callId, toolName, state, reason });
      kept.push({ ...call, outcome });
    }
    if (this.text === "" && kept.length === 0) return { turn: undefined, patches };
    const text = withoutHalf(this.text);
    return { turn: this.#turn(isCutText && note !== "" ? `${text}\n\n${note}` : text, kept), patches };
  }

  #turn(text: string, calls: readonly PartialCall[]): Turn {
    const exchanges = calls.map(({ callId, toolName, input, outcome }): Exchange => {
      if (outcome === undefined) throw new Error(`The call ${callId} has no outcome.`);
      const { content, attachments } = outcome;
      return Object.freeze({
        call: {
          id: callId,
          type: "function",
          function: { name: validToolName(toolName), arguments: validArguments(input) },
        },
        result: { role: "tool", tool_call_id: callId, content },
        ...(attachments === undefined ? {} : { attachments }),
      } satisfies Exchange);
    });
    const content = text === "" && exchanges.length > 0 ? null : text;
    return Object.freeze<Turn>({ kind: "turn", message: { role: "assistant", content }, exchanges });
  }

  #call(modelId: string, toolName: string): PartialCall {
    const known = this.#byModelId.get(modelId);
    // A model that gives two calls one id means two calls.
    if (known !== undefined && !known.complete) return known;
    const callId = freeId(modelId, this.#takenIds);
    this.#takenIds.add(callId);
    const call = { callId, toolName, input: "", complete: false, started: false, outcome: undefined };
    this.#byModelId.set(modelId, call);
    this.calls.push(call);
    return call;
  }
}

/** Why calls are open in a run that is taken up again. */
export const interruption = "the worker of the run was lost";

const eventFields: Readonly<Record<ModelEvent["type"], readonly string[]>> = {
  "text-delta": ["delta"],
  "reasoning-delta": ["delta"],
  "tool-input-delta": ["callId", "toolName", "delta"],
  "tool-call": ["callId", "toolName", "input"],
  finish: ["finishReason"],
};

/** Models are foreign code: what is not of the form ends the run as an error that names it. */
function checkEvent(event: unknown): void {
  const fields: Readonly<Record<string, unknown>> =
    typeof event === "object" && event !== null ? (event as Record<string, unknown>) : {};
  const known = Object.hasOwn(eventFields, String(fields.type))
    ? eventFields[fields.type as ModelEvent["type"]]
    : undefined;
  if (known === undefined) {
    const given = fields.type === undefined ? kindOf(event) : JSON.stringify(fields.type);
    const types = Object.keys(eventFields).join(", ");
    throw new UsageError("invalid_option", `The model sent ${given}; its events are ${types}.`);
  }
  for (const name of known) {
    if (typeof fields[name] === "string") continue;
    const what = `"${name}" of the event ${String(fields.type)} must be a string, not ${kindOf(fields[name])}`;
    throw new UsageError("invalid_option", `${what}: a call's input is its JSON text.`);
  }
}

/** The ends at which a text has nothing more to come. */
const isWhole = new Set<FinishReason | undefined>(["stop", "tool-calls", "refusal"]);

/** A text cut inside a surrogate pair (half an emoji) is no valid JSON for many servers: the half goes. */
function withoutHalf(text: string): string {
  const last = text.charCodeAt(text.length - 1);
  return (last >= 0xd800 && last <= 0xdbff ? text.slice(0, -1) : text).toWellFormed();
}

/** The state that a patch names; none where the tool really finished, well or badly. */
function cancelledState(call: PartialCall, outcome: CallOutcome) {
  if (!call.started && outcome.status === "cancelled") return "not-started";
  if (outcome.status === "cancelled") return "stopped";
  return outcome.status === "unknown" ? "unknown" : undefined;
}

export function notStartedOutcome(reason: string): CallOutcome {
  return cancelled("cancelled", `[stopped: ${reason}] The tool was not started.`);
}

/** The tool obeyed the stop; `detail` is what it said on the way out. */
export function stoppedOutcome(reason: string, detail = ""): CallOutcome {
  const content = `[stopped: ${reason}] The tool was stopped before it finished.`;
  return cancelled("cancelled", detail === "" ? content : `${content} ${detail}`);
}

export function unknownOutcome(reason: string, detail = ""): CallOutcome {
  const content = `[stopped: ${reason}] The tool did not stop in time: outcome unknown, it may have taken effect.`;
  return cancelled("unknown", detail === "" ? content : `${content} ${detail}`);
}

function cancelled(status: "cancelled" | "unknown", content: string): CallOutcome {
  return { status, content, output: undefined };
}
