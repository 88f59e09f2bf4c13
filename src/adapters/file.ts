/** A cancellation manager on a directory: stops between the processes of one machine, with nothing to set up. */
import { resolve } from "node:path";
import { CancellationManager, type StopRequest } from "../cancellation.ts";
import { UsageError } from "../errors.ts";
import { shown } from "../json.ts";
import { FileEntries } from "./file-entries.ts";
import { Folders, namesIn } from "./file-folder.ts";
import { FileRequests } from "./file-requests.ts";
import { FolderWatch } from "./file-watch.ts";
import { OwnEntries } from "./own-entries.ts";
import { checkKeys, checkLifetime } from "./stop-request.ts";
import { WatchList } from "./watch-list.ts";

export interface FileCancellationOptions {
  /** Where the files are; it is made when first needed. Default `.llmethod/cancellation` in the working directory. */
  readonly directory?: string;
  /** How long a request is kept for a run that has not started, in ms. Default 24 h. */
  readonly intentLifetimeMs?: number;
}

const sweepMs = 60 * 60 * 1000;

/**
 * Carries stop requests through files: one for each request, one for each run at work. Files are written whole or not
 * at all; one file system watch for all runs hears of new requests, and a look every 200 ms finds what it missed.
 *
 * The entries of a process that was killed are known by its pid and its start (Linux; elsewhere by its pid), and go.
 * Where the directory is shared with other machines, their entries are believed for `intentLifetimeMs`.
 *
 * @throws UsageError `invalid_option` for options that it does not know or that cannot be
 * @example
 * setCancellationManager(new FileCancellationManager({ directory: "/var/lib/my-app/cancellation" }));
 * // … and in another process, with a manager of the same directory:
 * await cancelRun("run-1", "the user left");
 */
export class FileCancellationManager extends CancellationManager {
  readonly #folders: Folders;
  readonly #entries: FileEntries;
  readonly #requests: FileRequests;
  readonly #lifetimeMs: number;
  readonly #own = new OwnEntries(async (entry) => {
    await this.#entries.remove(entry);
    await this.#requests.remove(entry.runId);
  });
  readonly #watches = new WatchList();
  readonly #watch: FolderWatch;
  /** Watched runs whose request could not be read, so that it is told once. */
  readonly #unreadable = new Set<string>();
  #sweptAt = 0;
  #isClosed = false;

  constructor(options: FileCancellationOptions = {}) {
    super();
    checkKeys("FileCancellationManager", options, ["directory", "intentLifetimeMs"]);
    const { directory = ".llmethod/cancellation", intentLifetimeMs } = options;
    if (typeof directory !== "string" || directory === "") {
      throw new UsageError("invalid_option", `"directory" must be a path, not ${shown(directory)}.`);
    }
    this.#lifetimeMs = checkLifetime(intentLifetimeMs);
    this.#folders = new Folders(resolve(directory));
    this.#entries = new FileEntries(this.#folders, this.#lifetimeMs, (fault) =>
      this.#watches.complain(fault),
    );
    this.#requests = new FileRequests(this.#folders, this.#entries, this.#lifetimeMs);
    this.#watch = new FolderWatch(this.#folders.requests, {
      found: (names) => this.#found(names),
      fail: (error) => this.#watches.fail(error),
      back: () => void this.#back(),
    });
  }

  async register(runId: string): Promise<void> {
    this.#checkOpen();
    const entry = this.#own.add(runId);
    await this.#requests.expire(runId);
    await this.#entries.put(entry);
  }

  async cancel(runId: string, reason?: unknown): Promise<boolean> {
    this.#checkOpen();
    await this.#requests.expire(runId);
    const wasRegistered = await this.#entries.has(runId);
    await this.#requests.add(runId, reason);
    const isRegistered = await this.#entries.has(runId);
    // The run has ended meanwhile, by this request or just before it: a later run is not to find it.
    if (wasRegistered && !isRegistered) await this.#requests.remove(runId);
    await this.#sweep();
    return wasRegistered || isRegistered;
  }

  async isCancelled(runId: string): Promise<StopRequest | undefined> {
    this.#checkOpen();
    return this.#requests.get(runId);
  }

  async cleanup(runId: string): Promise<void> {
    this.#checkOpen();
    await this.#own.end(runId);
  }

  async activeRuns(): Promise<ReadonlyMap<string, boolean>> {
    this.#checkOpen();
    const requests = new Set(await namesIn(this.#folders.requests));
    const runIds = await this.#entries.runIds();
    return new Map(runIds.map((runId) => [runId, requests.has(this.#requests.nameOf(runId))]));
  }

  override watch(
    runId: string,
    onCancel: (request: StopRequest) => void,
    onFault: (error: unknown) => void = () => {},
  ): () => void {
    this.#checkOpen();
    const unwatch = this.#watches.add(runId, onCancel, onFault);
    this.#watch.start();
    void this.#check(runId);
    return () => {
      unwatch();
      this.#rest();
    };
  }

  /** Ends all watches and removes the entries of this manager's runs. After it, every method throws an error. */
  override async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watches.clear();
    this.#watch.stop();
    await this.#own.endAll();
  }

  #found(names: readonly string[]): void {
    this.#watches.recover();
    const found = new Set(names);
    for (const runId of this.#watches.runIds) {
      if (found.has(this.#requests.nameOf(runId))) void this.#check(runId);
    }
  }

  async #check(runId: string): Promise<void> {
    try {
      const request = await this.isCancelled(runId);
      this.#unreadable.delete(runId);
      if (request === undefined || this.#isClosed) return;
      this.#watches.deliver(request);
      this.#rest();
    } catch (error) {
      if (this.#isClosed || this.#unreadable.has(runId) || !this.#watches.has(runId)) return;
      this.#unreadable.add(runId);
      if (hasSystemCode(error)) this.#watches.fail(error);
      else this.#watches.complain(error, runId);
    }
  }

  /** The directory is there again: it may have lost this manager's entries. */
  async #back(): Promise<void> {
    try {
      await this.#own.endLeft();
      for (const entry of this.#own.all) {
        await this.#entries.put(entry);
        if (!this.#own.has(entry)) await this.#entries.remove(entry);
      }
    } catch (error) {
      this.#watches.complain(error);
    }
  }

  #rest(): void {
    if (!this.#watches.isEmpty) return;
    this.#watch.stop();
    this.#unreadable.clear();
  }

  /** Removes, once an hour at most, what nobody will ask for any more. */
  async #sweep(): Promise<void> {
    if (Date.now() - this.#sweptAt < Math.min(sweepMs, this.#lifetimeMs)) return;
    this.#sweptAt = Date.now();
    try {
      await this.#entries.runIds();
      await this.#requests.expireAll();
      await this.#folders.removeLeftovers();
    } catch (error) {
      this.#watches.complain(error);
    }
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new Error("This FileCancellationManager was closed.");
  }
}

const hasSystemCode = (error: unknown): boolean => error instanceof Error && "syscall" in error;
