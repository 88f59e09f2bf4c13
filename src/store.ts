/** The contract of a run store: the truth about background runs. Every write of a worker is fenced by its attempt. */
import type { Patch, RunStatus, StopCause, StoredEvent, Usage } from "./events.ts";
import type { Json, JsonObject } from "./json.ts";
import type { ChatMessage } from "./transcript.ts";

/** What a run was asked to do, as JSON. */
export interface RunInput {
  readonly args: readonly Json[];
  /** The call options that can be stored: `timeout`, `history`, `context`, `maxTurns`, `metadata`. */
  readonly options: JsonObject;
  /** The user's message, where the function is a chat: kept also if the run is stopped before it begins. */
  readonly message?: ChatMessage;
}

/** A run to be stored. */
export interface NewRun {
  readonly runId: string;
  /** `Class.method`, or the definition's `name`: how a worker finds the function. */
  readonly functionName: string;
  readonly input: RunInput;
  /** What belongs together: a conversation, a customer. For `runs.list` and for limits. */
  readonly key?: string;
  /** Higher goes first; default 0. */
  readonly priority: number;
  /** How long to wait before it may begin, in ms. */
  readonly delayMs?: number;
  readonly parentRunId?: string;
  readonly parentCallId?: string;
}

/** How a stored run ended: a `RunOutcome` as JSON. */
export interface StoredOutcome {
  readonly status: "completed" | "cancelled" | "error";
  /** What `await` would have given: also where a chat was cancelled. Left out where it would have thrown. */
  readonly value?: Json | undefined;
  readonly reason?: Json;
  readonly cause?: StopCause;
  readonly error?: StoredError;
  readonly text: string;
  readonly history: ChatMessage[];
  readonly patches: readonly Patch[];
  readonly usage: Usage;
  readonly turns: number;
}

/** An error as JSON, with its causes. */
export interface StoredError {
  readonly name: string;
  readonly message: string;
  readonly code?: string | number;
  readonly cause?: Json;
}

/** A stored run. Times are ms since 1970, by the store's clock. */
export interface RunRecord extends NewRun {
  /** How long it has to wait from `createdAt` on, in ms. Only where it has to, and has never been taken up. */
  readonly delayMs?: number;
  readonly status: RunStatus;
  /** How often the run was taken up; each write of a worker carries it. */
  readonly attempt: number;
  /** The worker that has it, or had it last. */
  readonly owner?: string;
  /** The stop that was asked for, whether it has come through or not. */
  readonly stopRequest?: StoredStop;
  readonly outcome?: StoredOutcome;
  /** The number of the newest event; 0 where there is none. */
  readonly lastSeq: number;
  /** The number of the oldest event that is still kept; `lastSeq + 1` where none is. */
  readonly firstSeq: number;
  readonly createdAt: number;
  readonly startedAt?: number;
  readonly endedAt?: number;
}

/** A stop request beside a run. */
export interface StoredStop {
  readonly reason?: Json;
  /** Who asked, where the caller said so. */
  readonly by?: string;
  readonly at: number;
}

/** The right to write for a run: void as soon as somebody else has taken it up. */
export interface Claim {
  readonly runId: string;
  readonly attempt: number;
}

/** Thrown by a write whose claim is void: another attempt has the run, or it has ended. Nothing more is written. */
export class LostClaimError extends Error {
  override readonly name = "LostClaimError";
  readonly code = "lost_claim";

  constructor({ runId, attempt }: Claim) {
    super(
      `Attempt ${attempt} of the run ${runId} has lost it: another worker has taken it up, or it has ended.`,
    );
  }
}

/** The store was closed in this process: no later try can succeed. Stores throw this, or an error with this `code`. */
export class StoreClosedError extends Error {
  override readonly name = "StoreClosedError";
  readonly code = "closed";
}

export type { StoredEvent };

/** An event to be stored: the store gives it its `seq`. */
export type NewEvent = WithoutSeq<StoredEvent>;
type WithoutSeq<E> = E extends unknown ? Omit<E, "seq"> : never;

/** Which runs to list, newest first. */
export interface RunFilter {
  readonly status?: RunStatus | readonly RunStatus[];
  readonly functionName?: string;
  readonly key?: string;
  readonly parentRunId?: string;
  /** Only runs created before this one: the next page. */
  readonly before?: string;
  /** Default 100. */
  readonly limit?: number;
}

/** How many runs may be at work at once over all workers of a store. */
export interface RunLimits {
  /** By function name. */
  readonly perFunction?: Readonly<Record<string, number>>;
  /** For each `key`. */
  readonly perKey?: number;
}

/** What a worker writes in one transaction. */
export interface Progress {
  readonly events?: readonly NewEvent[];
  /** Entries for the run's journal, from which a later attempt takes it up. Opaque JSON to the store. */
  readonly journal?: readonly Json[];
}

