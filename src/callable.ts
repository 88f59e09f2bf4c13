/** What a decorated method is at run time: a function with `.stream`, bound to its instance. */

import type { StoredFunction } from "./attempt.ts";
import { type BackgroundOptions, submit } from "./background.ts";
import type { RunSpec } from "./engine.ts";
import { UsageError } from "./errors.ts";
import { kindOf } from "./json.ts";
import type { CallOptions, Timeouts } from "./options.ts";
import { callOptions, checkTimeout, timeoutsOf } from "./options.ts";
import { callRun, type Run, type RunStream, streamRun } from "./run.ts";
import type { RunHandle } from "./run-handle.ts";

declare global {
  interface CallableFunction {
    /**
     * On an LLM function or chat: begins a run that is watched, not awaited. Takes the same arguments.
     *
     * @example
     * for await (const event of analyst.research.stream("Why?")) console.log(event.type);
     */
    stream<A extends unknown[], T>(this: (...args: A) => Run<T>, ...args: A): RunStream<T>;
    /**
     * On an LLM function or chat: stores a run that outlives its caller, as `pending`, and gives a handle to it. Takes the
     * same arguments, which must be JSON, and `BackgroundOptions` as the options.
     *
     * @example
     * const { runId } = await analyst.research.background("Why?", { key: "customer-7" });
     */
    background<A extends unknown[], T>(
      this: (...args: A) => Run<T>,
      ...args: BackgroundArguments<A>
    ): Promise<RunHandle<T>>;
  }
}

/** The same arguments, with `BackgroundOptions` in the place of `CallOptions`. */
export type BackgroundArguments<A extends unknown[]> = {
  [Index in keyof A]: [A[Index]] extends [CallOptions | undefined]
    ? CallOptions extends A[Index]
      ? BackgroundOptions | undefined
      : A[Index]
    : A[Index];
};

/** Makes the run of one call. */
export type Invoke<T> = (self: unknown, args: readonly unknown[], options: CallOptions) => RunSpec<T>;

const invokeKey = Symbol.for("llmethod.invoke");

/** An LLM function or chat of one instance, as workers and wrappers see it. */
export interface Bound<T = unknown> {
  /** By which stored runs know it: `Class.method`, or the definition's `name`. */
  readonly functionName: string;
  readonly invoke: Invoke<T>;
  readonly self: unknown;
}

/** What stands behind a callable; nothing where the value is none. */
export function boundOf(value: unknown): Bound | undefined {
  return typeof value === "function" && invokeKey in value ? (value[invokeKey] as Bound) : undefined;
}

/** A function of the declared arguments, with `.stream` and `.background`, for one instance. */
export function callable<T>(name: string, bound: Bound<T>): (...args: unknown[]) => Run<T> {
  const { invoke, self } = bound;
  const call = (...args: unknown[]): Run<T> => callRun(invoke(self, args, callOptions(args)));
  const stream = (...args: unknown[]): RunStream<T> => streamRun(invoke(self, args, callOptions(args)));
  const background = async (...args: unknown[]): Promise<RunHandle<T>> =>
    submit<T>(storedFunction(bound), args);
  Object.defineProperties(call, {
    name: { value: name, configurable: true },
    stream: { value: stream },
    background: { value: background },
    [invokeKey]: { value: bound },
  });
  return call;
}

/** The callable as stored runs find it. */
export function storedFunction({ functionName, invoke, self }: Bound): StoredFunction {
  return { functionName, self, spec: (args, options) => invoke(self, args, options) };
}

/**
 * Gives any LLM function or chat a time limit and keeps its type. Where a call's own
 * `timeout` sets the same limit, the smaller one counts.
 *
 * @param ms the limit of the whole run in milliseconds, or limits by name
 * @throws UsageError `invalid_option` where `fn` is no LLM function or chat, or the limit no number
 * @example
 * const quick = withTimeout(analyst.research, 5_000);
 * const report = await quick("Why?");
 */
export function withTimeout<A extends unknown[], T>(
  fn: (...args: A) => Run<T>,
  ms: number | Timeouts,
): (...args: A) => Run<T> {
  const bound = boundOf(fn);
  if (bound === undefined) {
    throw new UsageError(
      "invalid_option",
      `withTimeout takes an LLM function or a chat, not ${kindOf(fn)}. For another promise use ` +
        "AbortSignal.timeout(ms).",
    );
  }
  if (ms === undefined) {
    throw new UsageError(
      "invalid_option",
      "withTimeout needs a timeout in milliseconds: withTimeout(fn, 5_000).",
    );
  }
  checkTimeout(ms);
  const { functionName, invoke, self } = bound as Bound<T>;
  const limits = timeoutsOf(ms);
  const limited: Invoke<T> = (instance, args, options) => {
    return invoke(instance, args, { ...options, timeout: smallest(limits, timeoutsOf(options.timeout)) });
  };
  return callable(fn.name, { functionName, invoke: limited, self }) as (...args: A) => Run<T>;
}

function smallest(one: Timeouts, other: Timeouts): Timeouts {
  const limits: Record<string, number> = {};
  for (const [key, ms] of [...Object.entries(one), ...Object.entries(other)]) {
    if (ms !== undefined) limits[key] = Math.min(ms, limits[key] ?? ms);
  }
  return limits;
}
