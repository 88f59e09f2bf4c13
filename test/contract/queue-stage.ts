// One queue with its store, a model server that is scripted by topic, and worker processes: the stage of the queue suite.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type BackgroundOptions,
  configure,
  type QueuedRun,
  type RunHandle,
  type RunQueue,
  type RunStore,
} from "../../src/index.ts";
import {
  type Answer,
  answer,
  type ChatRequest,
  finish,
  type OpenAiServer,
  startServer,
  text,
} from "../support/server.ts";
import { type TestSchema, testSchema, url } from "./postgres-server.ts";
import { removeKeys } from "./queue-redis.ts";
import { askAs, type QueueSpec, queueOf, storeOf, type WorkerSpec } from "./worker-spec.ts";

export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #ready: Promise<unknown>;

  constructor(spec: WorkerSpec) {
    this.#child = fork(join(import.meta.dirname, "worker-child.ts"), [JSON.stringify(spec)], {
      execArgv: ["--import", "tsx"],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#exited = once(this.#child, "exit");
    this.#ready = Promise.race([
      once(this.#child, "message"),
      this.#exited.then(() => Promise.reject(new Error("a worker process did not start"))),
    ]);
    this.#ready.catch(() => {});
  }

  async ready(): Promise<this> {
    await this.#ready;
    return this;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** How it ended: an exit code or a signal. */
  async ended(): Promise<number | NodeJS.Signals | null> {
    await this.#exited;
    return this.#child.signalCode ?? this.#child.exitCode;
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }
}

export type Settings = WorkerSpec["settings"];

export class QueueStage {
  readonly #server: OpenAiServer;
  readonly #schema: TestSchema;
  readonly #folder = mkdtempSync(join(tmpdir(), "llmethod-queue-"));
  readonly #workers: WorkerProcess[] = [];
  readonly #scripts = new Map<string, Answer[]>();
  readonly #topics: string[] = [];
  /** Of keys in a Redis server that is shared. */
  readonly #prefixes: string[] = [];
  readonly #atWork = new Map<string, number>();
  readonly #mostAtWork = new Map<string, number>();
  readonly store: RunStore;
  queue: RunQueue;
  #spec: QueueSpec;
  #last = 0;

  private constructor(server: OpenAiServer, schema: TestSchema, spec: QueueSpec) {
    this.#server = server;
    this.#schema = schema;
    this.#spec = spec;
    if (spec.kind === "bullmq" && spec.prefix !== undefined) this.#prefixes.push(spec.prefix);
    this.store = storeOf({ kind: "postgres", url, schema: schema.name });
    this.queue = queueOf(spec);
    server.handle((request) => this.#answerTo(topicOf(request)));
  }

  static async open(specOf: (name: string) => QueueSpec): Promise<QueueStage> {
    const schema = await testSchema();
    const stage = new QueueStage(await startServer(), schema, specOf(schema.name));
    stage.#configure();
    return stage;
  }

  /** What the model says about the topic, request by request; after these it says "All.". */
  script(topic: string, ...answers: readonly Answer[]): void {
    this.#scripts.set(topic, [...answers]);
  }

  /** The topics of the requests to the model, in their order. */
  get asked(): readonly string[] {
    return this.#topics;
  }

  timesAsked(topic: string): number {
    return this.#topics.filter((asked) => asked === topic).length;
  }

  async untilAsked(topic: string, times = 1): Promise<void> {
    await eventually(() => this.timesAsked(topic) >= times);
  }

  /** The most answers at once for topics that begin so. */
  mostAtWork(group: string): number {
    return this.#mostAtWork.get(group) ?? 0;
  }

  /** The notes that tools have taken, in their order. */
  get notes(): readonly string[] {
    const log = join(this.#folder, "log");
    return existsSync(log) ? readFileSync(log, "utf8").split("\n").slice(0, -1) : [];
  }

  /** Starts a worker process for functions of these names. */
  worker(functions: readonly string[], settings: Settings = {}): Promise<WorkerProcess> {
    const worker = new WorkerProcess({
      store: { kind: "postgres", url, schema: this.#schema.name },
      queue: this.#spec,
      functions,
      settings,
      ...this.#model,
    });
    this.#workers.push(worker);
    return worker.ready();
  }

  submit(functionName: string, topic: string, options: BackgroundOptions = {}): Promise<RunHandle<string>> {
    return askAs(functionName, this.#model).background(topic, { runId: this.runId(topic), ...options });
  }

  runId(topic: string): string {
    this.#last += 1;
    return `${topic}:${this.#last}`;
  }

  /** From now on, runs are submitted to this queue, and workers work at it. */
  async useQueue(spec: QueueSpec): Promise<void> {
    await this.queue.close();
    this.#spec = spec;
    this.queue = queueOf(spec);
    this.#configure();
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.kill()));
    await this.queue.close();
    for (const prefix of this.#prefixes) await removeKeys(prefix);
    await this.store.close();
    await this.#server.close();
    await this.#schema.sql(`drop schema if exists "${this.#schema.name}_jobs" cascade`);
    await this.#schema.drop();
    rmSync(this.#folder, { recursive: true });
  }

  get #model(): { baseURL: string; log: string } {
    return { baseURL: this.#server.url, log: join(this.#folder, "log") };
  }

  #configure(): void {
    configure({ store: this.store, queue: this.queue, worker: false, onFault: () => {} });
  }

  #answerTo(topic: string): Answer {
    this.#topics.push(topic);
    const said = this.#scripts.get(topic)?.shift() ?? answer(text("All."), finish("stop"));
    const group = topic.split(" ")[0] ?? "";
    return async (exchange) => {
      const count = (this.#atWork.get(group) ?? 0) + 1;
      this.#atWork.set(group, count);
      this.#mostAtWork.set(group, Math.max(count, this.mostAtWork(group)));
      const leave = () => this.#atWork.set(group, (this.#atWork.get(group) ?? 1) - 1);
      await said(exchange).finally(leave);
    };
  }
}

/** Whether a job of this run waits or runs. */
export async function hasJob(queue: RunQueue, run: QueuedRun): Promise<boolean> {
  return (await queue.missing([run])).length === 0;
}

/** Waits for what must come, for half a minute at most. */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 30_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error("Waited for 30 s in vain.");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function topicOf({ messages }: ChatRequest): string {
  const content = messages.find(({ role }) => role === "user")?.content;
  if (typeof content !== "string") throw new Error("The model was asked without a topic.");
  return content;
}
