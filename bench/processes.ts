/** Child processes: the server, and clients that answer tasks. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ContenderName } from "./contenders/contender.ts";
import type { ClientArguments, Reply, Results, Subject, Task } from "./tasks.ts";

export interface Server {
  readonly baseURL: string;
  stop(): Promise<void>;
}

export async function startServer(): Promise<Server> {
  const child = fork(path("./server.ts"), { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const [{ port }] = (await once(child, "message")) as [{ port: number }];
  return { baseURL: `http://127.0.0.1:${port}/v1`, stop: () => end(child) };
}

export class Client {
  readonly #child: ChildProcess;

  constructor(argument: ClientArguments, execArgv: readonly string[] = []) {
    this.#child = fork(path("./client.ts"), [JSON.stringify(argument)], {
      execArgv: ["--expose-gc", ...execArgv],
      // Clients start sooner; what is measured is warm anyway.
      env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), "llmethod-bench") },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
  }

  async do<T extends Task>(task: T): Promise<Results[T["type"]]> {
    const answer = Promise.race([
      once(this.#child, "message") as Promise<[Reply]>,
      once(this.#child, "exit").then(([code]) => [{ error: `the client ended with ${code}` }] as [Reply]),
    ]);
    this.#child.send(task);
    const [reply] = await answer;
    if ("error" in reply) throw new Error(reply.error);
    return reply.result as Results[T["type"]];
  }

  stop(): Promise<void> {
    return end(this.#child);
  }
}

/** One client for each contender; they load side by side. */
export function startClients<C extends ContenderName>(contenders: readonly C[], subject: Subject) {
  return contenders.map((contender) => ({ contender, client: new Client({ contender, subject }) }));
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = once(child, "exit");
  child.disconnect();
  await ended;
}

function path(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url));
}
