/** Stop requests as files, one for each run id: the first stays, and an old one that nobody waits for is gone. */
import { join } from "node:path";
import type { StopRequest } from "../cancellation.ts";
import { isPlainObject, parseJson } from "../json.ts";
import type { FileEntries } from "./file-entries.ts";
import { type Folders, namesIn, textOfFile } from "./file-folder.ts";
import { fileNameOf } from "./file-names.ts";
import { requestFromText, requestToText } from "./stop-request.ts";

export class FileRequests {
  readonly #folders: Folders;
  readonly #entries: FileEntries;
  readonly #lifetimeMs: number;

  constructor(folders: Folders, entries: FileEntries, lifetimeMs: number) {
    this.#folders = folders;
    this.#entries = entries;
    this.#lifetimeMs = lifetimeMs;
  }

  /** The name of the run's file in the folder of requests. */
  nameOf(runId: string): string {
    return `${fileNameOf(runId)}.json`;
  }

  /** @throws Error where the file is no request of this run */
  async get(runId: string): Promise<StopRequest | undefined> {
    const path = this.#pathOf(runId);
    const text = await textOfFile(path);
    if (text === undefined) return undefined;
    const request = requestFromText(text, runId, path);
    const isValid = !this.#isOld(request.at) || (await this.#entries.has(runId));
    return isValid ? request : undefined;
  }

  /** Stores a request where there is none that can be read. */
  async add(runId: string, reason: unknown): Promise<void> {
    const path = this.#pathOf(runId);
    const text = requestToText({ runId, reason, at: Date.now() });
    if (await this.#folders.putNew(path, text)) return;
    const there = readable(await textOfFile(path));
    if (there?.runId !== runId) await this.#folders.put(path, text);
  }

  /** Removes the request, if no run with this id is registered. */
  async remove(runId: string): Promise<void> {
    if (await this.#entries.has(runId)) return;
    await this.#folders.removeUnless(this.#pathOf(runId), () => this.#entries.has(runId));
  }

  /** The same, if the request has expired. */
  async expire(runId: string): Promise<void> {
    await this.#expireFile(this.#pathOf(runId));
  }

  async expireAll(): Promise<void> {
    for (const name of await namesIn(this.#folders.requests)) {
      await this.#expireFile(join(this.#folders.requests, name));
    }
  }

  async #expireFile(path: string): Promise<void> {
    const request = readable(await textOfFile(path));
    if (request !== undefined && this.#isOld(request.at)) await this.remove(request.runId);
  }

  #pathOf(runId: string): string {
    return join(this.#folders.requests, this.nameOf(runId));
  }

  #isOld(at: number): boolean {
    return Date.now() - at > this.#lifetimeMs;
  }
}

/** What a sweep needs of a request; an unreadable one is told of when its run is asked for. */
function readable(text: string | undefined): { runId: string; at: number } | undefined {
  const value = text === undefined ? undefined : parseJson(text);
  if (!isPlainObject(value)) return undefined;
  const { runId, at } = value;
  return typeof runId === "string" && typeof at === "number" ? { runId, at } : undefined;
}
