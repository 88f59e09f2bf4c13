/** What a run asks of its engine and gives it: the seam through which functions, chats and others become runs. */
import type { StopSource } from "./abort.ts";
import type { EngineEvent, EventStamp, Patch, RunEvent, RunOutcome, StopCause, Usage } from "./events.ts";
import type { Journal } from "./journal.ts";
import type { CallOptions, Timeouts } from "./options.ts";
import type { ChatMessage } from "./transcript.ts";

/** What an engine is given by its run. */
export interface RunContext {
  readonly runId: string;
  readonly stop: StopSource;
  readonly options: CallOptions;
  readonly timeouts: Timeouts;
  /** How long tools may take to obey a stop, in ms. */
  graceMs(): number;
  /** Where a stored run writes down what has happened; other runs have none. */
  readonly journal: Journal | undefined;
  /** Whether somebody reads the events just now. */
  readonly isWatched: boolean;
  /** Work that is still alive, though nobody waits for it: the run has not settled before it has. */
  adopt(work: Promise<unknown>): void;
  /** Runs foreign code so that the runs which it begins are linked to this one and stop with `stop`. */
  within<R>(stop: StopSource, callId: string | undefined, work: () => R): R;
}

/** What remains of a run at one instant. */
export interface RunView {
  readonly history: ChatMessage[];
  readonly patches: readonly Patch[];
  readonly text: string;
  readonly usage: Usage;
  readonly turns: number;
}

/** The work of a run: its events, returning the answer, and what it looks like if it ended now with `end`. */
export interface Engine<T> {
  readonly events: AsyncGenerator<EngineEvent<T>, T>;
  view(end?: RunEnd<T>): RunView;
}

/** What ties one attempt of a stored run to its store. */
export interface RunLink {
  /** The attempt's own, which stops this run and no other attempt of it. */
  readonly stop: StopSource;
  readonly journal: Journal;
  readonly parent: Pick<EventStamp, "parentRunId" | "parentCallId">;
  /** Hears of every event at once, the terminal one included. */
  onEvent(event: RunEvent): void;
}

/** How a run ends, without what remains of it. */
export type RunEnd<T> =
  | { readonly status: "completed"; readonly value: T }
  | { readonly status: "cancelled"; readonly reason: unknown; readonly cause: StopCause }
  | { readonly status: "error"; readonly error: Error };

export interface RunSpec<T> {
  /** Of a stored run: where what happens goes. */
  readonly link?: RunLink;
  readonly options: CallOptions;
  readonly abortGraceMs: number;
  /** The user's message that stands behind the given history, where there is one before the run begins. */
  readonly message?: ChatMessage;
  /** Called at once; a `UsageError` from it is thrown to the caller. */
  engine(context: RunContext): Engine<T>;
  /** What `await` gives for an outcome, or throws. */
  answer(outcome: RunOutcome<T>): T;
}
