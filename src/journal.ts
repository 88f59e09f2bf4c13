/** What a stored run writes down as it goes, so that a later attempt takes it up where it stood. */
import { addUsage, type FinishReason, noUsage, type Patch, type StoredEvent, type Usage } from "./events.ts";
import type { CallOutcome, ModelAnswer, OpenTurn } from "./partial-turn.ts";
import type { RunStore } from "./store.ts";
import type { Entry, Transcript } from "./transcript.ts";

/** One thing that has happened for good. Plain JSON; written in this order, turn after turn. */
export type JournalEntry =
  /** What stands before the first turn. */
  | {
      readonly kind: "opening";
      readonly system: string;
      readonly transcript: Transcript;
      readonly patches: readonly Patch[];
    }
  /** The model has asked for tools; none of them was begun yet. */
  | ({ readonly kind: "answer" } & ModelAnswer)
  /** These calls are about to begin: whether they took effect is unknown until they are settled. */
  | { readonly kind: "begun"; readonly callIds: readonly string[] }
  | { readonly kind: "settled"; readonly callId: string; readonly outcome: CallOutcome }
  /** A turn is whole, with what follows it (a correction). */
  | {
      readonly kind: "turn";
      readonly turn: number;
      readonly entries: readonly Entry[];
      readonly patches: readonly Patch[];
      readonly text: string;
      readonly usage: Usage;
      readonly finishReason: FinishReason;
      readonly corrections: number;
      /** Which attempt has come so far. */
      readonly attempt?: number;
    }
  /** Attempts up to this one count for nothing: the run was handed over, or somebody asked for this attempt. */
  | { readonly kind: "mark"; readonly attempt: number };

/** Where a run stood when it was last written down. */
export interface LoopState {
  readonly system: string;
  readonly transcript: Transcript;
  readonly patches: readonly Patch[];
  readonly usage: Usage;
  readonly text: string;
  readonly turns: number;
  readonly corrections: number;
  readonly lastTurn: LastTurn | undefined;
  readonly open: OpenTurn | undefined;
  readonly told: Told;
}

export interface LastTurn {
  readonly turn: number;
  readonly usage: Usage;
  readonly finishReason: FinishReason;
}

/** What the event log says already of the newest turn. */
export interface Told {
  /** The turn that was begun and not ended. */
  readonly openTurn: number | undefined;
  readonly started: ReadonlySet<string>;
  readonly ended: ReadonlySet<string>;
}

/** How a run writes: the promise resolves when the entry, and every event before it, is kept for good. */
export interface Journal {
  /** Where an earlier attempt stood. */
  readonly state: LoopState | undefined;
  write(entry: JournalEntry): Promise<void>;
}

/** Where the attempts so far have left a run. */
export interface Earlier {
  /** Nothing where not even the opening was written. */
  readonly state: LoopState | undefined;
  /** The last attempt that got on, or was no failure: those since then have all come to nothing. */
  readonly lastGood: number;
}

export const nothingEarlier: Earlier = { state: undefined, lastGood: 0 };

export async function readEarlier(
  store: Pick<RunStore, "journal" | "events">,
  runId: string,
): Promise<Earlier> {
  const journal = (await store.journal(runId)) as unknown as readonly JournalEntry[];
  const events: StoredEvent[] = [];
  for (let page = await store.events(runId, 0); page.length > 0; ) {
    events.push(...page);
    page = await store.events(runId, page.at(-1)?.seq ?? 0);
  }
  const good = journal.map((entry) => ("attempt" in entry ? (entry.attempt ?? 0) : 0));
  const played = journal.filter(({ kind }) => kind !== "mark");
  return { state: stateOf(played, events), lastGood: Math.max(0, ...good) };
}

function stateOf(journal: readonly JournalEntry[], events: Iterable<StoredEvent>): LoopState | undefined {
  const [opening, ...rest] = journal;
  if (opening?.kind !== "opening") return undefined;
  const { system, transcript, patches } = opening;
  const start: LoopState = {
    ...{ system, transcript, patches, usage: noUsage, text: "", turns: 0, corrections: 0 },
    ...{ lastTurn: undefined, open: undefined, told: toldBy(events) },
  };
  return rest.reduce(after, start);
}

function after(state: LoopState, entry: JournalEntry): LoopState {
  const { open } = state;
  switch (entry.kind) {
    case "opening":
    case "mark":
      return state;
    case "answer":
      return { ...state, turns: entry.turn, open: { ...entry, begun: new Set(), outcomes: new Map() } };
    case "begun":
      return open === undefined
        ? state
        : { ...state, open: { ...open, begun: new Set([...open.begun, ...entry.callIds]) } };
    case "settled":
      return open === undefined
        ? state
        : { ...state, open: { ...open, outcomes: new Map(open.outcomes).set(entry.callId, entry.outcome) } };
    case "turn": {
      const { turn, entries, patches, text, usage, finishReason, corrections } = entry;
      // Written twice, where the answer to the first write was lost.
      if (turn === state.lastTurn?.turn) return state;
      return {
        ...state,
        transcript: [...state.transcript, ...entries],
        patches: [...state.patches, ...patches],
        usage: addUsage(state.usage, usage),
        text: state.text + text,
        turns: turn,
        corrections,
        lastTurn: { turn, usage, finishReason },
        open: undefined,
      };
    }
    default:
      return entry satisfies never;
  }
}

function toldBy(events: Iterable<StoredEvent>): Told {
  let openTurn: number | undefined;
  const started = new Set<string>();
  const ended = new Set<string>();
  for (const event of events) {
    if (event.type === "turn-start") openTurn = event.turn;
    else if (event.type === "turn-end") openTurn = undefined;
    else if (event.type === "tool-start") started.add(event.callId);
    else if (event.type === "tool-end") ended.add(event.callId);
  }
  return { openTurn, started, ended };
}
