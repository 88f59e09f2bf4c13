// Runs, events and outcomes for the tests of run stores, and waits that do not guess at time.

import type { Claim, ClaimResult, NewEvent, NewRun, RunStore, StoredOutcome } from "../../src/store.ts";

export function newRun(runId: string, more: Partial<NewRun> = {}): NewRun {
  return { runId, functionName: "ask", input: { args: ["Why?"], options: {} }, priority: 0, ...more };
}

export function delta(runId: string, text: string): NewEvent {
  return { type: "text-delta", delta: text, runId, at: 1_700_000_000_000 };
}

export function deltas(runId: string, count: number): NewEvent[] {
  return Array.from({ length: count }, (_, index) => delta(runId, String(index)));
}

export function terminal(runId: string, status: StoredOutcome["status"]): NewEvent {
  const { status: _, ...kept } = outcome(status);
  const event = { ...kept, runId, at: 1_700_000_000_000 };
  if (status === "completed") return { ...event, type: "run-completed", value: "All." };
  if (status === "cancelled") return { ...event, type: "run-cancelled", reason: "halt", cause: "cancel" };
  return { ...event, type: "run-error", error: { name: "Error", message: "no" } };
}

export function outcome(status: StoredOutcome["status"]): StoredOutcome {
  return {
    status,
    text: "All.",
    history: [{ role: "user", content: "Why?" }],
    patches: [],
    usage: { inputTokens: 1, outputTokens: 2, totalTokens: 3 },
    turns: 1,
  };
}

export function claimed(result: ClaimResult): Claim {
  if (result.kind !== "claimed") throw new Error(`The run was not claimed: ${result.kind}.`);
  return result.claim;
}

/** Waits until the condition holds, and at least `leastMs`. */
export async function until(condition: () => boolean | Promise<boolean>, leastMs = 0): Promise<void> {
  const begin = performance.now();
  for (;;) {
    const waited = performance.now() - begin;
    if (waited >= leastMs && (await condition())) return;
    if (waited > 10_000) throw new Error("Waited for 10 s in vain.");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Listens to a store's bell. */
export async function rung(store: RunStore) {
  const heard: (string | undefined)[] = [];
  const end = await store.watch((runId) => heard.push(runId));
  return {
    heard,
    end,
    /** Waits for a bell for this run, or for any; forgets what was heard. */
    async expect(runId: string): Promise<void> {
      await until(() => heard.some((id) => id === runId || id === undefined));
      heard.length = 0;
    },
  };
}
