// A worker process of its own on a SQLite file, which a test may kill, stop and replace; the model answers in the test.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configure, runs } from "llmethod";
import { SqliteRunStore } from "llmethod/sqlite";
import { afterEach, beforeEach } from "vitest";
import type { WorkerSettings } from "../../src/worker-settings.ts";
import { type OpenAiServer, startServer } from "../support/server.ts";
import type { ActorSpec } from "./actor-story.ts";
import { allEvents } from "./checks.ts";
import { until } from "./models.ts";

export class Actor {
  readonly #child: ChildProcess;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  stderr = "";

  constructor(spec: ActorSpec) {
    this.#child = fork(join(import.meta.dirname, "actor-child.ts"), [JSON.stringify(spec)], {
      execArgv: ["--import", "tsx"],
      stdio: ["ignore", "inherit", "pipe", "ipc"],
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (said: string) => {
      this.stderr += said;
    });
    this.exited = once(this.#child, "exit").then(([code, signal]) => ({ code, signal }));
  }

  async ready(): Promise<this> {
    const died = this.exited.then(() => {
      throw new Error(`It ended before it worked: ${this.stderr}`);
    });
    await Promise.race([once(this.#child, "message"), died]);
    died.catch(() => {}); // it ends by the test's hand from here on
    return this;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.exited;
  }
}

export type ActorOptions = WorkerSettings & Pick<Partial<ActorSpec>, "names" | "workers">;

/** What the tests with processes have: this process submits and watches, others work. */
export interface Theatre {
  readonly server: OpenAiServer;
  readonly store: SqliteRunStore;
  readonly directory: string;
  /** A worker process; ended after the test. */
  actor(options?: ActorOptions): Promise<Actor>;
  /** What the tools have noted so far: `begin note call_1`, `end note call_1`. */
  diary(): string[];
  /** These tools, and no others, wait from now on before they end. */
  hold(...tools: readonly string[]): void;
  noted(line: string): Promise<void>;
  /** Waits for an event of the run. */
  told(runId: string, type: string): Promise<void>;
}

export function useTheatre(): Theatre {
  let open: { server: OpenAiServer; store: SqliteRunStore; directory: string; actors: Actor[] } | undefined;
  const now = () => {
    if (open === undefined) throw new Error("a theatre is open during a test only");
    return open;
  };
  beforeEach(async () => {
    const directory = mkdtempSync(join(tmpdir(), "llmethod-"));
    writeFileSync(join(directory, "diary"), "");
    const store = new SqliteRunStore({ path: join(directory, "runs.db") });
    open = { server: await startServer(), store, directory, actors: [] };
    configure({ store, worker: false });
  });
  afterEach(async () => {
    const { server, store, directory, actors } = now();
    await Promise.all(actors.map((actor) => actor.kill()));
    await store.close();
    await server.close();
    rmSync(directory, { recursive: true, force: true });
    open = undefined;
  });
  const diary = () => readFileSync(join(now().directory, "diary"), "utf8").split("\n").slice(0, -1);
  return {
    get server() {
      return now().server;
    },
    get store() {
      return now().store;
    },
    get directory() {
      return now().directory;
    },
    actor({ names = ["story"], workers = 1, ...settings } = {}) {
      const { directory, server, actors } = now();
      const actor = new Actor({ directory, url: server.url, names, workers, settings });
      actors.push(actor);
      return actor.ready();
    },
    diary,
    hold(...tools) {
      const { directory } = now();
      for (const name of readdirSync(directory)) if (name.startsWith("gate-")) rmSync(join(directory, name));
      for (const tool of tools) writeFileSync(join(directory, `gate-${tool}`), "");
    },
    noted: (line) => until(() => diary().includes(line)),
    told: (runId, type) =>
      until(async () => {
        if ((await runs.get(runId)) === undefined) return false;
        return (await allEvents(now().store, runId)).some((event) => event.type === type);
      }),
  };
}
