/** What one process holds: its defaults, its cancellation manager, its live runs, and the run at work. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Stop, StopSource } from "./abort.ts";
import { type CancellationManager, checkManager, MemoryCancellationManager } from "./cancellation.ts";
import { UsageError } from "./errors.ts";
import { kindOf, shown, textOf } from "./json.ts";
import { isModel, type Model } from "./model.ts";
import type { RunQueue } from "./queue.ts";
import type { RunStore } from "./store.ts";
import { checkWorkerSettings, type WorkerSettings } from "./worker-settings.ts";

/** The process's defaults; `configure` changes only those that are given. */
export interface Configuration {
  /** For definitions that name no model. */
  model?: Model;
  /** Cancels runs by id; default: in memory. The same as `setCancellationManager`. */
  cancellation?: CancellationManager;
  /**
   * The note behind a text that was cut off, so that the model knows. Default: `[stopped: <reason>]`.
   * `false` leaves it out; the patch and the outcome say it anyway.
   */
  stopNote?: false | ((reason: string) => string);
  /** How long tools may take to obey a stop, in ms. Default 250. */
  abortGraceMs?: number;
  /** Keeps the runs of `.background`. Default: SQLite in `.llmethod/runs.db`, opened when it is first needed. */
  store?: RunStore;
  /** Carries stored runs to workers on many machines, where the store does not do so by itself. */
  queue?: RunQueue;
  /**
   * The worker that a process has by itself where it submits runs and calls no `startWorker`; it takes these settings when
   * it begins, with the first run that is submitted. `false`: the process submits only, and workers elsewhere run them.
   */
  worker?: WorkerSettings | false;
  /** Hears of faults that end no run, such as a cancellation manager that is down. Default: a process warning. */
  onFault?: (error: Error) => void;
}

/** The run that the code now running belongs to, and the stop that reaches it. */
export interface CurrentRun {
  readonly runId: string;
  readonly callId: string | undefined;
  /** Stops the tool call, or the run where no tool is at work. */
  readonly stop: StopSource;
  /** Stops the run: reaches runs that a tool began and left behind, too. */
  readonly runStop: StopSource;
  /** How long this run waits for what it told to stop, in ms. */
  graceMs(): number;
  /** The run has not settled before `work` has: that of a nested run, say. */
  adopt(work: Promise<unknown>): void;
  /** The run in which this one began. */
  readonly parent: CurrentRun | undefined;
}

/** A run that has not ended, as the process knows it. */
export interface LiveRun {
  stop(cause: Stop["cause"], reason: unknown): void;
  readonly settled: Promise<void>;
  /** An attempt of a stored run: a newer one may take its place, as this one has lost the run then. */
  readonly isStored: boolean;
  /** Whether one of its tools waits for a stored run. */
  isWaiting(): boolean;
  /** Says that one waits from now on; returns how to say that it does no more. */
  waits(): () => void;
}

const endedMax = 1000;

class Runtime {
  readonly #current = new AsyncLocalStorage<CurrentRun | undefined>();
  readonly #runs = new Map<string, LiveRun>();
  /** The newest ids that have ended, so that a late stop is not kept for a run which is over. */
  readonly #ended = new Set<string>();
  readonly #reported = new Set<string>();
  #settings: Readonly<Configuration> = {};
  manager: CancellationManager = new MemoryCancellationManager();
  /** The SQLite store of a process that has configured none. */
  defaultStore: Promise<RunStore> | undefined;
  /** Entries with the manager on their way out: a newer run with the same id must not lose its own to them. */
  readonly leaving = new Map<string, Promise<void>>();

  get settings(): Readonly<Configuration> {
    return this.#settings;
  }

  configure(changes: Configuration): void {
    checkConfiguration(changes);
    const { cancellation, ...rest } = changes;
    if (cancellation !== undefined) this.manager = cancellation;
    this.#settings = Object.freeze({ ...this.#settings, ...rest });
  }

  get current(): CurrentRun | undefined {
    return this.#current.getStore();
  }

  within<T>(run: CurrentRun, work: () => T): T {
    return this.#current.run(run, work);
  }

  /** Work that belongs to no run, wherever it was begun: a worker's. */
  outside<T>(work: () => T): T {
    return this.#current.run(undefined, work);
  }

  begin(runId: string, run: LiveRun): void {
    const known = this.#runs.get(runId);
    if (known !== undefined && !(known.isStored && run.isStored)) {
      throw new UsageError(
        "duplicate_run",
        `A run with the id "${runId}" is at work already. Give each run its own runId, or leave it out.`,
      );
    }
    this.#ended.delete(runId);
    this.#runs.set(runId, run);
  }

