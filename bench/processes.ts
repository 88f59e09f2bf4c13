/** Child processes: the server, and clients that answer tasks. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BackgroundArguments, BackgroundResults, BackgroundTask } from "./background-tasks.ts";
import type { ContenderName } from "./contenders/contender.ts";
import { machineNow } from "./measure.ts";
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

/** A process that does tasks, one at a time; `Results` says what each type of task gives. */
class TaskProcess<AnyTask extends { readonly type: keyof Results & string }, Results> {
  readonly #child: ChildProcess;

  constructor(script: string, argument: unknown, execArgv: readonly string[] = []) {
    this.#child = fork(path(script), [JSON.stringify(argument)], {
      execArgv: ["--expose-gc", ...execArgv],
      // Processes start sooner; what is measured is warm anyway.
      env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), "llmethod-bench") },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
  }

  async do<T extends AnyTask>(task: T): Promise<Results[T["type"]]> {
    const heard = new AbortController();
    const { signal } = heard;
    const answer = Promise.race([
      once(this.#child, "message", { signal }) as Promise<[Reply]>,
      once(this.#child, "exit", { signal }).then(
        ([code, killedBy]) => [{ error: `the process ended with ${killedBy ?? code}` }] as [Reply],
      ),
    ]);
    this.#child.send(task);
    const [reply] = await answer;
    heard.abort();
    if ("error" in reply) throw new Error(reply.error);
    return reply.result as Results[T["type"]];
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  stop(): Promise<void> {
    return end(this.#child);
  }

  /** Ends it as a crash would; gives the time of it. */
  async kill(): Promise<number> {
    const ended = once(this.#child, "exit");
    const at = machineNow();
    this.#child.kill("SIGKILL");
    await ended;
    return at;
  }
}

export class Client extends TaskProcess<Task, Results> {
  constructor(argument: ClientArguments, execArgv: readonly string[] = []) {
    super("./client.ts", argument, execArgv);
  }
}

/** A process that submits runs in the background, or runs them. */
export class BackgroundProcess extends TaskProcess<BackgroundTask, BackgroundResults> {
  constructor(argument: BackgroundArguments) {
    super("./background-process.ts", argument);
  }
}

/** One client for each contender; they load side by side. */
export function startClients<C extends ContenderName>(contenders: readonly C[], subject: Subject) {
  return contenders.map((contender) => ({ contender, client: new Client({ contender, subject }) }));
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.disconnect();
  await ended;
}

function path(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url));
}
