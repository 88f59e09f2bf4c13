// The invariants that hold for every run, however it was stopped: one check for all suites of this folder.

import type { RunEvent, RunOutcome, RunStream } from "llmethod";
import { expect } from "vitest";
import type { ChatMessage } from "../../src/transcript.ts";
import { refusalOf } from "../support/server.ts";
import { pairingProblems, responsesItems } from "./responses-items.ts";

export interface Ended<T = unknown> {
  readonly events: readonly RunEvent<T>[];
  readonly outcome: RunOutcome<T>;
}

/** Reads a run to its end and then all of its events, which a run keeps for readers who come late. */
export async function ended<T>(run: RunStream<T>): Promise<Ended<T>> {
  const outcome = await run.outcome;
  const events: RunEvent<T>[] = [];
  for await (const event of run) events.push(event);
  return { events, outcome };
}

export function checkInvariants({ events, outcome }: Ended): void {
  checkOrder(events, outcome.runId);
  checkPairs(events);
  checkTerminal(events, outcome);
  checkHistory(outcome.history);
  checkCalls(events, outcome);
  const text = events.map((event) => (event.type === "text-delta" ? event.delta : "")).join("");
  expect(text, "the deltas are the text").toBe(outcome.text);
  const turns = events.filter(({ type }) => type === "turn-start").length;
  expect(turns, "turns that were begun").toBe(outcome.turns);
  const tokens = events.reduce(
    (sum, event) => sum + (event.type === "turn-end" ? event.usage.totalTokens : 0),
    0,
  );
  expect(tokens, "usage is the sum of the turns").toBe(outcome.usage.totalTokens);
  for (const event of events) expect(() => JSON.stringify(event)).not.toThrow();
  expect(JSON.parse(JSON.stringify(outcome))).toMatchObject({ status: outcome.status, text: outcome.text });
}

function checkOrder(events: readonly RunEvent<unknown>[], runId: string): void {
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
  expect(events.every((event) => event.runId === runId)).toBe(true);
  expect(events.every(({ at }, index) => at >= (events[index - 1]?.at ?? 0))).toBe(true);
  expect(events[0]?.type).toBe("run-start");
}

const terminal = new Set(["run-completed", "run-cancelled", "run-error"]);

function checkTerminal(events: readonly RunEvent<unknown>[], outcome: RunOutcome<unknown>): void {
  const last = events.at(-1);
  expect(events.filter(({ type }) => terminal.has(type))).toEqual([last]);
  expect(last?.type).toBe(outcome.status === "error" ? "run-error" : `run-${outcome.status}`);
  const { text, history, patches, usage } = outcome;
  expect(last).toMatchObject({ text, history, patches, usage });
  if (last?.type === "run-cancelled" && outcome.status === "cancelled") {
    expect(last.reason === outcome.reason).toBe(true);
    expect(last.cause).toBe(outcome.cause);
  }
}

/** Every start has one end, in the turn in which it began; nothing is told of a call that is not open. */
function checkPairs(events: readonly RunEvent<unknown>[]): void {
  let turn: number | undefined;
  const open = new Set<string>();
  const told = new Set<string>();
  for (const event of events) {
    if (event.type === "turn-start") {
      expect(turn, "a turn begins while another is open").toBeUndefined();
      turn = event.turn;
    } else if (event.type === "turn-end") {
      expect(event.turn).toBe(turn);
      expect([...open], "calls that are open when the turn ends").toEqual([]);
      turn = undefined;
    } else if (event.type === "tool-start") {
      expect(turn).toBeDefined();
      expect(told.has(event.callId), `${event.callId} starts twice`).toBe(false);
      told.add(event.callId);
      open.add(event.callId);
    } else if (event.type === "tool-progress") {
      expect(open.has(event.callId), `progress of ${event.callId}, which is not at work`).toBe(true);
    } else if (event.type === "tool-end") {
      expect(open.delete(event.callId), `${event.callId} ends once, after its start`).toBe(true);
    }
  }
  expect(turn, "a turn without its end").toBeUndefined();
}

/** Every call that began is in the history with its result, and a patch says of each that was cut short. */
function checkCalls(events: readonly RunEvent<unknown>[], { history, patches }: RunOutcome<unknown>): void {
  const results = new Map(history.flatMap((m) => (m.role === "tool" ? [[m.tool_call_id, m.content]] : [])));
  const states = new Map(
    patches.flatMap((patch) => (patch.kind === "call-cancelled" ? [[patch.callId, patch.state]] : [])),
  );
  for (const callId of states.keys()) expect(results.has(callId), `${callId} is kept`).toBe(true);
  for (const event of events) {
    if (event.type !== "tool-end") continue;
    const { callId, status } = event;
    expect(results.has(callId), `${callId} has a result`).toBe(true);
    const state = status === "cancelled" ? "stopped" : status === "unknown" ? "unknown" : undefined;
    expect(states.get(callId), `the patch of ${callId}`).toBe(state);
  }
}

/** The strict server takes it with a next message, and so does the format of the Responses API. */
export function checkHistory(history: readonly ChatMessage[]): void {
  const next: ChatMessage = { role: "user", content: "Go on" };
  expect(refusalOf({ model: "gpt-test", messages: [...history, next] })).toBeUndefined();
  expect(pairingProblems(responsesItems(history))).toEqual([]);
  expect(JSON.parse(JSON.stringify(history))).toEqual(history);
}
