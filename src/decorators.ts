/** One decorator for three places: TypeScript's legacy decorators, standard decorators, and plain functions. */
import { callable, type Invoke } from "./callable.ts";
import { UsageError } from "./errors.ts";
import { kindOf } from "./json.ts";
import type { Run } from "./run.ts";
import { isStandardContext, methodAccessor } from "./tool.ts";

/** Makes the runs of a body, once the decorator knows the body and its name. */
export type Prepare<T> = (body: Body, nameOf: (self: unknown) => string) => Invoke<T>;

type Body = (...args: never[]) => unknown;

/** Asks for a property that nothing has, so that the compiler refuses a method of the wrong type and says why. */
interface MustReturn<Wanted> {
  readonly "this method must be declared to return": Wanted;
}
type Fit<Wanted, Declared> = [Wanted] extends [Declared] ? unknown : MustReturn<Wanted>;

/** What `llmFunction(…)` and `llmChat(…)` give. The compiler explains a refusal by the last overload that fits in number. */
export interface LlmDecorator<T, Self = unknown> {
  /** A plain function whose body is the prompt. */
  <A extends unknown[]>(body: (...args: A) => never): (...args: A) => Run<T>;
  /** Standard decorators. */
  <This extends Self, A extends unknown[], R>(
    method: (...args: A) => R,
    context: ClassMethodDecoratorContext<This> & Fit<Run<T>, R>,
  ): undefined;
  /** Legacy decorators (`experimentalDecorators`). */
  <Method extends (...args: never[]) => unknown>(
    target: Self,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<Method> & Fit<Run<T>, ReturnType<Method>>,
  ): undefined;
}

export function decorator<T>(what: string, name: string | undefined, prepare: Prepare<T>): unknown {
  return (first: unknown, second?: unknown, third?: unknown): unknown => {
    if (isStandardContext(second)) return decorateStandard(first, second as StandardContext);
    if (second !== undefined) return decorateLegacy(second as string | symbol, third);
    return decorateFunction(first);
  };

  function decorateFunction(body: unknown): unknown {
    if (typeof body !== "function" || isClass(body)) {
      const given = typeof body === "function" ? `the class ${body.name}` : kindOf(body);
      throw new UsageError("invalid_decorator", `${what} takes a method or a function, not ${given}.`);
    }
    const known = name ?? (body.name || what);
    const invoke = prepare(body as Body, () => known);
    // A stored run is found by its function's name: an arrow function that has none cannot be stored.
    return callable(known, { functionName: name ?? body.name, invoke, self: undefined });
  }

  function decorateLegacy(key: string | symbol, descriptor: unknown): PropertyDescriptor {
    const { value: method, enumerable = false } = (descriptor ?? {}) as PropertyDescriptor;
    if (typeof method !== "function") {
      throw notAMethod(what, key, descriptor === undefined ? "field" : "accessor");
    }
    return { ...accessorOf(key, method as Body), enumerable };
  }

  function decorateStandard(method: unknown, context: StandardContext): unknown {
    const { kind, name: key } = context;
    if (kind !== "method" || typeof method !== "function") throw notAMethod(what, key, kind);
    if (context.private) throw notAMethod(what, key, "private (#) member");
    const accessor = accessorOf(key, method as Body);
    const marked = function (this: unknown, ...args: unknown[]): unknown {
      return Reflect.apply(accessor.get.call(this), this, args);
    };
    copyMarks(method, marked); // a @tool that stands below
    Object.defineProperty(marked, methodAccessor, { value: method });
    context.addInitializer(function (this: unknown) {
      installAccessor(this, key, marked, accessor);
    });
    return marked;
  }

  /** A getter that binds the method to whoever reads it, once for each instance. */
  function accessorOf(key: string | symbol, method: Body): Accessor {
    const nameOf = (self: unknown) => name ?? qualifiedName(self, key);
    const invoke = prepare(method, nameOf);
    const bind = (self: unknown) => callable(String(key), { functionName: nameOf(self), invoke, self });
    const bound = new WeakMap<object, Body>();
    const get = function (this: unknown) {
      if ((typeof this !== "object" || this === null) && typeof this !== "function") {
        return bind(this);
      }
      const known = bound.get(this);
      if (known !== undefined) return known;
      const made = bind(this);
      bound.set(this, made);
      return made;
    };
    Object.defineProperty(get, methodAccessor, { value: method });
    return { configurable: true, get, set: replaceWith(key) };
  }
}

/** Of all functions only a class has a prototype that cannot be replaced. */
function isClass(fn: object): boolean {
  return Object.getOwnPropertyDescriptor(fn, "prototype")?.writable === false;
}

interface StandardContext {
  readonly kind: string;
  readonly name: string | symbol;
  readonly private: boolean;
  addInitializer(initializer: (this: unknown) => void): void;
}

interface Accessor {
  readonly configurable: true;
  readonly get: (this: unknown) => Body;
  readonly set: (this: unknown, value: unknown) => void;
}

/** Assigning to the method (a test's mock) puts an own property before the getter. */
function replaceWith(key: string | symbol): (this: unknown, value: unknown) => void {
  return function (this: unknown, value: unknown) {
    Object.defineProperty(this, key, { value, writable: true, enumerable: true, configurable: true });
  };
}

/**
 * A standard method decorator can only give a method. The getter goes into its place when the first instance
 * is made: on whichever prototype (or class, for a static method) holds the method.
 */
function installAccessor(owner: unknown, key: string | symbol, marked: object, accessor: Accessor): void {
  for (let level = owner; level !== null && level !== undefined; level = Object.getPrototypeOf(level)) {
    const own = Object.getOwnPropertyDescriptor(level, key);
    if (own?.value === undefined || own.value !== marked) continue;
    copyMarks(marked, accessor.get);
    Object.defineProperty(level, key, { ...accessor, enumerable: own.enumerable ?? false });
    return;
  }
}

function copyMarks(from: object, to: object): void {
  for (const mark of Object.getOwnPropertySymbols(from)) {
    if (!(mark in to)) Object.defineProperty(to, mark, { value: Reflect.get(from, mark) });
  }
}

function qualifiedName(self: unknown, key: string | symbol): string {
  const owner: unknown = typeof self === "function" ? self : Object(self).constructor;
  return typeof owner === "function" && owner.name !== "" ? `${owner.name}.${String(key)}` : String(key);
}

function notAMethod(what: string, key: string | symbol, kind: string): UsageError {
  return new UsageError(
    "invalid_decorator",
    `@${what} stands on the ${kind} ${String(key)}: it must stand on a method, research(…) { return prompt\`…\` }.`,
  );
}
