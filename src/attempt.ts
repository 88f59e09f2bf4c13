/** One attempt of a stored run: where an earlier one stood, the run itself, and what is written at its end. */
import { StopSource } from "./abort.ts";
import type { RunLink, RunSpec } from "./engine.ts";
import { asError, GaveUpError } from "./errors.ts";
import { EventWriter, persistently } from "./event-writer.ts";
import type { RunEvent, RunOutcome } from "./events.ts";
import { type JournalEntry, type LoopState, nothingEarlier, readEarlier } from "./journal.ts";
import type { Json, JsonObject } from "./json.ts";
import type { CallOptions } from "./options.ts";
import type { Delivery } from "./queue.ts";
import { streamRun } from "./run.ts";
import { runtime } from "./runtime.ts";
import {
  type Claim,
  LostClaimError,
  type NewEvent,
  type RunLimits,
  type RunRecord,
  type RunStore,
  type StoredOutcome,
} from "./store.ts";
import { newEvent, storedOutcome } from "./stored-outcome.ts";
import { stopChildren } from "./stored-stop.ts";
import { endedWithoutRun, parentOf } from "./unplayed-end.ts";

/** A function that stored runs can name. */
export interface StoredFunction {
  readonly functionName: string;
  /** Whose method it is; nothing for a plain function. */
  readonly self?: unknown;
  /** The run of one call. */
  spec(args: readonly Json[], options: CallOptions): RunSpec<unknown>;
}

export interface ExecutorOptions {
  readonly store: RunStore;
  /** Who claims the runs: unique to this worker. */
  readonly owner: string;
  functionOf(record: RunRecord): StoredFunction | undefined;
  readonly limits: RunLimits;
  /** After so many attempts in a row that came to nothing a run is ended as an error. */
  readonly maxAttempts: number;
  /** Hears of every run that was ended here. */
  onRunEnd?(runId: string): void;
  /** Hears of every run that has its answer, and cannot be resumed. */
  onCompleted?(runId: string): void;
  /** The functions of this worker: of others no run is waited for. */
  functionNames?(): readonly string[];
}

/** How long a run waits that came to a worker without its function, in ms. */
const misdeliveredMs = 1000;

export class Attempt {
  readonly #options: ExecutorOptions;
  readonly #claim: Claim;
  readonly #record: RunRecord;
  #terminal: NewEvent | undefined;
  readonly #stop = new StopSource();
  #isDraining = false;
  /** The run is stopped here and goes on elsewhere: what this stop does to it is nobody's business. */
  #isHandedBack = false;

  constructor(options: ExecutorOptions, claim: Claim, record: RunRecord) {
    this.#options = options;
    this.#claim = claim;
    this.#record = record;
    if (record.stopRequest !== undefined) this.stop(record.stopRequest.reason);
  }

  /** Ends the run for good: somebody asked for it. */
  stop(reason: unknown): void {
    this.#stop.stop("cancel", reason);
  }

  /** The run is given back at the end of the turn that is at work. */
  drain(): void {
    this.#isDraining = true;
  }

  /** The run is stopped at once, and given back. */
  handBack(): void {
    this.#isHandedBack = true;
    this.#stop.stop("shutdown", "the worker shuts down");
  }

  /** Somebody else has the run now: it stops here and writes nothing more. */
  lose(reason: unknown): void {
    this.#isHandedBack = true;
    this.#stop.stop("shutdown", reason);
  }

