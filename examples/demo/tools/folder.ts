/** Confines the demo's tools to one folder: every path that a model names goes through here. */
import { constants, type Dirent } from "node:fs";
import { type FileHandle, open, readdir, realpath, stat } from "node:fs/promises";
import { isAbsolute, join, relative, resolve, sep } from "node:path";

/** Too large, of no use, or secret: these are neither listed nor read. */
const HIDDEN = /^(?:node_modules|\.git|\.env(?:\..+)?)$/;
/** What tools make of the sources would only say everything twice. */
const MADE = /^(?:dist|coverage)$/;
const BINARY_PROBE = 8_000;

/** A text file's beginning. */
export interface FileText {
  readonly text: string;
  readonly truncated: boolean;
}

export class Folder {
  /** The real path, without symbolic links. */
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  /** @throws Error where there is no such folder */
  static async open(path: string): Promise<Folder> {
    const root = await realpath(path).catch(() => undefined);
    if (root === undefined || !(await stat(root)).isDirectory())
      throw new Error(`There is no folder ${path}.`);
    return new Folder(root);
  }

  /** The files below `folder`, sorted, as paths relative to the root. Symbolic links are not followed. */
  async *files(folder: string | undefined, abortSignal: AbortSignal): AsyncGenerator<string> {
    const start = await this.#find(folder || ".");
    if (!(await stat(start)).isDirectory()) throw new Error(`${folder} is a file, not a folder.`);
    yield* this.#walk(start, abortSignal);
  }

  /**
   * The first `limit` bytes of a file; nothing where the file is binary.
   *
   * @throws Error for what is no file, or not below the root
   */
  async read(path: string, limit: number): Promise<FileText | undefined> {
    const real = await this.#find(path);
    const found = await stat(real);
    if (found.isDirectory()) throw new Error(`${path} is a folder: list_files shows what is in it.`);
    // A pipe or a device might never end.
    if (!found.isFile()) throw new Error(`${path} is no regular file.`);
    const file = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      return await beginningOf(file, limit);
    } finally {
      await file.close();
    }
  }

  /** The real path, after it is sure that it lies below the root. */
  async #find(path: string): Promise<string> {
    const wanted = resolve(this.root, path);
    this.#check(wanted, path);
    const real = await realpath(wanted).catch(() => undefined);
    if (real === undefined) throw new Error(`There is no file or folder ${path}.`);
    this.#check(real, path);
    return real;
  }

  #check(target: string, path: string): void {
    const inside = relative(this.root, target);
    const parts = inside.split(sep);
    if (parts[0] === ".." || isAbsolute(inside)) {
      throw new Error(`${path} is outside of the folder that I may look into.`);
    }
    const hidden = parts.find((part) => HIDDEN.test(part));
    if (hidden !== undefined) throw new Error(`${path} is not shown: I leave ${hidden} alone.`);
  }

  async *#walk(directory: string, abortSignal: AbortSignal): AsyncGenerator<string> {
    abortSignal.throwIfAborted();
    // A folder that may not be read is passed over, as a search should not end there.
    const entries: Dirent[] = await readdir(directory, { withFileTypes: true }).catch(() => []);
    entries.sort((one, other) => (one.name < other.name ? -1 : 1));
    for (const entry of entries) {
      if (HIDDEN.test(entry.name)) continue;
      const path = join(directory, entry.name);
      if (entry.isDirectory() && !MADE.test(entry.name)) yield* this.#walk(path, abortSignal);
      else if (entry.isFile()) yield relative(this.root, path).replaceAll(sep, "/");
    }
  }
}

async function beginningOf(file: FileHandle, limit: number): Promise<FileText | undefined> {
  const buffer = Buffer.alloc(limit + 1);
  let size = 0;
  while (size < buffer.length) {
    const { bytesRead } = await file.read(buffer, size, buffer.length - size);
    if (bytesRead === 0) break;
    size += bytesRead;
  }
  if (buffer.subarray(0, Math.min(size, BINARY_PROBE)).includes(0)) return undefined;
  const truncated = size > limit;
  // In the stream mode a character that the limit cuts in two is left out instead of being garbled.
  const text = new TextDecoder().decode(buffer.subarray(0, Math.min(size, limit)), { stream: truncated });
  return { text, truncated };
}
