/** A model that tries again where it makes sense: never once something of the answer was seen. */
import { sleep } from "../abort.ts";
import { ModelError } from "../errors.ts";
import type { Model, ModelEvent, ModelRequest } from "../model.ts";

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
  return {
    name: model.name,
    stream: (request) => attempts(model, request, { maxRetries, baseDelayMs, maxDelayMs }),
  };
}

async function* attempts(
  model: Model,
  request: ModelRequest,
  { maxRetries, baseDelayMs, maxDelayMs }: Required<RetryOptions>,
): AsyncGenerator<ModelEvent, void> {
  for (let retry = 0; ; retry++) {
    let isSeen = false;
    try {
      for await (const event of model.stream(request)) {
        isSeen = true;
        yield event;
      }
      return;
    } catch (error) {
      const isFinal = isSeen || retry >= maxRetries || request.abortSignal.aborted;
      if (isFinal || !(error instanceof ModelError) || !error.retryable) throw error;
      const backoff = baseDelayMs * 2 ** retry * (1 - Math.random() / 4);
      const delay = error.retryAfterMs ?? Math.min(backoff, maxDelayMs);
      if (delay > maxDelayMs) throw error;
      await sleep(delay, request.abortSignal);
    }
  }
}
