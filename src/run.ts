/** The one door by which any generator of events becomes a run: started, watched, stopped, settled. */
import { randomUUID } from "node:crypto";
import { isAbortError, linkSignal, type Stop, Stopped, StopSource } from "./abort.ts";
import type { Engine, RunContext, RunEnd, RunSpec, RunView } from "./engine.ts";
import { asError, TimeoutError, UsageError } from "./errors.ts";
import { EventLog } from "./event-log.ts";
import {
  type DeepPartial,
  type EngineEvent,
  type EventStamp,
  noUsage,
  type RunEvent,
  type RunOutcome,
  type RunStatus,
  type TerminalEvent,
} from "./events.ts";
import { repairHistory } from "./history.ts";
import { copyJson, errorToJson } from "./json.ts";
import { timeoutsOf } from "./options.ts";
import { Registration } from "./registration.ts";
import { type CurrentRun, type LiveRun, runtime } from "./runtime.ts";
import type { ChatMessage } from "./transcript.ts";

/** What `.stream()` gives: the events of a run as they come. Leaving a `for await` over it cancels the run. */
export interface RunStream<T> extends AsyncIterable<RunEvent<T>>, AsyncDisposable {
  readonly runId: string;
  readonly status: RunStatus;
  /** Valid now, as if the run were stopped this instant. The array is the caller's own. */
  readonly history: ChatMessage[];
  /** Never rejects; settles within the grace after a stop. */
  readonly outcome: Promise<RunOutcome<T>>;
  /** Resolves when nothing of the run is still alive, tools that ignored a stop included. */
  readonly settled: Promise<void>;
  /** The text as it streams; throws the error of a run that fails, ends quietly where it is cancelled. */
  textStream(): AsyncIterable<string>;
  /** What is there of the typed answer as it grows; the last value is the whole. */
  objectStream(): AsyncIterable<DeepPartial<T>>;
  /** Stops the run. The first stop wins; a stop after the end does nothing. */
  cancel(reason?: unknown): void;
}

/** What a plain call gives: a promise of the answer that can be watched and stopped as well. */
export interface Run<T> extends Promise<T>, RunStream<T> {}

/** Begins a run that is watched: the form that `.stream()` gives. */
export function streamRun<T>(spec: RunSpec<T>): RunStream<T> {
  return new LiveRunStream(spec);
}

/** Begins a run that is awaited. */
export function callRun<T>(spec: RunSpec<T>): Run<T> {
  return new AwaitedRun(spec);
}

class LiveRunStream<T> implements RunStream<T> {
  readonly runId: string;
  readonly #spec: RunSpec<T>;
  readonly #engine: Engine<T>;
  readonly #log = new EventLog<T>();
  readonly #stop: StopSource;
  readonly #live: LiveRun;
  readonly #adopted: Promise<unknown>[] = [];
  readonly #parent: Pick<EventStamp, "parentRunId" | "parentCallId"> | undefined;
  readonly #unlink: (() => void)[] = [];
  readonly #outcome: Promise<RunOutcome<T>>;
  readonly #settled: Promise<void>;
  #resolveOutcome: (outcome: RunOutcome<T>) => void = () => {};
  #end: RunOutcome<T> | undefined;
  #seq = 0;
  /** Whether anybody looks at how the run ends. */
  protected isObserved = false;