  async run(): Promise<Delivery> {
    const { store, maxAttempts } = this.#options;
    const { attempt } = this.#claim;
    const record = this.#record;
    const { state, lastGood } =
      attempt === 1 ? nothingEarlier : await persistently(() => readEarlier(store, record.runId));
    const fn = this.#options.functionOf(record);
    if (fn === undefined) return this.#giveBack([], misdeliveredMs);
    const isAskedFor = attempt > 1 && (await this.#isToldResumed());
    const failures = attempt - 1 - lastGood;
    if (failures >= maxAttempts && !isAskedFor) {
      return this.#fail(new GaveUpError(record.runId, failures), state);
    }
    const writer = new EventWriter(store, this.#claim, { state, lastSeq: record.lastSeq }, (error) =>
      this.lose(error),
    );
    if (isAskedFor) void writer.write({ kind: "mark", attempt: attempt - 1 });
    else if (record.lastSeq > 0) writer.push(resumedEvent(record, attempt));
    let spec: RunSpec<unknown>;
    let outcome: RunOutcome<unknown>;
    try {
      spec = fn.spec(argumentsOf(record), optionsOf(record));
      const run = runtime.outside(() => streamRun({ ...spec, link: this.#link(writer) }));
      outcome = await run.outcome;
    } catch (error) {
      await writer.close();
      return this.#fail(asError(error), state);
    }
    const rest = await writer.close();
    if (writer.lost !== undefined) return this.#lost(writer.lost);
    if (outcome.status === "cancelled" && outcome.cause === "shutdown") return this.#giveBack(rest, 0);
    return this.#finish(storedOutcome(outcome, answerOf(spec, outcome)), rest);
  }

  /** Where somebody asked for this attempt, the log says so already. */
  async #isToldResumed(): Promise<boolean> {
    const { runId, lastSeq, attempt } = this.#record;
    const { store } = this.#options;
    const [last] = await persistently(() => store.events(runId, Math.max(0, lastSeq - 1), 1));
    return last?.type === "run-resumed" && last.attempt === attempt;
  }

  #link(writer: EventWriter): RunLink {
    return {
      stop: this.#stop,
      parent: parentOf(this.#record),
      journal: { state: writer.state, write: (entry) => this.#write(writer, entry) },
      onEvent: (event) => this.#hear(writer, event),
    };
  }

  async #write(writer: EventWriter, entry: JournalEntry): Promise<void> {
    // A tool that ignored the hand-over may still end well: the next attempt settles it.
    const isOpen = entry.kind === "settled" && entry.outcome.status === "unknown";
    if (this.#isHandedBack && isOpen) return;
    await writer.write(entry.kind === "turn" ? { ...entry, attempt: this.#claim.attempt } : entry);
    if (this.#isDraining && entry.kind === "turn") this.handBack();
  }

  #hear(writer: EventWriter, event: RunEvent): void {
    if ("history" in event) {
      this.#terminal = newEvent(event);
      return;
    }
    if (event.type === "run-start" && this.#record.lastSeq > 0) return;
    if (this.#isHandedBack && tellsOfStop(event)) return;
    const { seq: _, ...rest } = event;
    writer.push(rest as NewEvent);
  }

  async #finish(outcome: StoredOutcome, events: readonly NewEvent[]): Promise<Delivery> {
    const { store, onRunEnd, onCompleted } = this.#options;
    const { runId } = this.#claim;
    const last = this.#terminal === undefined ? events : [...events, this.#terminal];
    const finished = await persistently(() => store.finish(this.#claim, outcome, last));
    // What this run has begun in the background ends with it, also where a timeout has stopped it.
    if (outcome.status === "cancelled") await this.#stopChildren(outcome.reason);
    if (outcome.status === "completed") onCompleted?.(runId);
    if (finished) onRunEnd?.(runId);
    return { kind: "done" };
  }

  async #stopChildren(reason: Json | undefined): Promise<void> {
    try {
      await stopChildren(this.#options.store, this.#claim.runId, reason);
    } catch (error) {
      runtime.report("The runs that a stopped run had begun could not be asked to stop", error);
    }
  }

  async #fail(error: Error, state: LoopState | undefined): Promise<Delivery> {
    const { outcome, events } = endedWithoutRun(this.#record, state, { status: "error", error });
    return this.#finish(outcome, events);
  }

  async #giveBack(rest: readonly NewEvent[], delayMs: number): Promise<Delivery> {
    const { store } = this.#options;
    try {
      const mark = { kind: "mark", attempt: this.#claim.attempt } satisfies JournalEntry;
      await store.save(this.#claim, { events: rest, journal: [mark] });
      await store.release(this.#claim);
    } catch (error) {
      return this.#lost(error);
    }
    return { kind: "later", delayMs };
  }

  /** Another attempt has the run, or the store is out of reach: then the engine brings the run again. */
  #lost(error: unknown): Delivery {
    if (error instanceof LostClaimError) return { kind: "done" };
    runtime.report("A run was given up here, as its store could not be reached", error);
    throw error;
  }
}

/** What a hand-over does to the turn at work is no part of the run: the next attempt goes on with that turn. */
function tellsOfStop(event: RunEvent): boolean {
  if (event.type === "turn-end") return event.finishReason === "cancelled";
  return event.type === "tool-end" && (event.status === "cancelled" || event.status === "unknown");
}

function resumedEvent(record: RunRecord, attempt: number): NewEvent {
  return { type: "run-resumed", attempt, runId: record.runId, at: Date.now(), ...parentOf(record) };
}

/** The arguments as they were given: the options stand last, where there were some. */
function argumentsOf(record: RunRecord): readonly Json[] {
  const { args, options } = record.input;
  return Object.keys(options).length === 0 ? args : [...args, options];
}

/** The call options of a stored run: JSON, as they were when it was submitted. */
export function optionsOf({ runId, input }: RunRecord): CallOptions {
  const options: JsonObject = input.options;
  return { ...(options as CallOptions), runId };
}

/** What `await` would have given, where it would have given something. */
function answerOf(spec: RunSpec<unknown>, outcome: RunOutcome<unknown>): unknown {
  try {
    return spec.answer(outcome);
  } catch {
    return undefined; // it would have thrown, which the outcome says in its own words
  }
}
