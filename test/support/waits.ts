// Holds a script at a chosen point, so that a test stops a run exactly there and not after a guess at time.

import type { Step } from "./answer.ts";

export const delay =
  (ms: number): Step =>
  (wire) =>
    wire.exchange.pause(ms);

/** Never goes on; ends when the client leaves or the server closes. */
export const hang = (): Step => gate(new Promise<never>(() => {}));

export interface Gate {
  reached(): void;
  readonly opened: Promise<unknown>;
}

/** All that was said before is with the client's socket when the gate is reached. */
export function gate(opened: Promise<unknown> | Gate): Step {
  const door: Gate = "opened" in opened ? opened : { reached() {}, opened };
  return async ({ exchange }) => {
    await exchange.flush();
    door.reached();
    await exchange.wait(door.opened);
  };
}

export interface Checkpoint {
  /** Resolves when the server has come to the step. */
  readonly reached: Promise<void>;
  /** Lets it go on, now or as soon as it comes. */
  open(): void;
  readonly step: Step;
}

export function checkpoint(): Checkpoint {
  const [reached, reach] = signal();
  const [opened, open] = signal();
  return { reached, open, step: gate({ reached: reach, opened }) };
}

function signal(): readonly [Promise<void>, () => void] {
  let send = () => {};
  const sent = new Promise<void>((resolve) => {
    send = resolve;
  });
  return [sent, send];
}
