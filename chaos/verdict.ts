/** Judges what a chaos run has left: every promise that a stored run gives, run by run. */
import {
  type GapEvent,
  type RunRecord,
  type RunStore,
  repairHistory,
  type StoredEvent,
} from "../src/index.ts";
import { answerFor, type Finished, resultOf, turnsNeeded } from "./survey.ts";

export interface Evidence {
  readonly runs: readonly {
    readonly runId: string;
    readonly isCancelled: boolean;
    /** What somebody has seen who watched it from its beginning; nothing where nobody did. */
    readonly watched: readonly (StoredEvent | GapEvent)[] | undefined;
  }[];
  readonly requests: readonly { readonly topic: string; readonly turn: number }[];
  /** Requests that the server did not take for well formed. */
  readonly refused: readonly string[];
  readonly diary: readonly Finished[];
  readonly stderr: string;
}

export interface Verdict {
  readonly states: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
  /** Requests to the model: different ones, and all. */
  readonly needed: number;
  readonly made: number;
  /** How often runs were taken up again. */
  readonly resumed: number;
  /** Calls of which nobody knows whether they took effect. */
  readonly unknownCalls: number;
}

export async function judged(store: RunStore, evidence: Evidence): Promise<Verdict> {
  const problems = evidence.refused.map((problem) => `a request was refused: ${problem}`);
  if (evidence.stderr !== "") problems.push(`a worker said: ${evidence.stderr.slice(0, 2000)}`);
  const states: Record<string, number> = {};
  let [resumed, unknownCalls] = [0, 0];
  for (const run of evidence.runs) {
    const { runId } = run;
    const record = await store.get(runId);
    if (record === undefined) {
      problems.push(`${runId}: is not there`);
      continue;
    }
    const events = await allEvents(store, runId);
    states[record.status] = (states[record.status] ?? 0) + 1;
    resumed += events.filter(({ type }) => type === "run-resumed").length;
    unknownCalls += unknownIn(record).length;
    const finished = evidence.diary.filter((one) => one.runId === runId);
    const found = [
      ...ofRecord(record, run.isCancelled),
      ...ofLog(record, events),
      ...ofTools(record, events, finished),
      ...(run.watched === undefined ? [] : ofWatcher(events, run.watched)),
    ];
    problems.push(...found.map((problem) => `${runId}: ${problem}`));
  }
  const asked = evidence.requests.map(({ topic, turn }) => `${topic} ${turn}`);
  return { states, problems, needed: new Set(asked).size, made: asked.length, resumed, unknownCalls };
}

function ofRecord({ runId, status, outcome }: RunRecord, isCancelled: boolean): string[] {
  if (outcome === undefined) return [`has not ended: ${status}`];
  const problems: string[] = [];
  if (status !== outcome.status) problems.push(`is ${status}, and its outcome ${outcome.status}`);
  if (status === "error") problems.push(`failed: ${JSON.stringify(outcome.error)}`);
  if (status === "cancelled" && !isCancelled) problems.push("is cancelled, and nobody asked for it");
  if (status === "cancelled" && outcome.reason !== "enough")
    problems.push(`has the reason ${outcome.reason}`);
  if (status === "completed" && outcome.value !== answerFor(runId))
    problems.push(`answers ${JSON.stringify(outcome.value)}`);
  if (status === "completed" && outcome.turns !== turnsNeeded) problems.push(`took ${outcome.turns} turns`);
  if (repairHistory(outcome.history).patches.length > 0) problems.push("has a history that needs repair");
  return problems;
}

function ofLog(record: RunRecord, events: readonly StoredEvent[]): string[] {
  const problems: string[] = [];
  if (events.some(({ seq }, index) => seq !== index + 1)) problems.push("has a gap or a double in its log");
  if (record.lastSeq !== events.length)
    problems.push(`has ${events.length} events, and lastSeq ${record.lastSeq}`);
  const open = new Set<string>();
  for (const event of events) {
    const begun = beginning(event);
    const ended = end(event);
    if (begun !== undefined && open.has(begun)) problems.push(`begins ${begun} twice`);
    if (begun !== undefined) open.add(begun);
    if (ended !== undefined && !open.delete(ended)) problems.push(`ends ${ended}, which was not begun`);
  }
  if (open.size > 0) problems.push(`leaves open: ${[...open].join(", ")}`);
  if (events[0]?.type !== "run-start") problems.push(`begins its log with ${events[0]?.type}`);
  const terminal = events.filter(({ type }) => /^run-(completed|cancelled|error)$/.test(type));
  if (terminal.length !== 1) problems.push(`has ${terminal.length} terminal events`);
  if (events.at(-1)?.type !== `run-${record.status}`)
    problems.push(`ends its log with ${events.at(-1)?.type}`);
  return problems;
}

function beginning(event: StoredEvent): string | undefined {
  if (event.type === "turn-start") return `turn ${event.turn}`;
  return event.type === "tool-start" ? `call ${event.callId}` : undefined;
}

function end(event: StoredEvent): string | undefined {
  if (event.type === "turn-end") return `turn ${event.turn}`;
  return event.type === "tool-end" ? `call ${event.callId}` : undefined;
}

function ofTools(record: RunRecord, events: readonly StoredEvent[], finished: readonly Finished[]): string[] {
  const problems: string[] = [];
  const notes = finished.filter(({ toolName }) => toolName === "note").map(({ callId }) => callId);
  if (new Set(notes).size < notes.length) problems.push(`has noted twice: ${notes.join(", ")}`);
  for (const event of events) {
    if (event.type !== "tool-end" || event.status !== "ok") continue;
    const times = finished.filter(({ callId }) => callId === event.callId);
    if (times.length === 0) problems.push(`tells of ${event.callId}, which never finished`);
    if (times.some(({ begunAt }) => begunAt > event.at))
      problems.push(`has run ${event.callId} again after its end`);
  }
  const unknown = unknownIn(record);
  for (const message of record.outcome?.history ?? []) {
    if (message.role !== "tool" || unknown.includes(message.tool_call_id)) continue;
    const turn = message.tool_call_id.split("_")[1];
    const expected = ["note", "look"].map((name) => resultOf(name, `${record.runId}/${turn}`));
    const isRight = expected.includes(String(message.content));
    if (!isRight)
      problems.push(`has the result ${JSON.stringify(message.content)} of ${message.tool_call_id}`);
  }
  return problems;
}

/** Calls that were cut off: by the death of a worker, or by the stop. */
function unknownIn({ outcome }: RunRecord): string[] {
  return (outcome?.patches ?? []).flatMap((patch) => (patch.kind === "call-cancelled" ? [patch.callId] : []));
}

function ofWatcher(events: readonly StoredEvent[], watched: readonly (StoredEvent | GapEvent)[]): string[] {
  const texts = (list: readonly object[]) => list.map((event) => JSON.stringify(event)).join("\n");
  return texts(events) === texts(watched) ? [] : [`was watched as ${watched.length} other events`];
}

async function allEvents(store: RunStore, runId: string): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for (let page = await store.events(runId, 0); page.length > 0; ) {
    events.push(...page);
    page = await store.events(runId, page.at(-1)?.seq ?? 0);
  }
  return events;
}
