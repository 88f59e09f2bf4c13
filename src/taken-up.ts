/** What the next attempt of a stored run sets right first: the ends that its predecessor could not write any more. */
import type { RunContext } from "./engine.ts";
import { type EngineEvent, noUsage } from "./events.ts";
import type { LoopState } from "./journal.ts";
import { parseJson } from "./json.ts";
import { interruption, type PartialTurn, unknownOutcome } from "./partial-turn.ts";
import type { Tool } from "./tool.ts";
import { toolEnd } from "./tool-phase.ts";

/** The end of a turn that was whole, or whose answer was lost in the middle: that one is asked for again. */
export function* closeTurn(state: LoopState): Generator<EngineEvent<never>, void> {
  const { openTurn: turn } = state.told;
  if (turn === undefined || state.open !== undefined) return;
  const isWhole = turn <= state.turns && state.lastTurn !== undefined;
  if (isWhole) yield { type: "turn-end", ...state.lastTurn };
  else yield { type: "turn-end", turn, finishReason: "interrupted", usage: noUsage };
}

/**
 * The calls of a turn that was received: those that were begun and not settled have an unknown outcome, unless
 * they may run again; each that has an outcome and no end in the event log gets one.
 */
export async function* settleLost(
  partial: PartialTurn,
  tools: ReadonlyMap<string, Tool>,
  { journal, stop }: RunContext,
): AsyncGenerator<EngineEvent<never>, void> {
  const told = journal?.state?.told;
  for (const call of partial.calls) {
    const { callId, toolName, input } = call;
    // One that a hand-over has stopped is open as well: its end was not told.
    const wasStopped = call.outcome?.status === "cancelled" && told?.ended.has(callId) !== true;
    const wasOpen = call.started && call.outcome === undefined;
    const mayRunAgain = stop.stopped === undefined && tools.get(toolName)?.idempotent === true;
    if ((wasOpen || wasStopped) && mayRunAgain) {
      call.outcome = undefined;
      continue;
    }
    if (wasOpen) {
      call.outcome = unknownOutcome(interruption);
      await journal?.write({ kind: "settled", callId, outcome: call.outcome });
    }
    if (call.outcome === undefined || told?.ended.has(callId) === true) continue;
    if (told?.started.has(callId) !== true) {
      yield { type: "tool-start", callId, toolName, input: parseJson(input) ?? input };
    }
    yield toolEnd(call, call.outcome, 0);
  }
}
