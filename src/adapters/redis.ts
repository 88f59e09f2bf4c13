/** A cancellation manager on Redis: stops between machines, told at once and stored beside it for who comes late. */
import type { Redis } from "ioredis";
import { CancellationManager, type StopRequest } from "../cancellation.ts";
import { UsageError } from "../errors.ts";
import { shown } from "../json.ts";
import { type Entry, OwnEntries } from "./own-entries.ts";
import { RedisLine } from "./redis-line.ts";
import { activeScript, cancelScript, cleanupScript, registerScript } from "./redis-scripts.ts";
import { checkKeys, checkLifetime, requestFromText, requestToText } from "./stop-request.ts";
import { WatchList } from "./watch-list.ts";

export interface RedisCancellationOptions {
  /** Where the server is. Default: the environment's `REDIS_URL`, else `redis://127.0.0.1:6379`. */
  readonly url?: string;
  /** A client of one's own for the commands, in place of `url`; stops are heard on a copy of it. It stays open. */
  readonly client?: Redis;
  /** What all keys and the channel begin with. Default `llmethod:`; on a cluster it needs a hash tag: `{llmethod}:`. */
  readonly prefix?: string;
  /** How long a request is kept for a run that has not started, in ms. Default 24 h. */
  readonly intentLifetimeMs?: number;
}

/** Entries of runs expire so long after their process has last been heard of. */
const entryMs = 60_000;
const renewMs = 20_000;
/** How often all watched runs are looked up, in one command, as a message may be lost. */
const lookMs = 1000;
const mostAtOnce = 500;

/**
 * Carries stop requests through Redis: one script stores a request and publishes it. A manager has two connections,
 * one for commands and one that hears the stops of all its runs. While the server is down every call fails within
 * half a second; the manager comes back by itself, makes its entries again and looks for requests that it missed.
 *
 * Needs the package `ioredis`. Runs of a process that was killed are forgotten after a minute.
 *
 * @throws UsageError `invalid_option` for options that it does not know or that cannot be
 * @example
 * setCancellationManager(new RedisCancellationManager({ url: "redis://127.0.0.1:6379" }));
 * // … and on another machine, with a manager of the same server:
 * await cancelRun("run-1", "the user left");
 */
export class RedisCancellationManager extends CancellationManager {
  readonly #line: RedisLine;
  readonly #prefix: string;
  readonly #lifetimeMs: number;
  readonly #own = new OwnEntries((entry) => this.#remove(entry));
  readonly #watches = new WatchList();
  /** Runs to be looked up in the next command. */
  readonly #due = new Set<string>();
  /** Watched runs whose request could not be read, so that it is told once. */
  readonly #unreadable = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #renewedAt = 0;
  #isClosed = false;

