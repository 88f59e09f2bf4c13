/** One decorator for three places: TypeScript's legacy decorators, standard decorators, and plain functions. */
import { callable, type Invoke } from "./callable.ts";
import { UsageError } from "./errors.ts";
import { kindOf } from "./json.ts";
import type { Run } from "./run.ts";
import { isStandardContext, methodAccessor } from "./tool.ts";

/** Makes the runs of a body, once the decorator knows the body and its name. */
export type Prepare<T> = (body: Body, nameOf: (self: unknown) => string) => Invoke<T>;

type Body = (...args: never[]) => unknown;

/** The extra argument that no decorator call has: it makes the compiler refuse a method of the wrong type. */
type Unfit<Wanted, Declared> = [Wanted] extends [Declared]
  ? []
  : [error: { "this method must return": Wanted; "but returns": Declared }];

/** What `llmFunction(…)` and `llmChat(…)` give. */
export interface LlmDecorator<T, Self = unknown> {
  /** Standard decorators. */
  <This extends Self, A extends unknown[], R>(
    method: (...args: A) => R,
    context: ClassMethodDecoratorContext<This>,
    ...unfit: Unfit<Run<T>, R>
  ): undefined;
  /** Legacy decorators (`experimentalDecorators`). */
  <Method extends (...args: never[]) => unknown>(
    target: Self,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<Method>,
    ...unfit: Unfit<Run<T>, ReturnType<Method>>
  ): undefined;
  /** A plain function whose body is the prompt. */
  <A extends unknown[]>(body: (...args: A) => never): (...args: A) => Run<T>;
}

export function decorator<T>(what: string, name: string | undefined, prepare: Prepare<T>): unknown {
  return (first: unknown, second?: unknown, third?: unknown): unknown => {
    if (isStandardContext(second)) return decorateStandard(first, second as StandardContext);
    if (second !== undefined) return decorateLegacy(second as string | symbol, third);
    return decorateFunction(first);
  };

  function decorateFunction(body: unknown): unknown {
    if (typeof body !== "function") {
      throw new UsageError("invalid_decorator", `${what} takes a method or a function, not ${kindOf(body)}.`);
    }
    const known = name ?? (body.name || what);
    return callable(
      known,
      prepare(body as Body, () => known),
      undefined,
    );
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
    context.addInitializer(function (this: unknown) {
      installAccessor(this, key, marked, accessor);
    });
    return marked;
  }

  /** A getter that binds the method to whoever reads it, once for each instance. */
  function accessorOf(key: string | symbol, method: Body): Accessor {
    const invoke = prepare(method, (self) => name ?? qualifiedName(self, key));
    const bound = new WeakMap<object, Body>();
    const get = function (this: unknown) {
      if ((typeof this !== "object" || this === null) && typeof this !== "function") {
        return callable(String(key), invoke, this);
      }
      const known = bound.get(this);
      if (known !== undefined) return known;
      const made = callable(String(key), invoke, this);
      bound.set(this, made);
      return made;
    };
    Object.defineProperty(get, methodAccessor, { value: true });
    return { configurable: true, get, set: replaceWith(key) };
  }
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
    for (const mark of Object.getOwnPropertySymbols(marked)) {
      Object.defineProperty(accessor.get, mark, { value: Reflect.get(marked, mark) });
    }
    Object.defineProperty(level, key, { ...accessor, enumerable: own.enumerable ?? false });
    return;
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