  end(runId: string, run: LiveRun): void {
    if (this.#runs.get(runId) !== run) return;
    this.#runs.delete(runId);
    this.#ended.add(runId);
    for (const oldest of this.#ended) {
      if (this.#ended.size <= endedMax) break;
      this.#ended.delete(oldest);
    }
  }

  /** A run that never began: its definition was wrong. */
  forget(runId: string, run: LiveRun): void {
    if (this.#runs.get(runId) === run) this.#runs.delete(runId);
  }

  find(runId: string): LiveRun | undefined {
    return this.#runs.get(runId);
  }

  hasEnded(runId: string): boolean {
    return this.#ended.has(runId);
  }

  /** Tells of a fault that ends no run: each text once, as a manager that is down fails at every turn. */
  report(what: string, cause: unknown): void {
    const error = new Error(`${what}: ${textOf(cause)}`, { cause });
    if (this.#reported.has(error.message)) return;
    if (this.#reported.size >= endedMax) this.#reported.clear();
    this.#reported.add(error.message);
    try {
      (this.#settings.onFault ?? process.emitWarning)(error);
    } catch (failure) {
      process.emitWarning(new Error("onFault threw an error", { cause: failure }));
    }
  }

  /** The note for the history behind a text that was cut off; empty where notes are switched off. */
  stopNote(reason: string): string {
    const { stopNote } = this.#settings;
    if (stopNote === false) return "";
    try {
      if (stopNote !== undefined) return String(stopNote(reason)).toWellFormed();
    } catch (error) {
      this.report("stopNote threw an error; the default note is used", error);
    }
    return `[stopped: ${reason}]`;
  }
}

export const runtime = new Runtime();

/**
 * Sets the process's defaults.
 *
 * @throws UsageError `invalid_option` for a value of the wrong kind
 * @example
 * configure({ model: openai("gpt-5-mini") });
 */
export function configure(changes: Configuration): void {
  runtime.configure(changes);
}

/** Replaces the manager that carries stop requests. Runs at work stay with the one that they began with. */
export function setCancellationManager(manager: CancellationManager): void {
  checkManager(manager);
  runtime.configure({ cancellation: manager });
}

const configurationKeys = [
  ...["model", "cancellation", "stopNote", "abortGraceMs", "onFault"],
  ...["store", "queue", "worker"],
];

function checkConfiguration(changes: Configuration): void {
  const fail = (what: string): never => {
    throw new UsageError("invalid_option", `configure({ … }): ${what}`);
  };
  if (typeof changes !== "object" || changes === null) fail(`takes an object, not ${kindOf(changes)}.`);
  const unknown = Object.keys(changes).filter((key) => !configurationKeys.includes(key));
  if (unknown.length > 0) {
    fail(`does not know ${unknown.join(", ")}. It knows ${configurationKeys.join(", ")}.`);
  }
  const { model, cancellation, stopNote, abortGraceMs, onFault, store, queue, worker } = changes;
  if (model !== undefined && !isModel(model)) fail(`"model" must be a model, such as openai("gpt-5-mini").`);
  if (cancellation !== undefined) checkManager(cancellation);
  if (stopNote !== undefined && stopNote !== false && typeof stopNote !== "function") {
    fail('"stopNote" must be false or a function from the reason to the note.');
  }
  if (abortGraceMs !== undefined) checkGrace(abortGraceMs);
  if (onFault !== undefined && typeof onFault !== "function") fail('"onFault" must be a function.');
  if (store !== undefined && !has(store, ["create", "claim", "save", "finish", "watch"])) {
    fail('"store" must be a run store, such as new SqliteRunStore() from "llmethod/sqlite".');
  }
  if (queue !== undefined && !has(queue, ["enqueue", "work", "missing", "dequeue"])) {
    fail('"queue" must be a run queue, such as new PgBossQueue() from "llmethod/pg-boss".');
  }
  if (worker !== undefined && worker !== false) checkWorkerSettings(worker, "configure({ worker: { … } })");
}

function has(value: unknown, methods: readonly string[]): boolean {
  if (typeof value !== "object" || value === null) return false;
  return methods.every((name) => typeof (value as Record<string, unknown>)[name] === "function");
}

export function checkGrace(abortGraceMs: unknown): void {
  if (typeof abortGraceMs === "number" && Number.isFinite(abortGraceMs) && abortGraceMs >= 0) return;
  throw new UsageError(
    "invalid_option",
    `"abortGraceMs" must be a number of milliseconds, 0 or more, not ${shown(abortGraceMs)}.`,
  );
}