  constructor(options: RedisCancellationOptions = {}) {
    super();
    checkOptions(options);
    const { url = process.env.REDIS_URL || "redis://127.0.0.1:6379", client, prefix = "llmethod:" } = options;
    this.#prefix = prefix;
    this.#lifetimeMs = checkLifetime(options.intentLifetimeMs);
    this.#line = new RedisLine(client ?? url, `${prefix}stops`, {
      heard: (runId) => this.#lookSoon(runId),
      down: (error) => this.#watches.fail(error),
      back: () => void this.#back(),
      listening: () => void this.#look(this.#watches.runIds),
    });
  }

  async register(runId: string): Promise<void> {
    const entry = this.#own.add(runId);
    this.#wake();
    await this.#put(entry);
  }

  async cancel(runId: string, reason?: unknown): Promise<boolean> {
    const text = requestToText({ runId, reason, at: Date.now() });
    const lifetimes = [Math.max(this.#lifetimeMs, entryMs), this.#lifetimeMs];
    const known = await this.#line.ask((client, channel) =>
      client.eval(cancelScript, 3, ...this.#keys(runId), runId, text, ...lifetimes, channel),
    );
    return known === 1;
  }

  async isCancelled(runId: string): Promise<StopRequest | undefined> {
    const key = this.#requestKey(runId);
    const text = await this.#line.ask((client) => client.get(key));
    return text === null ? undefined : requestFromText(text, runId, `The key ${key}`);
  }

  async cleanup(runId: string): Promise<void> {
    try {
      await this.#own.end(runId);
    } finally {
      this.#rest();
    }
  }

  async activeRuns(): Promise<ReadonlyMap<string, boolean>> {
    const runIds = await this.#line.ask((client) => client.eval(activeScript, 1, this.#indexKey));
    if (!Array.isArray(runIds)) return new Map();
    const texts = await this.#requests(runIds);
    return new Map(runIds.map((runId) => [runId, texts.has(runId)]));
  }

  override watch(
    runId: string,
    onCancel: (request: StopRequest) => void,
    onFault: (error: unknown) => void = () => {},
  ): () => void {
    const unwatch = this.#watches.add(runId, onCancel, onFault);
    this.#line.listen();
    this.#lookSoon(runId);
    this.#wake();
    return () => {
      unwatch();
      this.#rest();
    };
  }

  /**
   * Ends all watches, removes the entries of this manager's runs and closes its connections. After it, every method
   * throws an error.
   */
  override async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#watches.clear();
    try {
      await this.#own.endAll();
    } catch {
      // The server is down: the entries expire by themselves.
    } finally {
      this.#line.close();
    }
  }

  async #put({ runId, token }: Entry): Promise<void> {
    const requestMs = Math.max(this.#lifetimeMs, entryMs);
    await this.#line.ask((client) =>
      client.eval(registerScript, 3, ...this.#keys(runId), runId, token, entryMs, requestMs),
    );
  }

  async #remove({ runId, token }: Entry): Promise<void> {
    await this.#line.ask((client) => client.eval(cleanupScript, 3, ...this.#keys(runId), runId, token));
  }

  /** Several at once go in one command. */
  #lookSoon(runId: string): void {
    if (!this.#watches.has(runId)) return;
    if (this.#due.size === 0) setImmediate(() => void this.#look());
    this.#due.add(runId);
  }

  async #look(runIds: readonly string[] = [...this.#due]): Promise<void> {
    this.#due.clear();
    const watched = runIds.filter((runId) => this.#watches.has(runId));
    if (watched.length === 0) return;
    try {
      const texts = await this.#requests(watched);
      this.#watches.recover();
      for (const [runId, text] of texts) this.#deliver(runId, text);
    } catch (error) {
      if (!this.#isClosed) this.#watches.fail(error);
    }
  }

  #deliver(runId: string, text: string): void {
    try {
      const request = requestFromText(text, runId, `The key ${this.#requestKey(runId)}`);
      this.#unreadable.delete(runId);
      this.#watches.deliver(request);
      this.#rest();
    } catch (error) {
      if (!this.#unreadable.has(runId)) this.#watches.complain(error, runId);
      this.#unreadable.add(runId);
    }
  }

  /** The texts of the requests that are there. */
  async #requests(runIds: readonly string[]): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (let i = 0; i < runIds.length; i += mostAtOnce) {
      const some = runIds.slice(i, i + mostAtOnce);
      const keys = some.map((runId) => this.#requestKey(runId));
      const texts = await this.#line.ask((client) => client.mget(keys));
      some.forEach((runId, index) => {
        const text = texts[index];
        if (typeof text === "string") found.set(runId, text);
      });
    }
    return found;
  }

  async #back(): Promise<void> {
    await this.#renew();
    await this.#look(this.#watches.runIds);
  }

  async #renew(): Promise<void> {
    this.#renewedAt = performance.now();
    try {
      await this.#own.endLeft();
      await Promise.all(this.#own.all.map((entry) => this.#put(entry)));
    } catch (error) {
      this.#watches.fail(error);
    }
  }

  #wake(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    this.#renewedAt = performance.now();
    this.#timer = setInterval(() => {
      if (performance.now() - this.#renewedAt >= renewMs) void this.#renew();
      if (!this.#watches.isEmpty) void this.#look(this.#watches.runIds);
    }, lookMs).unref();
  }

  #rest(): void {
    if (!this.#watches.isEmpty || !this.#own.isEmpty) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#unreadable.clear();
  }

  #keys(runId: string): [string, string, string] {
    return [`${this.#prefix}run:${runId}`, this.#requestKey(runId), this.#indexKey];
  }

  #requestKey(runId: string): string {
    return `${this.#prefix}stop:${runId}`;
  }

  get #indexKey(): string {
    return `${this.#prefix}runs`;
  }
}

function checkOptions(options: RedisCancellationOptions): void {
  checkKeys("RedisCancellationManager", options, ["url", "client", "prefix", "intentLifetimeMs"]);
  const { url, client, prefix } = options;
  const fail = (what: string): never => {
    throw new UsageError("invalid_option", what);
  };
  if (url !== undefined && !(typeof url === "string" && /^rediss?:\/\//.test(url))) {
    fail(`"url" must be a Redis URL such as redis://127.0.0.1:6379, not ${shown(url)}.`);
  }
  if (client !== undefined && typeof client?.duplicate !== "function") {
    fail(`"client" must be a client of ioredis, not ${shown(client)}.`);
  }
  if (url !== undefined && client !== undefined) fail('Give "url" or "client", not both.');
  if (prefix !== undefined && typeof prefix !== "string") {
    fail(`"prefix" must be a string, not ${shown(prefix)}.`);
  }
}
