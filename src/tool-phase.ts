/** The tools of one turn: their calls checked, run side by side or one by one, told of as they come and end. */

import type { RunContext } from "./engine.ts";
import { UsageError } from "./errors.ts";
import type { EngineEvent } from "./events.ts";
import { jsonText, kindOf, parseJson } from "./json.ts";
import type { CallOutcome, PartialCall, PartialTurn } from "./partial-turn.ts";
import { executeCall, type PreparedCall, prepareCall } from "./settle-call.ts";
import type { Tool } from "./tool.ts";

interface ReadyCall {
  readonly call: PartialCall;
  readonly prepared: PreparedCall;
}

/**
 * Runs every call of the turn to its outcome, which it leaves on the call. Events come in the order of arrival.
 * After a stop no further call begins; those that run settle within the grace.
 */
export async function* playCalls(
  partial: PartialTurn,
  tools: ReadonlyMap<string, Tool>,
  run: RunContext,
): AsyncGenerator<EngineEvent<never>, void> {
  const open = partial.calls.filter(({ outcome }) => outcome === undefined);
  const prepare = open.map(async (call) => ({
    call,
    prepared: await prepareCall(tools, call.toolName, call.input, run),
  }));
  const ready = await run.stop.race(Promise.all(prepare));
  for (const group of groups(ready)) {
    run.stop.throwIfStopped();
    if (run.journal !== undefined) {
      await run.journal.write({ kind: "begun", callIds: group.map(({ call }) => call.callId) });
    }
    const arrivals = new Arrivals();
    for (const call of group) {
      if (run.stop.stopped !== undefined) break;
      begin(call, run, arrivals);
    }
    yield* arrivals.drain();
  }
}

/** Neighbours that may run side by side; a call that may not is a group of its own. */
function groups(calls: readonly ReadyCall[]): ReadyCall[][] {
  const result: ReadyCall[][] = [];
  let isOpen = false;
  for (const item of calls) {
    const isParallel = item.prepared.kind === "refused" || item.prepared.tool.parallel;
    const last = result.at(-1);
    if (isParallel && isOpen && last !== undefined) last.push(item);
    else result.push([item]);
    isOpen = isParallel;
  }
  return result;
}

function begin({ call, prepared }: ReadyCall, run: RunContext, arrivals: Arrivals): void {
  const { callId, toolName } = call;
  const startedAt = performance.now();
  const settle = (outcome: CallOutcome): void | Promise<void> => {
    call.outcome = outcome;
    const end = () => arrivals.push(toolEnd(call, outcome, performance.now() - startedAt));
    if (run.journal === undefined) return end();
    return run.journal.write({ kind: "settled", callId, outcome }).then(end);
  };
  call.started = true;
  // An earlier attempt may have begun the same call, and told of it.
  if (run.journal?.state?.told.started.has(callId) !== true) {
    arrivals.push({ type: "tool-start", callId, toolName, input: prepared.given });
  }
  if (prepared.kind === "refused") {
    const settled = settle(prepared.outcome);
    if (settled !== undefined) arrivals.expect(settled);
    return;
  }
  arrivals.expect(
    executeCall(prepared.tool, prepared.input, {
      runStop: run.stop,
      graceMs: () => run.graceMs(),
      timeoutMs: run.timeouts.tool,
      context: {
        runId: run.runId,
        callId,
        toolName,
        context: run.options.context,
        emit: (data) => arrivals.push({ type: "tool-progress", callId, toolName, data: jsonCopy(data) }),
      },
      within: (stop, work) => run.within(stop, callId, work),
      adopt: (work) => run.adopt(work),
    }).then(settle),
  );
}

/** The event that tells of a call's outcome. */
export function toolEnd(
  { callId, toolName }: PartialCall,
  { status, output, error }: CallOutcome,
  durationMs: number,
): EngineEvent<never> {
  const event = { type: "tool-end", callId, toolName, status, output, durationMs } as const;
  return error === undefined ? event : { ...event, error };
}

/** Events of calls at work, in the order in which they arrive. */
class Arrivals {
  readonly #queue: EngineEvent<never>[] = [];
  #open = 0;
  #wake: () => void = () => {};

  push(event: EngineEvent<never>): void {
    this.#queue.push(event);
    this.#wake();
  }

  expect(work: Promise<void>): void {
    this.#open++;
    work.then(() => {
      this.#open--;
      this.#wake();
    });
  }

  /** Ends when every call has settled and every event is told. */
  async *drain(): AsyncGenerator<EngineEvent<never>, void> {
    for (;;) {
      for (let event = this.#queue.shift(); event !== undefined; event = this.#queue.shift()) yield event;
      if (this.#open === 0) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

function jsonCopy(data: unknown): unknown {
  const text = jsonText(data);
  if (text !== undefined) return parseJson(text);
  throw new UsageError("invalid_option", `emit(data) takes JSON data, not ${kindOf(data)}.`);
}
