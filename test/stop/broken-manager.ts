// A cancellation manager of which no method works, in one way or the other.

import { CancellationManager } from "llmethod";

type Fault = (method: string) => never | Promise<never>;

export class BrokenManager extends CancellationManager {
  readonly #fault: Fault;
  constructor(fault: Fault) {
    super();
    this.#fault = fault;
  }
  override register = async () => this.#fault("register");
  override cancel = async () => this.#fault("cancel");
  override isCancelled = async () => this.#fault("isCancelled");
  override cleanup = async () => this.#fault("cleanup");
  override activeRuns = async () => this.#fault("activeRuns");
}
