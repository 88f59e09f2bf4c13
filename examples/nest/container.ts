/** Constructor injection as NestJS does it, in forty lines: what a class needs stands in `design:paramtypes`. */
import "reflect-metadata";

// The parameters of a constructor differ from class to class, and `never` admits them all.
type Class<T = unknown> = new (...args: never[]) => T;
type Provider = Class | { readonly provide: Class; readonly useValue: unknown };

/** Marks a class for the container. That there is a decorator is what makes TypeScript emit the types. */
export function Injectable(): ClassDecorator {
  return () => {};
}

export class Container {
  readonly #classes = new Set<Class>();
  readonly #instances = new Map<Class, unknown>();

  constructor(providers: readonly Provider[]) {
    for (const provider of providers) {
      if (typeof provider === "function") this.#classes.add(provider);
      else this.#instances.set(provider.provide, provider.useValue);
    }
  }

  /** The one instance of a class, with everything that its constructor takes. */
  get<T>(wanted: Class<T>): T {
    const known = this.#instances.get(wanted);
    if (known !== undefined) return known as T;
    if (!this.#classes.has(wanted)) throw new Error(`There is no provider for ${wanted.name}.`);
    const instance = Reflect.construct(wanted, this.#needs(wanted)) as T;
    this.#instances.set(wanted, instance);
    return instance;
  }

  #needs(wanted: Class): unknown[] {
    const types: unknown = Reflect.getMetadata("design:paramtypes", wanted);
    if (Array.isArray(types)) return types.map((type: Class) => this.get(type));
    if (wanted.length === 0) return [];
    throw new Error(
      `The types of ${wanted.name}'s constructor are not known. Compile with emitDecoratorMetadata by tsc ` +
        "or swc: tsx and esbuild leave them out.",
    );
  }
}
