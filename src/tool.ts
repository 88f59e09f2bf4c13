/** What the model may call: tools made from methods or functions, and what a tool is given when it runs. */
import "reflect-metadata";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { deriveInput, type PositionalInput } from "./derived-input.ts";
import { UsageError } from "./errors.ts";
import { type JsonObject, kindOf } from "./json.ts";
import { type InferOutput, type Parser, parserOf, type Validated } from "./schema.ts";

/** What a tool gets beside its input. */
export interface ToolContext {
  /** Aborted when the run is stopped or the tool's timeout passes; pass it to `fetch` and the like. */
  readonly abortSignal: AbortSignal;
  readonly runId: string;
  /** The id of this call: stable, so fit as an idempotency key. */
  readonly callId: string;
  readonly toolName: string;
  /** The `context` of the call options, as it was given. */
  readonly context: unknown;
  /** Sends JSON-safe progress to whoever watches the run (a `tool-progress` event). */
  emit(data: unknown): void;
}

/** A tool, ready to be put into a toolkit. */
export interface Tool {
  readonly kind: "tool";
  readonly name: string;
  readonly description: string;
  readonly inputSchema: JsonObject;
  /** In milliseconds; ends this call only. */
  readonly timeout: number | undefined;
  readonly parallel: boolean;
  /** Whether a call may run again, with the same `callId`, where nobody knows how far it came. */
  readonly idempotent: boolean;
  validate(input: unknown): Promise<Validated<unknown>>;
  execute(input: unknown, context: ToolContext): unknown;
}

/** Any list of tools, objects with `@tool` methods, or nested lists. */
export type Toolkit = readonly (Tool | object | Toolkit)[];

export interface ToolOptions<S extends StandardSchemaV1 | undefined = StandardSchemaV1 | undefined> {
  /** Default: the method's name. Letters, digits, `_` and `-`, 64 at most. */
  readonly name?: string;
  /** Tells the model what the tool does and when to use it. */
  readonly description: string;
  /** Schema of the input, which must be an object. */
  readonly input?: S;
  /** How long one call may take, in milliseconds. Default: no limit of its own. */
  readonly timeout?: number;
  /** `false`: a call of this tool runs alone, after the calls before it. Default `true`. */
  readonly parallel?: boolean;
  /**
   * `true`: running a call twice does no harm, so a stored run whose worker was lost in the middle of it runs it again,
   * with the same `callId`. Default `false`: the model is told that the outcome is unknown.
   */
  readonly idempotent?: boolean;
}

type ToolInput<S> = S extends StandardSchemaV1 ? InferOutput<S> : Record<string, never>;

/** The decorator that `tool(…)` gives, for both kinds of decorators. */
export interface ToolDecorator<S extends StandardSchemaV1 | undefined> {
  <This, A extends unknown[], R>(
    method: ((...args: A) => R) & ToolMethod<S>,
    context: ClassMethodDecoratorContext<This>,
  ): undefined;
  <Method extends ToolMethod<S>>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<Method>,
  ): undefined;
}

type ToolMethod<S> = S extends StandardSchemaV1
  ? (input: InferOutput<S>, context: ToolContext) => unknown
  : (...args: never[]) => unknown;

/**
 * Makes a tool: above a method as a decorator, or from a function with `execute`.
 *
 * The input is validated before the tool runs. Whatever the tool returns or resolves to is its result: any
 * JSON value, a string as it is, or content parts (`image(…)`). An `async *` tool yields progress and returns
 * its result. What it throws goes back to the model as the call's result.
 *
 * @throws UsageError `invalid_tool`, `invalid_schema`
 * @example
 * class Library {
 *   \@tool({ description: "Find passages about a topic", input: z.object({ topic: z.string() }) })
 *   async find({ topic }: { topic: string }, { abortSignal }: ToolContext) {
 *     return (await fetch(`https://library.example/${topic}`, { signal: abortSignal })).json();
 *   }
 * }
 * const add = tool({
 *   name: "add",
 *   description: "Add two numbers",
 *   input: z.object({ a: z.number(), b: z.number() }),
 *   execute: ({ a, b }) => a + b,
 * });
 */
