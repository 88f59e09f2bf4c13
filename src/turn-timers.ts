/** The limits of one turn, each a timer that stops the run when it fires: turn, first token, idle. */
import type { StopSource } from "./abort.ts";
import { TimeoutError, type TimeoutKind } from "./errors.ts";
import type { Timeouts } from "./options.ts";

export class TurnTimers {
  readonly #turn: NodeJS.Timeout | undefined;
  #firstToken: NodeJS.Timeout | undefined;
  readonly #idle: NodeJS.Timeout | undefined;

  #isWaiting = true;

  /** All of them count from now: the start of the request. */
  constructor(timeouts: Timeouts, stop: StopSource) {
    const fire = (which: TimeoutKind, ms: number) => stop.stop("timeout", new TimeoutError(which, ms));
    const start = (which: TimeoutKind, ms: number | undefined) =>
      ms === undefined ? undefined : setTimeout(() => fire(which, ms), ms);
    this.#turn = start("turn", timeouts.turn);
    this.#firstToken = start("firstToken", timeouts.firstToken);
    const { idle } = timeouts;
    this.#idle =
      idle === undefined ? undefined : setTimeout(() => this.#isWaiting && fire("idle", idle), idle);
  }

  /** The model is asked for more: only this wait is idle time, not that for a slow reader. */
  waiting(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#idle?.refresh();
  }

  /** The model sent something; `isVisible` where a user could see it. */
  arrived(isVisible: boolean): void {
    this.#isWaiting = false;
    if (isVisible && this.#firstToken !== undefined) {
      clearTimeout(this.#firstToken);
      this.#firstToken = undefined;
    }
  }

  streamEnded(): void {
    clearTimeout(this.#firstToken);
    clearTimeout(this.#idle);
  }

  turnEnded(): void {
    this.streamEnded();
    clearTimeout(this.#turn);
  }
}
