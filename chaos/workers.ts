/** The worker processes: so many at any time, whichever of them is killed. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Place } from "./place.ts";

/** How long a worker that was suspended is left alive, in ms. */
const awakeMs = 4000;

export class Workers {
  readonly #place: Place;
  #children: readonly ChildProcess[] = [];
  /** What they have said that nobody had asked for. */
  stderr = "";
  kills = 0;
  freezes = 0;
  readonly #frozen = new Set<ChildProcess>();
  readonly #thawing: Promise<void>[] = [];

  constructor(place: Place) {
    this.#place = place;
  }

  /** Resolves when all of them work. */
  async start(count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.#add()));
  }

  /** `kill -9` of one of them, chosen by a number from 0 up to 1; another takes its place. */
  async killOne(chance: number): Promise<void> {
    const child = this.#children[Math.floor(chance * this.#children.length)];
    if (child === undefined) return;
    this.kills += 1;
    await this.#end(child);
    await this.#add();
  }

  /**
   * Suspends one of them for so long that its runs are taken for lost, with another in its place. When it wakes up it
   * has to find out; a little later it is killed.
   */
  async freezeOne(chance: number, ms: number): Promise<void> {
    const child = this.#children[Math.floor(chance * this.#children.length)];
    if (child === undefined) return;
    this.freezes += 1;
    this.#children = this.#children.filter((other) => other !== child);
    this.#frozen.add(child);
    child.kill("SIGSTOP");
    this.#thawing.push(this.#thaw(child, ms));
    await this.#add();
  }

  async #thaw(child: ChildProcess, ms: number): Promise<void> {
    await sleep(ms);
    child.kill("SIGCONT");
    await sleep(awakeMs);
    this.#frozen.delete(child);
    await this.#end(child);
  }

  /** When those that are suspended have been awake again as well. */
  async endAll(): Promise<void> {
    const thawed = await Promise.allSettled(this.#thawing);
    await Promise.all([...this.#children, ...this.#frozen].map((child) => this.#end(child)));
    for (const one of thawed) if (one.status === "rejected") throw one.reason;
  }

  async #add(): Promise<void> {
    const child = fork(join(import.meta.dirname, "worker.ts"), [JSON.stringify(this.#place)], {
      // A Node that runs TypeScript by itself starts sooner.
      execArgv: process.features.typescript ? [] : ["--import", "tsx"],
      stdio: ["ignore", "inherit", "pipe", "ipc"],
    });
    this.#children = [...this.#children, child];
    child.stderr?.setEncoding("utf8").on("data", (said: string) => {
      this.stderr += said;
    });
    const died = once(child, "exit").then(([code]) => {
      throw new Error(`A worker ended with ${code} before it worked: ${this.stderr}`);
    });
    await Promise.race([once(child, "message"), died]);
    died.catch(() => {}); // from here on it ends by a kill
  }

  async #end(child: ChildProcess): Promise<void> {
    this.#children = this.#children.filter((other) => other !== child);
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`A worker ended by itself, with ${child.exitCode}: ${this.stderr}`);
    }
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }
}
