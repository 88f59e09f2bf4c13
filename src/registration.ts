/** A run's entry with the cancellation manager: made before it works, watched, removed when it has ended. */
import type { StopSource } from "./abort.ts";
import { type CancellationManager, patience, patienceMs } from "./cancellation.ts";
import { runtime } from "./runtime.ts";

export class Registration {
  readonly #manager: CancellationManager;
  readonly #runId: string;
  readonly #stop: StopSource;
  readonly #registered: Promise<void>;
  #isRegistered = false;
  #unwatch: (() => void) | undefined;

  constructor(runId: string, stop: StopSource) {
    this.#manager = runtime.manager;
    this.#runId = runId;
    this.#stop = stop;
    this.#registered = this.#begin();
  }

  /** Resolves when a request that came before the start is known; at a stop; or when patience has run out. */
  async ready(): Promise<void> {
    if (this.#isRegistered) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        runtime.report("The cancellation manager is slow to register runs", `${patienceMs} ms have passed`);
        resolve();
      }, patienceMs);
      const unlink = this.#stop.onStop(() => {
        clearTimeout(timer);
        resolve();
      });
      this.#registered.then(() => {
        clearTimeout(timer);
        unlink();
        resolve();
      });
    });
  }

  /** Removes the entry; with a manager in memory at once, so that a new run may take the same id. */
  async end(): Promise<void> {
    this.#endWatch();
    const cleaned = this.#isRegistered ? this.#cleanup() : this.#registered.then(() => this.#cleanup());
    const gone = patience(cleaned).catch((error) => this.#report(error));
    runtime.leaving.set(this.#runId, gone);
    await gone;
    if (runtime.leaving.get(this.#runId) === gone) runtime.leaving.delete(this.#runId);
  }

  async #begin(): Promise<void> {
    const cancel = ({ reason }: { reason: unknown }) => this.#stop.stop("cancel", reason);
    try {
      await runtime.leaving.get(this.#runId);
      // A manager that is down now may come back while the run is at work: it is watched in any case.
      await this.#manager.register(this.#runId).catch((error) => this.#report(error));
      this.#unwatch = this.#manager.watch(this.#runId, cancel, (error) => this.#report(error));
      const request = await this.#manager.isCancelled(this.#runId);
      if (request !== undefined) cancel(request);
    } catch (error) {
      this.#report(error);
    }
    this.#isRegistered = true;
  }

  async #cleanup(): Promise<void> {
    this.#endWatch();
    try {
      await this.#manager.cleanup(this.#runId);
    } catch (error) {
      this.#report(error);
    }
  }

  #endWatch(): void {
    const unwatch = this.#unwatch;
    this.#unwatch = undefined;
    try {
      unwatch?.();
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    runtime.report("The cancellation manager failed; runs go on without it", error);
  }
}
