/** What a user waits for: the first delta, and the end of a run that was stopped. */
import type { Kind } from "../contenders/contender.ts";
import { median, quantile } from "../measure.ts";
import { startClients } from "../processes.ts";
import type { Table } from "../report.ts";
import type { LookupManner } from "../tasks.ts";
import { frameworks } from "./costs.ts";
import type { Plan } from "./plan.ts";

/** Contenders whose user sees deltas. */
const streaming = ["raw", "llmethod-stream", "ai", "agents"] as const;

export async function firstDelta({ baseURL, warmUpMs, firstRuns }: Plan): Promise<Table[]> {
  const rows: (string | number)[][] = [];
  for (const { contender, client } of startClients(streaming, { baseURL, model: "first", kind: "text" })) {
    await client.do({ type: "warm-up", concurrency: 1, ms: warmUpMs });
    const times = await client.do({ type: "first-delta", runs: firstRuns });
    await client.stop();
    rows.push([contender, median(times), quantile(times, 0.99)]);
  }
  return [
    {
      title: "Time to the first delta, in ms",
      note: `From the call to the first delta that its user sees; ${firstRuns} runs one after the other, warmed up.`,
      columns: ["", "median", "p99"],
      rows,
      digits: 2,
    },
  ];
}

interface Phase {
  readonly name: string;
  readonly model: string;
  readonly kind: Kind;
  readonly lookup: LookupManner;
  /** Whether a request is open that the stop has to close. */
  readonly isOpen: boolean;
}

const phases: readonly Phase[] = [
  { name: "waiting for headers", model: "mute", kind: "text", lookup: "answer", isOpen: true },
  { name: "text streams", model: "slow-text", kind: "text", lookup: "answer", isOpen: true },
  { name: "tool arguments stream", model: "slow-call", kind: "tools", lookup: "answer", isOpen: true },
  { name: "a tool that obeys", model: "rounds-1", kind: "tools", lookup: "obey", isOpen: false },
  { name: "a tool that ignores it (1 s)", model: "rounds-1", kind: "tools", lookup: "ignore", isOpen: false },
  { name: "between turns", model: "rounds-1", kind: "tools", lookup: "stop-at-last-line", isOpen: false },
];

export async function stops({ baseURL, stopRuns }: Plan): Promise<Table[]> {
  const settled: (string | number)[][] = [];
  const closed: (string | number)[][] = [];
  for (const { name, model, kind, lookup, isOpen } of phases) {
    const settledRow: (string | number)[] = [name];
    const closedRow: (string | number)[] = [name];
    const task = { type: "stop", lookup, expectsClose: isOpen } as const;
    for (const { client } of startClients(frameworks, { baseURL, model, kind })) {
      if (lookup !== "ignore") await client.do({ ...task, runs: Math.ceil(stopRuns / 4) });
      const times = await client.do({ ...task, runs: stopRuns });
      await client.stop();
      const late = times.lateRequests > 0 ? ` (${times.lateRequests} requests after it)` : "";
      settledRow.push(`${median(times.settled).toFixed(2)}${late}`);
      closedRow.push(median(times.closed));
    }
    settled.push(settledRow);
    if (isOpen) closed.push(closedRow);
  }
  const columns = ["stopped while", ...frameworks];
  return [
    {
      title: "From the abort to the end of the run, in ms",
      note:
        `Medians of ${stopRuns} runs. The end is when the call's promise settles, or the loop over its stream ` +
        "has ended. Where a tool ignores it, llmethod ends after its grace (`abortGraceMs`, 250 ms) with the outcome " +
        "`unknown` in the history; ai ends at once and leaves the call without a result.",
      columns,
      rows: settled,
      digits: 2,
    },
    {
      title: "From the abort to the closed socket, as the server sees it, in ms",
      note: "Medians of the same runs, for the phases in which a request is open.",
      columns,
      rows: closed,
      digits: 2,
    },
  ];
}
