// Behaviours of tools at a stop: they obey it, ignore it, or end on their own.

import type { ToolContext } from "llmethod";

/** Waits for the stop and throws its reason, as `fetch` does. */
export const obeys = ({ abortSignal }: ToolContext): Promise<never> =>
  onAbort(abortSignal, () => {
    throw abortSignal.reason;
  });

/** Waits for the stop and returns what it has. */
export const returnsAtStop =
  (value: unknown) =>
  ({ abortSignal }: ToolContext): Promise<unknown> =>
    onAbort(abortSignal, () => value);

/** Waits for the stop and throws an error of its own. */
export const failsAtStop =
  (message: string) =>
  ({ abortSignal }: ToolContext): Promise<never> =>
    onAbort(abortSignal, () => {
      throw new Error(message);
    });

export const ignores = (): Promise<never> => new Promise<never>(() => {});

export const returns = (value: unknown) => (): unknown => value;

function onAbort<T>(signal: AbortSignal, then: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    const act = () => {
      try {
        resolve(then());
      } catch (error) {
        reject(error);
      }
    };
    if (signal.aborted) act();
    else signal.addEventListener("abort", act, { once: true });
  });
}
