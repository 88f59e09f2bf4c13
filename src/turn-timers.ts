/** The limits of one turn, each a timer that stops the run when it fires: turn, first token, idle. */
import type { StopSource } from "./abort.ts";
import { TimeoutError, type TimeoutKind } from "./errors.ts";
import type { Timeouts } from "./options.ts";

export class TurnTimers {
  readonly #turn: NodeJS.Timeout | undefined;
  #firstToken: NodeJS.Timeout | undefined;
  readonly #idle: NodeJS.Timeout | undefined;

  /** All of them count from now: the start of the request. */
  constructor(timeouts: Timeouts, stop: StopSource) {
    const start = (which: TimeoutKind, ms: number | undefined) =>
      ms === undefined ? undefined : setTimeout(() => stop.stop("timeout", new TimeoutError(which, ms)), ms);
    this.#turn = start("turn", timeouts.turn);
    this.#firstToken = start("firstToken", timeouts.firstToken);
    this.#idle = start("idle", timeouts.idle);
  }

  /** The model sent something; `isVisible` where a user could see it. */
  beat(isVisible: boolean): void {
    this.#idle?.refresh();
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
