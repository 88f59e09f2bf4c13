/** A model that tries again where it makes sense: never once something of the answer was seen. */
import { sleep } from "../abort.ts";
import { ModelError, UsageError } from "../errors.ts";
import { shown } from "../json.ts";
import {
  batchedStream,
  batchesOf,
  type EventBatches,
  type Model,
  type ModelEvent,
  type ModelRequest,
} from "../model.ts";

export interface RetryOptions {
  /** How often to try again after the first failure. Default 2. */
  readonly maxRetries?: number;
  /** The first wait, in ms; it doubles each time, with up to a quarter taken off by chance. Default 500. */
  readonly baseDelayMs?: number;
  /** The longest wait, in ms; a provider that asks for more is not asked again. Default 30,000. */
  readonly maxDelayMs?: number;
}

/**
 * Wraps a model. Errors whose `retryable` is true are tried again after a wait: the provider's `Retry-After`,
 * else exponential backoff with jitter. A stop ends the wait at once. After the first event of an answer
 * nothing is tried again, so no text is doubled.
 *
 * @example
 * const patient = withRetry(openai("gpt-5-mini", { maxRetries: 0 }), { maxRetries: 5 });
 */
export function withRetry(model: Model, options: RetryOptions = {}): Model {
  const { maxRetries = 2, baseDelayMs = 500, maxDelayMs = 30_000 } = options;
  for (const [name, value] of Object.entries({ maxRetries, baseDelayMs, maxDelayMs })) {
    const isCount = name !== "maxRetries" || Number.isInteger(value);
    if (typeof value === "number" && value >= 0 && value <= 2_147_483_647 && isCount) continue;
    const what = name === "maxRetries" ? "a whole number, 0 or more" : "a number of milliseconds, 0 or more";
    throw new UsageError("invalid_option", `"${name}" must be ${what}, not ${shown(value)}.`);
  }
  return {
    name: model.name,
    stream: (request) =>
      batchedStream(() => new Attempts(model, request, { maxRetries, baseDelayMs, maxDelayMs })),
  };
}

type Batch = IteratorResult<readonly ModelEvent[], unknown>;

/** Tries until the first events have come; from then on it is the model's own iterator. */
class Attempts implements EventBatches {
  readonly #model: Model;
  readonly #request: ModelRequest;
  readonly #options: Required<RetryOptions>;
  #inner: EventBatches | undefined;

  constructor(model: Model, request: ModelRequest, options: Required<RetryOptions>) {
    this.#model = model;
    this.#request = request;
    this.#options = options;
  }

  next(): Promise<Batch> {
    return this.#inner === undefined ? this.#first() : this.#inner.next();
  }

  async return(): Promise<Batch> {
    await this.#inner?.return?.();
    return { value: undefined, done: true };
  }

  async #first(): Promise<Batch> {
    const { abortSignal } = this.#request;
    for (let retry = 0; ; retry++) {
      const attempt = batchesOf(this.#model.stream(this.#request));
      try {
        const first = await attempt.next();
        this.#inner = attempt;
        return first;
      } catch (error) {
        const delay = this.#delay(error, retry);
        if (delay === undefined || abortSignal.aborted) throw error;
        await sleep(delay, abortSignal);
      }
    }
  }

  /** How long to wait before the next try, in ms; `undefined` where there is none. */
  #delay(error: unknown, retry: number): number | undefined {
    const { maxRetries, baseDelayMs, maxDelayMs } = this.#options;
    if (retry >= maxRetries || !(error instanceof ModelError) || !error.retryable) return undefined;
    const backoff = Math.min(baseDelayMs * 2 ** retry, maxDelayMs) * (1 - Math.random() / 4);
    const delay = error.retryAfterMs ?? backoff;
    return delay > maxDelayMs ? undefined : delay;
  }
}
