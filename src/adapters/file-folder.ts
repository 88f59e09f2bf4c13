/** Small files that several processes write and read at once: whole or not there, created once, moved away whole. */
import { randomUUID } from "node:crypto";
import { link, mkdir, readdir, readFile, rename, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

const leftoverMs = 60 * 60 * 1000;

export class Folders {
  readonly requests: string;
  readonly runs: string;
  readonly #drafts: string;

  constructor(directory: string) {
    this.requests = join(directory, "requests");
    this.runs = join(directory, "runs");
    this.#drafts = join(directory, "drafts");
  }

  async make(): Promise<void> {
    for (const folder of [this.requests, this.runs, this.#drafts]) await mkdir(folder, { recursive: true });
  }

  /** Puts the file there, in place of what was there. */
  async put(path: string, text: string): Promise<void> {
    await rename(await this.#draft(text), path);
  }

  /** Puts the file there where there is none; `false` where there was one, which stays. */
  async putNew(path: string, text: string): Promise<boolean> {
    const draft = await this.#draft(text);
    try {
      return await this.#linkNew(draft, path);
    } finally {
      await remove(draft);
    }
  }

  /**
   * Removes the file unless `isWanted` says, once it is out of the way, that somebody needs it again: so nothing can
   * slip in between the question and the removal.
   */
  async removeUnless(path: string, isWanted: () => Promise<boolean>): Promise<void> {
    const draft = this.#newDraft();
    if (!(await ifThere(rename(path, draft).then(() => true)))) return;
    try {
      if (await isWanted()) await this.#linkNew(draft, path);
    } finally {
      await remove(draft);
    }
  }

  /** Drafts that processes have left behind as they were killed. */
  async removeLeftovers(): Promise<void> {
    for (const name of await namesIn(this.#drafts)) {
      const path = join(this.#drafts, name);
      const stats = await ifThere(stat(path));
      if (stats !== undefined && Date.now() - stats.mtimeMs > leftoverMs) await remove(path);
    }
  }

  async #draft(text: string): Promise<string> {
    const path = this.#newDraft();
    try {
      await writeFile(path, text);
    } catch (error) {
      if (!isMissing(error)) throw error;
      await this.make();
      await writeFile(path, text);
    }
    return path;
  }

  #newDraft(): string {
    return join(this.#drafts, `${randomUUID()}.json`);
  }

  async #linkNew(draft: string, path: string): Promise<boolean> {
    try {
      await link(draft, path);
      return true;
    } catch (error) {
      if (hasCode(error, "EEXIST")) return false;
      if (isMissing(error)) await this.make();
      return this.#copyNew(draft, path);
    }
  }

  /** For file systems without hard links: a reader may see half of such a file, and then looks again. */
  async #copyNew(draft: string, path: string): Promise<boolean> {
    try {
      await writeFile(path, await readFile(draft), { flag: "wx" });
      return true;
    } catch (error) {
      if (hasCode(error, "EEXIST")) return false;
      throw error;
    }
  }
}

export function textOfFile(path: string): Promise<string | undefined> {
  return ifThere(readFile(path, "utf8"));
}

export async function remove(path: string): Promise<void> {
  await ifThere(unlink(path));
}

export async function namesIn(folder: string): Promise<string[]> {
  return (await ifThere(readdir(folder))) ?? [];
}

async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export const isMissing = (error: unknown): boolean => hasCode(error, "ENOENT");

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;
