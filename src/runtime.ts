/** What one process holds: its defaults, its cancellation manager, its live runs, and the run at work. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Stop, StopSource } from "./abort.ts";
import {
  type CancellationManager,
  checkManager,
  MemoryCancellationManager,
  patience,
} from "./cancellation.ts";
import { UsageError } from "./errors.ts";
import { kindOf, shown, textOf } from "./json.ts";
import { isModel, type Model } from "./model.ts";

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
}

const endedMax = 1000;

class Runtime {
  readonly #current = new AsyncLocalStorage<CurrentRun>();
  readonly #runs = new Map<string, LiveRun>();
  /** The newest ids that have ended, so that a late stop is not kept for a run which is over. */
  readonly #ended = new Set<string>();
  readonly #reported = new Set<string>();
  #settings: Readonly<Configuration> = {};
  manager: CancellationManager = new MemoryCancellationManager();
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

  begin(runId: string, run: LiveRun): void {
    if (this.#runs.has(runId)) {
      throw new UsageError(
        "duplicate_run",
        `A run with the id "${runId}" is at work already. Give each run its own runId, or leave it out.`,
      );
    }
    this.#ended.delete(runId);
    this.#runs.set(runId, run);
  }

  end(runId: string): void {
    this.#runs.delete(runId);
    this.#ended.add(runId);
    for (const oldest of this.#ended) {
      if (this.#ended.size <= endedMax) break;
      this.#ended.delete(oldest);
    }
  }

  /** A run that never began: its definition was wrong. */
  forget(runId: string): void {
    this.#runs.delete(runId);
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

/**
 * Stops a run by its id, from anywhere.
 *
 * @returns `true` where the run was registered and had not ended; `false` where the request was stored for a
 *   run that may still start, which then ends cancelled without a model call, or where the run had ended.
 * @param options `wait`: resolve only when the run, if it is in this process, has settled.
 * @example
 * if (await cancelRun(runId, "the user closed the page", { wait: true })) console.log("stopped");
 */
export async function cancelRun(
  runId: string,
  reason?: unknown,
  options: { wait?: boolean } = {},
): Promise<boolean> {
  if (typeof runId !== "string" || runId === "") {
    throw new UsageError("invalid_option", `cancelRun takes a run's id, not ${shown(runId)}.`);
  }
  const local = runtime.find(runId);
  if (local === undefined && runtime.hasEnded(runId)) return false;
  const found = await requestStop(runId, reason, local);
  // A tool that stops the run which it belongs to, and waits for it, would wait for itself.
  if (options.wait === true && !isInside(runId)) await local?.settled;
  return found;
}

function isInside(runId: string): boolean {
  for (let run = runtime.current; run !== undefined; run = run.parent) if (run.runId === runId) return true;
  return false;
}

/** The runs that are registered and have not ended; the value says whether a stop was requested. */
export function activeRuns(): Promise<ReadonlyMap<string, boolean>> {
  return runtime.manager.activeRuns();
}

/** Through the manager; a run of this process is reached directly, whether the manager answers or not. */
async function requestStop(runId: string, reason: unknown, local: LiveRun | undefined): Promise<boolean> {
  try {
    const asked = runtime.manager.cancel(runId, reason);
    local?.stop("cancel", reason);
    return (await patience(asked)) || local !== undefined;
  } catch (error) {
    if (local === undefined) throw error;
    local.stop("cancel", reason);
    runtime.report("The cancellation manager could not store a stop request", error);
    return true;
  }
}

const configurationKeys = ["model", "cancellation", "stopNote", "abortGraceMs", "onFault"];

function checkConfiguration(changes: Configuration): void {
  const fail = (what: string): never => {
    throw new UsageError("invalid_option", `configure({ … }): ${what}`);
  };
  if (typeof changes !== "object" || changes === null) fail(`takes an object, not ${kindOf(changes)}.`);
  const unknown = Object.keys(changes).filter((key) => !configurationKeys.includes(key));
  if (unknown.length > 0) {
    fail(`does not know ${unknown.join(", ")}. It knows ${configurationKeys.join(", ")}.`);
  }
  const { model, cancellation, stopNote, abortGraceMs, onFault } = changes;
  if (model !== undefined && !isModel(model)) fail(`"model" must be a model, such as openai("gpt-5-mini").`);
  if (cancellation !== undefined) checkManager(cancellation);
  if (stopNote !== undefined && stopNote !== false && typeof stopNote !== "function") {
    fail('"stopNote" must be false or a function from the reason to the note.');
  }
  if (abortGraceMs !== undefined) checkGrace(abortGraceMs);
  if (onFault !== undefined && typeof onFault !== "function") fail('"onFault" must be a function.');
}

export function checkGrace(abortGraceMs: unknown): void {
  if (typeof abortGraceMs === "number" && Number.isFinite(abortGraceMs) && abortGraceMs >= 0) return;
  throw new UsageError(
    "invalid_option",
    `"abortGraceMs" must be a number of milliseconds, 0 or more, not ${shown(abortGraceMs)}.`,
  );
}
