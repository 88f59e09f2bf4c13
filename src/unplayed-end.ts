/** The end of a stored run that nobody plays any more: stopped while it waited, or given up. */
import { Conversation } from "./conversation.ts";
import type { RunEnd, RunView } from "./engine.ts";
import { type EventStamp, type FinishReason, noUsage, type RunOutcome } from "./events.ts";
import { parseHistory } from "./history.ts";
import type { LoopState } from "./journal.ts";
import { jsonText, parseJson } from "./json.ts";
import type { NewEvent, RunRecord, StoredOutcome } from "./store.ts";
import { storedOutcome } from "./stored-outcome.ts";
import type { ChatMessage, PlainMessage } from "./transcript.ts";

/** The outcome, and the events that close what the log holds open, the terminal one last. */
export function endedWithoutRun(
  record: RunRecord,
  state: LoopState | undefined,
  end: Exclude<RunEnd<never>, { status: "completed" }>,
): { outcome: StoredOutcome; events: readonly NewEvent[] } {
  const view = viewOf(record, state, end);
  const ended: RunOutcome<never> = { runId: record.runId, ...view, ...end };
  const { history, patches, text, usage } = ended;
  const kept = { history, patches, text, usage };
  // A chat that was stopped answers all the same, as a call of it would.
  const isReply = record.input.message !== undefined && end.status === "cancelled";
  const outcome = storedOutcome(
    ended,
    isReply ? { ...kept, status: end.status, runId: record.runId } : undefined,
  );
  const stamp = { runId: record.runId, at: Date.now(), ...parentOf(record) };
  const finishReason = end.status === "error" ? "error" : "cancelled";
  const terminal =
    outcome.status === "cancelled"
      ? { type: "run-cancelled", reason: outcome.reason, cause: outcome.cause, ...kept }
      : { type: "run-error", error: outcome.error, ...kept };
  const start = record.lastSeq === 0 ? [{ type: "run-start" }] : [];
  const events = [...start, ...closings(state, finishReason), terminal].map((event) => ({
    ...event,
    ...stamp,
  }));
  return { outcome, events: parseJson(jsonText(events) ?? "[]") as NewEvent[] };
}

/** The run in which this one began, as events tell of it. */
export function parentOf({
  parentRunId,
  parentCallId,
}: RunRecord): Pick<EventStamp, "parentRunId" | "parentCallId"> {
  if (parentRunId === undefined) return {};
  return parentCallId === undefined ? { parentRunId } : { parentRunId, parentCallId };
}

function viewOf(record: RunRecord, state: LoopState | undefined, end: RunEnd<never>): RunView {
  const { options, message } = record.input;
  const { transcript, patches } = parseHistory((options.history ?? []) as unknown as ChatMessage[]);
  const talk = new Conversation(transcript, patches);
  if (state !== undefined) talk.takeUp(state);
  else if (message !== undefined) talk.add({ kind: "message", message: message as PlainMessage });
  return talk.view(end);
}

function closings(state: LoopState | undefined, finishReason: FinishReason): object[] {
  if (state?.told.openTurn === undefined) return [];
  const { told, open } = state;
  const calls = (open?.calls ?? []).filter(
    ({ callId }) => told.started.has(callId) && !told.ended.has(callId),
  );
  return [
    ...calls.map(({ callId, toolName }) => {
      const { status, output, error } = open?.outcomes.get(callId) ?? { status: "unknown", output: null };
      return { type: "tool-end", callId, toolName, status, output, error, durationMs: 0 };
    }),
    { type: "turn-end", turn: told.openTurn, finishReason, usage: open?.usage ?? noUsage },
  ];
}
