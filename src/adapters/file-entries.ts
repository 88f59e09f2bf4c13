/** Runs at work as files, one for each registration, with the process that they belong to. */
import { join } from "node:path";
import { isPlainObject, parseJson } from "../json.ts";
import { type Folders, namesIn, remove, textOfFile } from "./file-folder.ts";
import { fileNameOf } from "./file-names.ts";
import { isAlive, type Owner, thisProcess } from "./file-owner.ts";
import type { Entry } from "./own-entries.ts";

interface StoredEntry {
  readonly runId: string;
  readonly owner: Owner;
  readonly at: number;
}

const atOnce = 32;

export class FileEntries {
  readonly #folders: Folders;
  readonly #lifetimeMs: number;
  readonly #onFault: (fault: Error) => void;
  readonly #unreadable = new Set<string>();

  constructor(folders: Folders, lifetimeMs: number, onFault: (fault: Error) => void) {
    this.#folders = folders;
    this.#lifetimeMs = lifetimeMs;
    this.#onFault = onFault;
  }

  async put(entry: Entry): Promise<void> {
    const stored: StoredEntry = { runId: entry.runId, owner: await thisProcess(), at: Date.now() };
    await this.#folders.put(this.#pathOf(entry), JSON.stringify(stored));
  }

  remove(entry: Entry): Promise<void> {
    return remove(this.#pathOf(entry));
  }

  /** Whether a process that is alive has registered a run with this id. */
  async has(runId: string): Promise<boolean> {
    const start = `${fileNameOf(runId)}.`;
    const names = await namesIn(this.#folders.runs);
    for (const name of names) {
      if (name.startsWith(start) && (await this.#runIdIn(name)) === runId) return true;
    }
    return false;
  }

  /** The runs at work. Removes the entries of dead processes. */
  async runIds(): Promise<string[]> {
    const names = await namesIn(this.#folders.runs);
    const found = new Set<string>();
    for (let i = 0; i < names.length; i += atOnce) {
      const runIds = await Promise.all(names.slice(i, i + atOnce).map((name) => this.#runIdIn(name)));
      for (const runId of runIds) if (runId !== undefined) found.add(runId);
    }
    return [...found];
  }

  /** The run of an entry whose process is alive. */
  async #runIdIn(name: string): Promise<string | undefined> {
    const path = join(this.#folders.runs, name);
    const text = await textOfFile(path);
    if (text === undefined) return undefined;
    const entry = parseEntry(text);
    if (entry === undefined) {
      if (!this.#unreadable.has(name))
        this.#onFault(new Error(`${path} holds no entry of a run. Delete it.`));
      this.#unreadable.add(name);
      return undefined;
    }
    const isBelieved = (await isAlive(entry.owner)) ?? Date.now() - entry.at <= this.#lifetimeMs;
    if (isBelieved) return entry.runId;
    await remove(path);
    return undefined;
  }

  #pathOf({ runId, token }: Entry): string {
    return join(this.#folders.runs, `${fileNameOf(runId)}.${token}.json`);
  }
}

function parseEntry(text: string): StoredEntry | undefined {
  const value = parseJson(text);
  if (!isPlainObject(value) || !isPlainObject(value.owner)) return undefined;
  const { runId, at } = value;
  const { pid, start, host } = value.owner;
  if (typeof runId !== "string" || typeof at !== "number") return undefined;
  if (typeof pid !== "number" || typeof host !== "string") return undefined;
  return { runId, at, owner: typeof start === "string" ? { pid, host, start } : { pid, host } };
}
