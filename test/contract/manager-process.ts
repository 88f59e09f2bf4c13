// The parent's side of manager-child.ts: starts such a process, tells it what to do, and ends it by its id.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { ChildNews, ChildOrder } from "./manager-child.ts";

/** How another process makes its manager: the file and the name of the class, and options that are JSON. */
export interface ManagerRecipe {
  readonly module: string;
  readonly name: string;
  readonly options: object;
}

type News<S extends ChildNews["said"]> = Extract<ChildNews, { said: S }>;

const patienceMs = 15_000;

export class ManagerProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #news: ChildNews[] = [];
  readonly #listeners = new Set<() => void>();
  #stderr = "";

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr += text;
    });
    child.on("message", (news: ChildNews) => {
      this.#news.push(news);
      for (const listener of [...this.#listeners]) listener();
    });
    child.on("exit", () => {
      for (const listener of [...this.#listeners]) listener();
    });
  }

  static async start({ module, name, options }: ManagerRecipe): Promise<ManagerProcess> {
    const { NODE_OPTIONS: _, ...env } = process.env;
    const file = fileURLToPath(new URL("manager-child.ts", import.meta.url));
    const child = fork(file, [module, name, JSON.stringify(options)], {
      cwd: fileURLToPath(new URL("../..", import.meta.url)),
      execArgv: ["--import", "tsx"],
      env,
      stdio: ["ignore", "inherit", "pipe", "ipc"],
    });
    const started = new ManagerProcess(child);
    await started.#hears((news): news is News<"ready"> => news.said === "ready", "be ready");
    return started;
  }

  get faults(): string[] {
    return this.#news.flatMap((news) => (news.said === "fault" ? [news.message] : []));
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Begins a run; resolves when its model has said something. */
  async run(runId: string): Promise<void> {
    this.#order({ do: "run", runId });
    await this.#of("running", runId);
  }

  async cancel(runId: string, reason?: unknown): Promise<boolean> {
    this.#order({ do: "cancel", runId, reason });
    return (await this.#of("cancelled", runId)).found;
  }

  ended(runId: string): Promise<News<"ended">> {
    return this.#of("ended", runId);
  }

  settled(runId: string): Promise<News<"settled">> {
    return this.#of("settled", runId);
  }

  /** Lets go of the child; gives its exit code, or "hangs" where it does not end by itself. */
  async leave(): Promise<number | null | "hangs"> {
    const exit = once(this.#child, "exit").then(([code]) => code as number | null);
    this.#order({ do: "leave" });
    const hangs = new Promise<"hangs">((resolve) => setTimeout(resolve, 5000, "hangs").unref());
    return Promise.race([exit, hangs]);
  }

  /** As by `kill -9`. */
  async kill(): Promise<void> {
    if (this.#isGone) return;
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  get #isGone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #order(order: ChildOrder): void {
    this.#child.send(order);
  }

  async #of<S extends "running" | "cancelled" | "ended" | "settled">(
    said: S,
    runId: string,
  ): Promise<News<S>> {
    const fits = (news: ChildNews): news is News<S> =>
      news.said === said && "runId" in news && news.runId === runId;
    return this.#hears(fits, `say that ${runId} is ${said}`);
  }

  #hears<N extends ChildNews>(fits: (news: ChildNews) => news is N, what: string): Promise<N> {
    return new Promise((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`Waited in vain for the child to ${what}: ${why}`));
      const timer = setTimeout(() => {
        this.#listeners.delete(look);
        fail(`${patienceMs} ms have passed. ${this.#stderr}`);
      }, patienceMs);
      const look = () => {
        const found = this.#news.find(fits);
        if (found === undefined && !this.#isGone) return;
        clearTimeout(timer);
        this.#listeners.delete(look);
        if (found === undefined) fail(`it has ended. ${this.#stderr}`);
        else resolve(found);
      };
      this.#listeners.add(look);
      look();
    });
  }
}
