/** What stands behind every LLM function and chat: the definition, checked once, and the body that is its prompt. */
import { UsageError } from "./errors.ts";
import { isPlainObject, kindOf } from "./json.ts";
import { isModel, type Model } from "./model.ts";
import { type CallOptions, checkTurnLimit, type TurnLimit } from "./options.ts";
import { DeferredPrompt, Prompt } from "./prompt.ts";
import { checkGrace, runtime } from "./runtime.ts";
import type { Toolkit } from "./tool.ts";
import { type ResolvedToolkit, resolveToolkit } from "./toolkit.ts";

/** What `llmFunction` and `llmChat` have in common; all of it is optional. */
export interface Definition<Self = never> {
  /** Default: the model of `configure`. A function of the instance chooses one at each call. */
  readonly model?: Model | ((self: Self) => Model);
  /** What the model may call; a function of the instance is asked at each call. */
  readonly toolkit?: Toolkit | ((self: Self) => Toolkit);
  /** The most model requests of one run. Default 20, then an error. */
  readonly maxTurns?: TurnLimit;
  /** How long tools may take to obey a stop, in ms. Default 250. */
  readonly abortGraceMs?: number;
  /** Default: `Class.method`. */
  readonly name?: string;
}

/** A definition with `returns` and `instructions`, as a function has them. */
export interface FunctionDefinition<S, Self = never> extends Definition<Self> {
  /** The answer's schema: zod 4, zod 3 or another Standard Schema. Default: the answer is a string. */
  readonly returns?: S;
  /** The system prompt. */
  readonly instructions?: string;
}

const definitionKeys = ["model", "toolkit", "maxTurns", "abortGraceMs", "name", "returns", "instructions"];

/** @throws UsageError `invalid_option` for a value of the wrong kind, at the place of the definition */
export function checkDefinition(definition: unknown, what: string, keys = definitionKeys): void {
  const fail = (message: string): never => {
    throw new UsageError("invalid_option", `${what}({ … }): ${message}`);
  };
  if (!isPlainObject(definition)) throw fail(`takes an object, not ${kindOf(definition)}.`);
  const unknown = Object.keys(definition).filter((key) => !keys.includes(key));
  if (unknown.length > 0) fail(`does not know ${unknown.join(", ")}. It knows ${keys.join(", ")}.`);
  const { model, toolkit, maxTurns, abortGraceMs, name, instructions } = definition;
  if (model !== undefined && !isModel(model) && typeof model !== "function") {
    fail('"model" must be a model, such as openai("gpt-5-mini"), or a function that gives one.');
  }
  if (toolkit !== undefined && !Array.isArray(toolkit) && typeof toolkit !== "function") {
    fail('"toolkit" must be a list, or a function that gives one: toolkit: (self) => [self.library].');
  }
  if (maxTurns !== undefined) checkTurnLimit(maxTurns);
  if (abortGraceMs !== undefined) checkGrace(abortGraceMs);
  if (name !== undefined && typeof name !== "string") fail('"name" must be a string.');
  if (instructions !== undefined && typeof instructions !== "string") {
    fail('"instructions" must be a string.');
  }
}

/** Everything that a call takes from its definition, for one instance. */
export interface CallSettings {
  readonly model: Model;
  readonly toolkit: ResolvedToolkit;
  readonly maxTurns: TurnLimit;
}

const defaultMaxTurns = 20;
export const defaultGraceMs = 250;

/** @throws UsageError `missing_model`, `duplicate_tool`, `invalid_tool` */
export function settingsFor(
  definition: Definition<never>,
  self: unknown,
  name: string,
  options: CallOptions,
): CallSettings {
  return {
    model: modelOf(definition.model, self, name),
    toolkit: resolveToolkit(forSelf(definition.toolkit, self)),
    maxTurns: options.maxTurns ?? definition.maxTurns ?? defaultMaxTurns,
  };
}

export function graceOf({ abortGraceMs }: Definition<never>): number {
  return abortGraceMs ?? runtime.settings.abortGraceMs ?? defaultGraceMs;
}

function modelOf(own: Definition<never>["model"], self: unknown, name: string): Model {
  const model = forSelf(own, self) ?? runtime.settings.model;
  if (isModel(model)) return model;
  throw new UsageError(
    "missing_model",
    `${name} has no model. Set one in its decorator, { model: openai("gpt-5-mini") }, or for all with ` +
      'configure({ model: openai("gpt-5-mini") }).',
  );
}

function forSelf<V>(value: V | ((self: never) => V) | undefined, self: unknown): V | undefined {
  return typeof value === "function" ? (value as (self: unknown) => V)(self) : value;
}

/**
 * Calls the body. Its prompt is there at once, or, where the body is `async` or the prompt deferred, later.
 *
 * @throws UsageError `invalid_prompt` where the body gives something else
 */
export function promptOf(body: () => unknown, name: string): Prompt | (() => Promise<Prompt>) {
  const result = body();
  if (result instanceof Prompt) return result;
  if (result instanceof DeferredPrompt) return async () => asPrompt(await result.make(), name);
  if (isPromiseLike(result)) {
    const awaited = Promise.resolve(result);
    awaited.catch(() => {}); // it is awaited when the run has begun, which may be after it failed
    return async () => asPrompt(await awaited, name);
  }
  throw notAPrompt(result, name);
}

async function asPrompt(value: unknown, name: string): Promise<Prompt> {
  if (value instanceof Prompt) return value;
  if (value instanceof DeferredPrompt) return asPrompt(await value.make(), name);
  throw notAPrompt(value, name);
}

function notAPrompt(value: unknown, name: string): UsageError {
  return new UsageError(
    "invalid_prompt",
    `${name} must return prompt\`…\`, not ${kindOf(value)}: the method's body is the prompt, and the model ` +
      "gives the answer.",
  );
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
