/** Hears of new files in a folder: by one file system watch, and by a look from time to time, as watches may miss. */
import { type FSWatcher, watch } from "node:fs";
import { mkdir, readdir, stat } from "node:fs/promises";
import { isMissing } from "./file-folder.ts";

const pollMs = 200;

export interface FolderListener {
  /** Files that may be new. */
  found(names: readonly string[]): void;
  /** The folder cannot be read; said at each look. */
  fail(error: unknown): void;
  /** The folder can be read again, or it was gone and is there again, empty. */
  back(): void;
}

/** Works from `start` to `stop`, and holds no process open. */
export class FolderWatch {
  readonly #folder: string;
  readonly #listener: FolderListener;
  #watcher: FSWatcher | undefined;
  #watchedFolder: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isDown = false;
  /** Counts starts, so that a look which began before a stop ends there. */
  #round = 0;
  #isRunning = false;

  constructor(folder: string, listener: FolderListener) {
    this.#folder = folder;
    this.#listener = listener;
  }

  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    void this.#look(++this.#round);
  }

  stop(): void {
    this.#isRunning = false;
    this.#round++;
    clearTimeout(this.#timer);
    this.#endWatch();
  }

  async #look(round: number): Promise<void> {
    try {
      const names = await this.#names(round);
      if (round !== this.#round) return;
      if (this.#isDown) this.#listener.back();
      this.#isDown = false;
      this.#listener.found(names);
    } catch (error) {
      if (round !== this.#round) return;
      this.#isDown = true;
      this.#listener.fail(error);
    }
    this.#timer = setTimeout(() => this.#look(round), pollMs).unref();
  }

  async #names(round: number): Promise<string[]> {
    try {
      const { ino, birthtimeMs } = await stat(this.#folder);
      const folder = `${ino} ${birthtimeMs}`;
      const isWatched = this.#watcher !== undefined && folder === this.#watchedFolder;
      if (round === this.#round && !isWatched) this.#watch(folder);
      return await readdir(this.#folder);
    } catch (error) {
      if (!isMissing(error)) throw error;
      await mkdir(this.#folder, { recursive: true });
      if (this.#watchedFolder !== undefined) this.#isDown = true;
      return this.#names(round);
    }
  }

  #watch(folder: string): void {
    this.#endWatch();
    this.#watchedFolder = folder;
    try {
      this.#watcher = watch(this.#folder, { persistent: false }, (_event, name) => {
        if (name !== null) this.#listener.found([name]);
      });
      // A watch that breaks (its folder was removed, the system has too many) leaves the work to the looks.
      this.#watcher.on("error", () => this.#endWatch());
    } catch {
      // Without a watch, as on some network folders, the looks find the files as well, only later.
    }
  }

  #endWatch(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }
}
