// What holds for the event log and the history of every stored run, whatever has happened to it.

import { type RunRecord, type RunStore, repairHistory, type StoredEvent } from "llmethod";
import { expect } from "vitest";

export async function allEvents(store: RunStore, runId: string): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for (let page = await store.events(runId, 0); page.length > 0; ) {
    events.push(...page);
    page = await store.events(runId, page.at(-1)?.seq ?? 0);
  }
  return events;
}

/** A log without gap or double, every start with one end, one terminal event, the last; a history that can be sent. */
export function checkLog(record: RunRecord, events: readonly StoredEvent[]): void {
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
  expect(record.lastSeq).toBe(events.length);
  const open: string[] = [];
  for (const event of events) {
    if (event.type === "turn-start") open.push(`turn ${event.turn}`);
    if (event.type === "tool-start") open.push(`call ${event.callId}`);
    const ended =
      event.type === "turn-end"
        ? `turn ${event.turn}`
        : event.type === "tool-end"
          ? `call ${event.callId}`
          : undefined;
    if (ended === undefined) continue;
    expect(open).toContain(ended);
    open.splice(open.indexOf(ended), 1);
  }
  expect(open).toEqual([]);
  const terminal = events.filter(({ type }) => /^run-(completed|cancelled|error)$/.test(type));
  expect(terminal).toHaveLength(1);
  expect(events.at(-1)).toBe(terminal[0]);
  expect(terminal[0]?.type).toBe(`run-${record.status}`);
  const history = record.outcome?.history ?? [];
  expect(repairHistory(history).patches).toEqual([]);
  expect(repairHistory(history).history).toEqual(history);
}