/**
 * Rung when something may have changed: with the run's id, or with none where any may have. `stop`: a stop was asked for;
 * `change`: something else; left out where the store cannot tell.
 */
export type Bell = (runId?: string, what?: "stop" | "change") => void;

/** What `prune` removes. */
export interface PruneOptions {
  /** Runs that ended longer ago than this, in ms. */
  readonly olderThanMs: number;
  /** `runs` (default) removes all of them; `events` keeps the records and their outcomes, without events and journal. */
  readonly what?: "runs" | "events";
}

/**
 * Keeps run records, their event logs, journals and stop requests. States move by compare-and-set; a terminal
 * state is never overwritten. Methods open the store by themselves when they are first called.
 */
export interface RunStore {
  /**
   * Stores a run as `pending`; where the id is known already, gives what is there and changes nothing. A child of a run
   * that is asked to stop is born with that request. `also` runs within the same transaction on stores that have one to
   * share (PostgreSQL: its client), and may be called again where that was undone; on others when the run is stored.
   */
  create(
    run: NewRun,
    also?: (transaction: unknown) => Promise<void>,
  ): Promise<{ created: boolean; record: RunRecord }>;
  get(runId: string): Promise<RunRecord | undefined>;
  list(filter?: RunFilter): Promise<RunRecord[]>;

  /**
   * Keeps the request for this run and for all its descendants (by `parentRunId`) that have not ended; also for an
   * id that nobody has created yet, for 24 h. The first request stays. `true` where the run is there and has not ended;
   * of a run that has ended nothing is kept, nor of its descendants.
   */
  requestStop(runId: string, request?: { reason?: Json; by?: string }): Promise<boolean>;
  /** Of these runs, those that are asked to stop. */
  stopRequests(runIds: readonly string[]): Promise<ReadonlyMap<string, StoredStop>>;

  /**
   * Takes a run up: `pending`, or `running` with an owner that is lost, becomes `running` with the next attempt. That an
   * owner is lost is the caller's word, whose queue has brought the run.
   * `taken`: the run ended or is not there (or, with `from: "pending"`, runs already). `busy`: a limit is reached.
   */
  claim(runId: string, owner: string, options?: ClaimOptions): Promise<ClaimResult>;
  /** Gives the run back: it is `pending` again, for anybody. `false` where the claim is void. */
  release(claim: Claim): Promise<boolean>;
  /**
   * Appends events and journal entries in one transaction; gives the newest `seq`.
   *
   * @throws LostClaimError where the claim is void
   */
  save(claim: Claim, progress: Progress): Promise<number>;
  /** The end, with the last events, in one transaction. `false` where the claim is void: nothing was written. */
  finish(claim: Claim, outcome: StoredOutcome, events: readonly NewEvent[]): Promise<boolean>;
  /**
   * An ended run (`cancelled` or `error`) becomes `pending` again: its terminal event becomes `event` (same `seq`), its
   * outcome and stop request go. `false` where the run is not in such a state.
   */
  reopen(runId: string, event: NewEvent): Promise<boolean>;

  /** Events with a `seq` above `after`, in order; at most `limit` (default 1,000). */
  events(runId: string, after: number, limit?: number): Promise<StoredEvent[]>;
  /** The run's journal, in the order in which it was written. */
  journal(runId: string): Promise<Json[]>;

  /**
   * Rings from now on. A hint and never the truth: a bell can be lost, so who listens looks again after a while by itself.
   * Returns how to end it; a watch holds no process open.
   */
  watch(bell: Bell): Promise<() => void>;
  /** Removes old ended runs with all that belongs to them, and stop requests without a run after 24 h; gives the number of runs. */
  prune(options: PruneOptions): Promise<number>;
  close(): Promise<void>;
}

/** A store that can also say what to run next: it needs no queue beside it. */
export interface SelfQueueingStore extends RunStore {
  /**
   * Takes up the next run of these functions, highest priority first, then oldest: one that is pending and may begin,
   * or one whose owner has died.
   */
  claimNext(
    owner: string,
    options: { functions: readonly string[]; limits?: RunLimits },
  ): Promise<{ claim: Claim; record: RunRecord } | undefined>;
}

export interface ClaimOptions {
  /** `pending` takes up a waiting run only, or one whose worker the store itself knows to be dead; never one at work. */
  readonly from?: "pending";
  readonly limits?: RunLimits;
  /** What the worker can run: waiting runs of other functions have no place before this one. Default: all. */
  readonly functions?: readonly string[];
}

export type ClaimResult =
  | { readonly kind: "claimed"; readonly claim: Claim; readonly record: RunRecord }
  | { readonly kind: "taken" }
  | { readonly kind: "busy" };