  constructor(spec: RunSpec<T>) {
    // A stored run may have begun within another: its parent is on record, and need not be in this process.
    const parent = spec.link === undefined ? runtime.current : undefined;
    this.#spec = spec;
    this.#stop = spec.link?.stop ?? new StopSource();
    this.runId = spec.options.runId ?? randomUUID();
    this.#parent = spec.link === undefined ? stampOf(parent) : spec.link.parent;
    this.#outcome = new Promise((resolve) => {
      this.#resolveOutcome = resolve;
    });
    let settle: () => void = () => {};
    this.#settled = new Promise((resolve) => {
      settle = resolve;
    });
    let waiting = 0;
    this.#live = {
      stop: (cause, reason) => this.#stop.stop(cause, reason),
      settled: this.#settled,
      isStored: spec.link !== undefined,
      isWaiting: () => waiting > 0,
      waits: () => {
        waiting++;
        return () => void waiting--;
      },
    };
    runtime.begin(this.runId, this.#live);
    try {
      this.#engine = engineOf(spec, this.#context(parent));
    } catch (error) {
      runtime.forget(this.runId, this.#live);
      throw error;
    }
    this.#link(parent);
    // The driver begins a microtask later: whoever reads the stream is there before the first event.
    queueMicrotask(() => this.#drive().then(settle));
  }

  get status(): RunStatus {
    if (this.#end !== undefined) return this.#end.status;
    return this.#seq === 0 ? "pending" : "running";
  }

  get history(): ChatMessage[] {
    const stop = this.#stop.stopped;
    if (this.#end !== undefined) return copyJson(this.#end.history);
    return this.#engine.view(stop && cancelledBy(stop)).history;
  }

  get outcome(): Promise<RunOutcome<T>> {
    this.#askForEnd();
    return this.#outcome;
  }

  get settled(): Promise<void> {
    this.#askForEnd();
    return this.#settled;
  }

  // Fields, so that `const { cancel, textStream } = run` works as it does with a decorated method.
  readonly cancel = (reason?: unknown): void => {
    this.#stop.stop("cancel", reason);
  };
  readonly textStream = (): AsyncIterable<string> => this.#texts();
  readonly objectStream = (): AsyncIterable<DeepPartial<T>> => this.#objects();

  [Symbol.asyncIterator](): AsyncIterableIterator<RunEvent<T>> {
    this.isObserved = true;
    return this.#log.read(() => {
      this.#stop.stop("consumer", "the reader left");
      return this.#outcome;
    });
  }

  async *#texts(): AsyncGenerator<string, void, undefined> {
    for await (const event of this) {
      if (event.type === "text-delta") yield event.delta;
      else if (event.type === "run-error") throw event.error;
    }
  }

  async *#objects(): AsyncGenerator<DeepPartial<T>, void, undefined> {
    for await (const event of this) {
      if (event.type === "object-delta") yield event.value;
      else if (event.type === "run-completed") yield event.value as DeepPartial<T>;
      else if (event.type === "run-error") throw event.error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cancel("the block that used the run was left");
    await this.outcome;
  }

  /** Somebody waits for the end while the run waits for its reader: the reader has to catch up later. */
  #askForEnd(): void {
    this.isObserved = true;
    if (this.#log.isHeld) this.#log.release();
  }

  #context(parent: CurrentRun | undefined): RunContext {
    const { runId } = this;
    const { options, abortGraceMs, link } = this.#spec;
    const log = this.#log;
    const stop = this.#stop;
    const adopt = (work: Promise<unknown>) => void this.#adopted.push(work.catch(() => {}));
    const graceMs = () => Math.min(abortGraceMs, stop.stopped?.graceMs ?? abortGraceMs);
    return {
      runId,
      stop,
      options,
      timeouts: timeoutsOf(options.timeout),
      graceMs,
      journal: link?.journal,
      get isWatched() {
        return log.hasReaders;
      },
      adopt,
      within: (inner, callId, work) =>
        runtime.within({ runId, callId, stop: inner, runStop: stop, graceMs, adopt, parent }, work),
    };
  }

  #link(parent: CurrentRun | undefined): void {
    const { abortSignal, timeout } = this.#spec.options;
    const { total } = timeoutsOf(timeout);
    const stop = this.#stop;
    this.#unlink.push(stop.onStop(() => this.#log.release()));
    if (abortSignal !== undefined) this.#unlink.push(linkSignal(abortSignal, stop));
    if (parent !== undefined) {
      // The parent waits no longer than its own grace: a nested run has to be done before that.
      const forward = ({ reason }: Stop) => stop.stop("parent", reason, parent.graceMs() * 0.8);
      for (const source of new Set([parent.stop, parent.runStop])) this.#unlink.push(source.onStop(forward));
      parent.adopt(this.#settled);
    }
    if (total !== undefined) {
      const timer = setTimeout(() => stop.stop("timeout", new TimeoutError("total", total)), total);
      this.#unlink.push(() => clearTimeout(timer));
    }
  }

  async #drive(): Promise<void> {
    const registration = new Registration(this.runId, this.#stop);
    this.#tell({ type: "run-start" });
    let end: RunEnd<T>;
    try {
      await registration.ready();
      end = { status: "completed", value: await this.#drain() };
    } catch (error) {
      end = this.#failure(error);
    }
    for (const unlink of this.#unlink) unlink();
    const cleaned = registration.end();
    this.#finish(end);
    await cleaned;
    await Promise.allSettled(this.#adopted);
  }

  /** The one loop that every mode goes through; it waits for readers, where there are any. */
  async #drain(): Promise<T> {
    const { events } = this.#engine;
    let turnedAt = performance.now();
    for (let count = 1; ; count++) {
      if (this.#log.isHeld) await this.#log.demand();
      const step = await events.next();
      if (step.done === true) return step.value;
      // A model that never waits for anything would let no timer fire, nor any stop come through.
      if (count % 1024 === 0 && performance.now() - turnedAt > 10) {
        await new Promise((resolve) => setImmediate(resolve));
        turnedAt = performance.now();
      }
      this.#tell(step.value);
    }
  }

  #failure(error: unknown): RunEnd<T> {
    if (error instanceof Stopped) return cancelledBy(error.stop);
    const stop = this.#stop.stopped;
    if (stop !== undefined && isAbortError(error, stop)) return cancelledBy(stop);
    return { status: "error", error: asError(error) };
  }

  #finish(wanted: RunEnd<T>): void {
    const { end, view } = this.#lastView(wanted);
    // Reader and caller each own their history: neither sees what the other does to it.
    const { turns: _, ...kept } = { ...view, history: copyJson(view.history) };
    this.#end = withJson({ runId: this.runId, ...view, ...end });
    runtime.end(this.runId, this.#live);
    this.#tell(terminalEvent(end, kept));
    this.#log.close();
    this.#resolveOutcome(this.#end);
    this.onEnd(this.#end);
  }

  /** An engine that cannot even tell what remains ends the run all the same, as an error. */
  #lastView(end: RunEnd<T>): { end: RunEnd<T>; view: RunView } {
    try {
      return { end, view: this.#engine.view(end) };
    } catch (error) {
      const kept = repairHistory(this.#spec.options.history ?? []);
      return {
        end: { status: "error", error: asError(error) },
        view: { ...kept, text: "", usage: noUsage, turns: 0 },
      };
    }
  }

  #tell(event: { type: "run-start" } | EngineEvent<T> | TerminalEvent<T>): void {
    const seq = ++this.#seq;
    const at = Date.now();
    const { runId } = this;
    // One spread of the event alone is what engines have a fast path for.
    const stamped: RunEvent<T> =
      this.#parent === undefined
        ? { ...event, runId, seq, at }
        : { ...event, ...this.#parent, runId, seq, at };
    if ("history" in event) withJson(stamped);
    this.#spec.link?.onEvent(stamped);
    this.#log.push(stamped);
  }

  protected onEnd(_outcome: RunOutcome<T>): void {}
}

class AwaitedRun<T> extends LiveRunStream<T> implements Run<T> {
  readonly [Symbol.toStringTag] = "Run";
  readonly #answer: RunSpec<T>["answer"];
  #promise: Promise<T> | undefined;

  constructor(spec: RunSpec<T>) {
    super(spec);
    this.#answer = spec.answer;
  }

  // biome-ignore lint/suspicious/noThenProperty: a run is a promise of its answer, made when first asked for
  then<A = T, B = never>(
    onAnswer?: ((value: T) => A | PromiseLike<A>) | null,
    onError?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#promised().then(onAnswer, onError);
  }

  catch<B = never>(onError?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.#promised().catch(onError);
  }

  finally(onEnd?: (() => void) | null): Promise<T> {
    return this.#promised().finally(onEnd);
  }

  /** A run that fails and that nobody looks at is an unhandled rejection, like any promise. */
  protected override onEnd(outcome: RunOutcome<T>): void {
    if (!this.isObserved && outcome.status === "error") this.#promised();
  }

  #promised(): Promise<T> {
    this.#promise ??= this.outcome.then(this.#answer);
    return this.#promise;
  }
}

function stampOf(
  parent: CurrentRun | undefined,
): Pick<EventStamp, "parentRunId" | "parentCallId"> | undefined {
  if (parent === undefined) return undefined;
  const { runId, callId } = parent;
  return callId === undefined ? { parentRunId: runId } : { parentRunId: runId, parentCallId: callId };
}

/** What the caller did wrong is thrown to it at once; what its callbacks throw ends the run as an error. */
function engineOf<T>(spec: RunSpec<T>, context: RunContext): Engine<T> {
  try {
    return spec.engine(context);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const kept = repairHistory(spec.options.history ?? []);
    return {
      // biome-ignore lint/correctness/useYield: an engine that fails before its first event
      events: (async function* () {
        throw error;
      })(),
      view: () => ({ ...kept, text: "", usage: noUsage, turns: 0 }),
    };
  }
}

function cancelledBy({ reason, cause }: Stop): RunEnd<never> {
  return { status: "cancelled", reason, cause };
}

function terminalEvent<T>(end: RunEnd<T>, kept: Omit<RunView, "turns">): TerminalEvent<T> {
  switch (end.status) {
    case "completed":
      return { type: "run-completed", value: end.value, ...kept };
    case "cancelled":
      return { type: "run-cancelled", reason: end.reason, cause: end.cause, ...kept };
    case "error":
      return { type: "run-error", error: end.error, ...kept };
    default:
      return end satisfies never;
  }
}

/** Reasons and errors are kept by identity; for JSON they get a readable form, which `Error` has not by itself. */
function withJson<V extends object>(value: V): V {
  const toJSON = () => {
    const json = { ...value } as Record<string, unknown>;
    for (const key of ["reason", "error"]) if (key in json) json[key] = errorToJson(json[key]);
    return json;
  };
  return Object.defineProperty(value, "toJSON", { value: toJSON });
}
