/** The work of the tool `lookup` in a client: it answers at once, or is one of those that meet a stop. */
import { setTimeout as delay } from "node:timers/promises";
import type { LookupInput } from "./contenders/contender.ts";
import type { LookupManner } from "./tasks.ts";

/** How long a tool works that ignores a stop, in ms. */
export const ignoredMs = 1000;

class Lookups {
  manner: LookupManner = "answer";
  /** How many calls began. */
  count = 0;
  /** Stops the run at work, where the tool's own last line does so. */
  stop: () => void = () => {};
  #onStart: () => void = () => {};

  /** Resolves when the next call begins. */
  started(): Promise<void> {
    return new Promise((resolve) => {
      this.#onStart = resolve;
    });
  }

  async answer({ query, limit }: LookupInput, signal: AbortSignal | undefined): Promise<string> {
    this.count++;
    this.#onStart();
    if (this.manner === "obey") await aborted(signal);
    if (this.manner === "ignore") await delay(ignoredMs);
    if (this.manner === "stop-at-last-line") this.stop();
    return `${limit} results for ${query}: ${"it is known. ".repeat(6)}`;
  }
}

export const lookups = new Lookups();

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    if (signal === undefined) throw new Error("the tool was given no signal");
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