export function tool<S extends StandardSchemaV1 | undefined = undefined>(
  options: ToolOptions<S> & {
    name: string;
    execute: (input: ToolInput<S>, context: ToolContext) => unknown;
  },
): Tool;
export function tool<S extends StandardSchemaV1 | undefined = undefined>(
  options: ToolOptions<S>,
): ToolDecorator<S>;
export function tool(
  options: ToolOptions & { execute?: (input: never, context: ToolContext) => unknown },
): Tool | ToolDecorator<undefined> {
  checkOptions(options);
  const { execute } = options;
  if (execute !== undefined) {
    const name = options.name ?? execute.name;
    return makeTool(name, options, inputParser(options, name), (input, context) =>
      execute(input as never, context),
    );
  }
  const early = options.input === undefined ? undefined : inputParser(options, options.name ?? "a tool");
  const decorate = (...place: readonly unknown[]): undefined => {
    markMethod(place, { options, parser: early });
  };
  return decorate as ToolDecorator<undefined>;
}

interface ToolMark {
  readonly options: ToolOptions;
  readonly parser: Parser<unknown> | undefined;
  /** What `design:paramtypes` said, where the options give no `input`. */
  readonly derived?: PositionalInput | undefined;
}

const toolsKey = "llmethod:tools";
/** Standard decorators see no class: the mark stays on the method until an instance is looked through. */
const toolMark = Symbol.for("llmethod.tool");

function markMethod([first, second, third]: readonly unknown[], mark: ToolMark): void {
  if (isStandardContext(second)) {
    if (second.kind !== "method" || typeof first !== "function") throw notAMethod(second.name, second.kind);
    if (second.private) throw notAMethod(second.name, "private (#) member");
    Object.defineProperty(first, toolMark, {
      value: { ...mark, derived: derivedFor(mark, second.name, first, undefined) },
    });
    return;
  }
  const key = second as string | symbol;
  const descriptor = third as PropertyDescriptor | undefined;
  const method: unknown = descriptor?.value;
  const target = first as object;
  if (typeof method !== "function") {
    // An accessor that an LLM function's decorator left here holds a method; a user's own getter does not.
    if (descriptor?.get === undefined || !(methodAccessor in descriptor.get)) {
      throw notAMethod(key, descriptor === undefined ? "field" : "getter");
    }
  }
  const types: unknown = Reflect.getMetadata("design:paramtypes", target, key);
  const derived = derivedFor(mark, key, method ?? descriptor?.get, types);
  const own: Map<string | symbol, ToolMark> = new Map(Reflect.getOwnMetadata(toolsKey, target) ?? []);
  own.set(key, { ...mark, derived });
  Reflect.defineMetadata(toolsKey, own, target);
}

/** Of a method under an LLM function's decorator, the body's own parameters count. */
function derivedFor(
  { options, parser }: ToolMark,
  key: string | symbol,
  method: unknown,
  types: unknown,
): PositionalInput | undefined {
  if (parser !== undefined || typeof method !== "function") return undefined;
  const body = methodAccessor in method ? method[methodAccessor] : method;
  const derived = deriveInput(body as () => unknown, types);
  if (derived?.kind !== "impossible") return derived;
  throw new UsageError(
    "invalid_tool",
    `The tool ${options.name ?? String(key)} needs "input": ${derived.why}.`,
  );
}

/** On what an LLM function's decorator leaves in a method's place: the body, so that `@tool` can stand above. */
export const methodAccessor = Symbol.for("llmethod.method");

export function isStandardContext(
  value: unknown,
): value is { kind: string; name: string | symbol; private: boolean } {
  return typeof value === "object" && value !== null && "kind" in value && "name" in value;
}

function notAMethod(name: string | symbol, kind: string): UsageError {
  return new UsageError(
    "invalid_decorator",
    `@tool stands on the ${kind} ${String(name)}: it must stand on a method. ` +
      "For a function use tool({ name, description, input, execute }).",
  );
}

