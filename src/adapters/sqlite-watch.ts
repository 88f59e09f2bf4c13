/** The doorbell of a database file: tells listeners of this process that something was written, here or elsewhere. */
import { type FSWatcher, watch } from "node:fs";
import { basename, dirname } from "node:path";

type Bell = (runId?: string) => void;

/**
 * After a file event: when to look again, in ms. The bytes of a commit reach the file before the index that makes
 * them visible, so the first look may come too early.
 */
const rechecksMs = [1, 2, 7, 20] as const;

/** Looks by itself as often as this, in ms: file events are lost on some file systems. */
const floorMs = 250;

/** One file watcher and one timer for all listeners of a process. Nothing of it holds the process open. */
export class Doorbell {
  readonly #path: string;
  readonly #version: () => number;
  readonly #bells = new Set<Bell>();
  readonly #rung = new Set<string | undefined>();
  #watcher: FSWatcher | undefined;
  #floor: NodeJS.Timeout | undefined;
  #recheck: NodeJS.Timeout | undefined;
  #seen = Number.NaN;

  /** `version` changes when another connection has written. */
  constructor(path: string, version: () => number) {
    this.#path = path;
    this.#version = version;
  }

  /** Calls `bell` from now on; gives how to end it. */
  listen(bell: Bell): () => void {
    // A function of its own, so that the same bell may be given twice.
    const own: Bell = (runId) => bell(runId);
    if (this.#bells.size === 0) this.#begin();
    this.#bells.add(own);
    return () => {
      this.#bells.delete(own);
      if (this.#bells.size === 0) this.close();
    };
  }

  /** This process has written; listeners hear of it when the current code has run to its end. */
  ring(runId?: string): void {
    if (this.#bells.size === 0) return;
    if (this.#rung.size === 0) queueMicrotask(() => this.#deliver());
    this.#rung.add(runId);
  }

  close(): void {
    this.#bells.clear();
    this.#watcher?.close();
    this.#watcher = undefined;
    clearInterval(this.#floor);
    clearTimeout(this.#recheck);
    this.#recheck = undefined;
  }

  #begin(): void {
    this.#seen = this.#version();
    this.#floor = setInterval(() => this.#look(), floorMs).unref();
    try {
      const name = basename(this.#path);
      this.#watcher = watch(dirname(this.#path), { persistent: false }, (_, file) => {
        if (file === null || file.startsWith(name)) this.#lookOften();
      });
      this.#watcher.on("error", () => this.#watcher?.close());
    } catch {
      // Where nothing can be watched (no watches left, a file system without them) the floor does it alone.
      this.#watcher = undefined;
    }
  }

  #lookOften(next = 0): void {
    clearTimeout(this.#recheck);
    this.#look();
    const delay = rechecksMs[next];
    if (delay === undefined || this.#bells.size === 0) return;
    this.#recheck = setTimeout(() => this.#lookOften(next + 1), delay).unref();
  }

  #look(): void {
    if (this.#changed()) this.ring();
  }

  #changed(): boolean {
    try {
      const seen = this.#seen;
      this.#seen = this.#version();
      return this.#seen !== seen;
    } catch {
      // Who listens meets the same error when it looks for itself, and can tell its caller.
      return true;
    }
  }

  #deliver(): void {
    const rung = [...this.#rung];
    this.#rung.clear();
    for (const bell of [...this.#bells]) for (const runId of rung) bell(runId);
  }
}
