// A process of its own with a SQLite store and a manager, told by messages what to call: the other side of the tests.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { SqliteCancellationManager, SqliteRunStore } from "../../src/adapters/sqlite.ts";

/** What a process may be asked for: a method of one of its objects, or one of its own jobs. */
export interface Request {
  readonly id: number;
  readonly target: "store" | "manager" | "job";
  readonly method: string;
  readonly args: readonly unknown[];
}

export interface Reply {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: { readonly name: string; readonly message: string; readonly code?: unknown };
}

type Method = (...args: never[]) => Promise<unknown>;
type Remote<T> = {
  readonly [Key in keyof T as T[Key] extends Method ? Key : never]: T[Key];
};

export class StoreProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  readonly #exited: Promise<unknown>;
  #last = 0;
  stderr = "";
  readonly store = this.#remote<Remote<SqliteRunStore>>("store");
  readonly manager = this.#remote<Remote<SqliteCancellationManager>>("manager");
  readonly job = this.#remote<Record<string, (...args: readonly unknown[]) => Promise<unknown>>>("job");

  constructor(path: string, environment: NodeJS.ProcessEnv = {}) {
    this.#child = fork(join(import.meta.dirname, "sqlite-child.ts"), [path], {
      execArgv: ["--import", "tsx"],
      env: { ...process.env, ...environment },
      stdio: ["ignore", "inherit", "pipe", "ipc"],
    });
    this.#exited = once(this.#child, "exit");
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.#child.on("message", (reply: Reply) => {
      this.#waiting.get(reply.id)?.(reply);
      this.#waiting.delete(reply.id);
    });
    this.#child.on("exit", () => {
      for (const [id, settle] of this.#waiting)
        settle({ id, error: { name: "Error", message: `died: ${this.stderr}` } });
      this.#waiting.clear();
    });
  }

  /** Resolves when the process answers. */
  ready(): Promise<unknown> {
    return this.#ask("job", "pid", []);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** `kill -9`: the process has no chance to give anything back. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }

  /** Lets the process end by itself; gives its exit code. */
  async leave(): Promise<number | null> {
    if (this.#child.connected) this.#child.disconnect();
    await this.#exited;
    return this.#child.exitCode;
  }

  #remote<T>(target: Request["target"]): T {
    const call =
      (method: string) =>
      (...args: readonly unknown[]) =>
        this.#ask(target, method, args);
    return new Proxy({}, { get: (_, method) => call(String(method)) }) as T;
  }

  #ask(target: Request["target"], method: string, args: readonly unknown[]): Promise<unknown> {
    this.#last += 1;
    const request: Request = { id: this.#last, target, method, args };
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.id, ({ value, error }) => {
        if (error === undefined) resolve(value);
        else reject(Object.assign(new Error(error.message), error));
      });
      this.#child.send(request, (error) => {
        if (error !== null) reject(error);
      });
    });
  }
}