/** The tools of an object: its own `@tool` methods and those that it inherits, bound to it. */
export function toolsOf(owner: object): Tool[] {
  const found = new Map<string | symbol, ToolMark>();
  for (let level: object | null = owner; level !== null; level = Object.getPrototypeOf(level)) {
    const collected: Map<string | symbol, ToolMark> | undefined = Reflect.getOwnMetadata(toolsKey, level);
    for (const [key, mark] of collected ?? []) if (!found.has(key)) found.set(key, mark);
    for (const key of Reflect.ownKeys(level)) {
      const { value, get }: PropertyDescriptor = Object.getOwnPropertyDescriptor(level, key) ?? {};
      const holder: unknown = value ?? get;
      if (typeof holder === "function" && toolMark in holder && !found.has(key)) {
        found.set(key, holder[toolMark] as ToolMark);
      }
    }
  }
  return [...found].map(([key, mark]) => methodTool(owner, key, mark));
}

function methodTool(owner: object, key: string | symbol, { options, parser, derived }: ToolMark): Tool {
  const name = options.name ?? String(key);
  const call = (args: readonly unknown[]): unknown => Reflect.apply(Reflect.get(owner, key), owner, args);
  if (parser === undefined && derived !== undefined) {
    return makeTool(name, options, derived.parser, (input, context) => call(derived.args(input, context)));
  }
  return makeTool(name, options, parser ?? inputParser(options, name), (input, context) =>
    call([input, context]),
  );
}

function makeTool(
  name: string,
  options: ToolOptions,
  parser: Parser<unknown>,
  execute: (input: unknown, context: ToolContext) => unknown,
): Tool {
  checkName(name);
  return Object.freeze<Tool>({
    kind: "tool",
    name,
    description: options.description,
    inputSchema: parser.jsonSchema,
    timeout: options.timeout,
    parallel: options.parallel ?? true,
    idempotent: options.idempotent ?? false,
    validate: (input) => parser.validate(input),
    execute,
  });
}

/** No `input`: the tool takes none, and whatever a model sends along is ignored. */
const noInput: Parser<unknown> = {
  jsonSchema: { type: "object", properties: {}, additionalProperties: false },
  validate: async () => ({ ok: true, value: {} }),
};

function inputParser({ input }: ToolOptions, name: string): Parser<unknown> {
  if (input === undefined) return noInput;
  const parser = parserOf(input, `"input" of the tool ${name}`);
  const { type, anyOf, oneOf } = parser.jsonSchema;
  if (type !== "object" && anyOf === undefined && oneOf === undefined) {
    throw new UsageError(
      "invalid_schema",
      `"input" of the tool ${name} must be an object schema, as models call tools with named arguments. ` +
        "Write z.object({ … }).",
    );
  }
  return type === "object" ? parser : { ...parser, jsonSchema: { type: "object", ...parser.jsonSchema } };
}

const toolKeys = ["name", "description", "input", "timeout", "parallel", "idempotent", "execute"];

function checkName(name: unknown): void {
  if (typeof name === "string" && /^[a-zA-Z0-9_-]{1,64}$/.test(name)) return;
  throw new UsageError(
    "invalid_tool",
    `${typeof name === "string" ? `"${name}"` : kindOf(name)} cannot name a tool: use letters, digits, _ and -, ` +
      '64 at most. Set "name" in tool(…).',
  );
}

function checkOptions(options: ToolOptions & { execute?: unknown }): void {
  const fail = (what: string): never => {
    throw new UsageError("invalid_tool", `tool({ … }): ${what}`);
  };
  if (typeof options !== "object" || options === null) fail(`takes an object, not ${kindOf(options)}.`);
  const unknown = Object.keys(options).filter((key) => !toolKeys.includes(key));
  if (unknown.length > 0) fail(`does not know ${unknown.join(", ")}. It knows ${toolKeys.join(", ")}.`);
  const { name, description, timeout, execute } = options;
  if (name !== undefined) checkName(name);
  if (typeof description !== "string" || description.trim() === "") {
    fail('"description" must say what the tool does: the model chooses by it.');
  }
  if (timeout !== undefined && !(Number.isFinite(timeout) && timeout > 0)) {
    fail(`"timeout" must be a number of milliseconds above 0, not ${String(timeout)}.`);
  }
  for (const key of ["parallel", "idempotent"] as const) {
    const value: unknown = options[key];
    if (value === undefined || typeof value === "boolean") continue;
    fail(`"${key}" must be true or false, not ${kindOf(value)}.`);
  }
  if (execute !== undefined && typeof execute !== "function") {
    fail(`"execute" must be a function, not ${kindOf(execute)}.`);
  }
}
