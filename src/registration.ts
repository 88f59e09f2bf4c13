/** A run's entry with the cancellation manager: made before it works, watched, removed when it has ended. */
import type { CancellationManager, StopRequest } from "./cancellation.ts";
import { runtime } from "./runtime.ts";

/** A manager that does not answer must not hold up a run: after so many ms the run goes on without it. */
const patienceMs = 1000;

export class Registration {
  readonly #manager: CancellationManager;
  readonly #runId: string;
  readonly #registered: Promise<void>;
  #isRegistered = false;
  #unwatch = () => {};

  constructor(runId: string, onCancel: (request: StopRequest) => void) {
    this.#manager = runtime.manager;
    this.#runId = runId;
    this.#registered = this.#begin(onCancel);
  }

  /** Resolves when a request that came before the start is known, or the manager has failed or not answered. */
  async ready(): Promise<void> {
    if (this.#isRegistered) return;
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        runtime.report("The cancellation manager is slow to register runs", `${patienceMs} ms have passed`);
        resolve();
      }, patienceMs);
    });
    await Promise.race([this.#registered, patience]);
    clearTimeout(timer);
  }

  /** Removes the entry; with a manager in memory at once, so that a new run may take the same id. */
  end(): Promise<void> {
    this.#unwatch();
    return this.#isRegistered ? this.#cleanup() : this.#registered.then(() => this.#cleanup());
  }

  async #begin(onCancel: (request: StopRequest) => void): Promise<void> {
    try {
      await this.#manager.register(this.#runId);
      this.#unwatch = this.#manager.watch(this.#runId, onCancel, (error) => this.#report(error));
      const request = await this.#manager.isCancelled(this.#runId);
      if (request !== undefined) onCancel(request);
    } catch (error) {
      this.#report(error);
    }
    this.#isRegistered = true;
  }

  async #cleanup(): Promise<void> {
    this.#unwatch();
    try {
      await this.#manager.cleanup(this.#runId);
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    runtime.report("The cancellation manager failed; runs go on without it", error);
  }
}
