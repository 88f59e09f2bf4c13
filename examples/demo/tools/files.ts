/** The tools with which the demo's agent lists, searches and reads the files below its folder. */
import { type ToolContext, tool } from "llmethod";
import { z } from "zod";
import type { Folder } from "./folder.ts";

const READ_BYTES = 60_000;
const SEARCH_BYTES = 500_000;
const MOST_PATHS = 1_000;
const MOST_HITS = 200;
const MOST_CHARACTERS = 200;
const PROGRESS_EVERY_MS = 500;

const InFolder = z.string().optional().describe("A folder below the project's own; default: all of it");
const Reading = z.object({ path: z.string().describe("Relative to the project's folder") });
const Listing = z.object({ folder: InFolder });
const Search = z.object({ text: z.string().min(1).describe("The text, in any case"), folder: InFolder });

interface Hit {
  readonly path: string;
  readonly line: number;
  readonly text: string;
}

export class Files {
  readonly #folder: Folder;

  constructor(folder: Folder) {
    this.#folder = folder;
  }

  @tool({ name: "read_file", description: "Read a text file of the project", input: Reading })
  async readFile({ path }: z.output<typeof Reading>) {
    const file = await this.#folder.read(path, READ_BYTES);
    if (file === undefined) throw new Error(`${path} is a binary file.`);
    return { path, ...file };
  }

  @tool({
    name: "list_files",
    description: "List the project's files, folders within included",
    input: Listing,
  })
  async listFiles({ folder }: z.output<typeof Listing>, { abortSignal }: ToolContext) {
    const paths: string[] = [];
    for await (const path of this.#folder.files(folder, abortSignal)) {
      if (paths.push(path) < MOST_PATHS) continue;
      paths.push("(there are more files, which are not listed: name a folder)");
      break;
    }
    return paths;
  }

  @tool({
    name: "search_files",
    description: `Find the lines of the project that hold a text, ${MOST_HITS} at most`,
    input: Search,
  })
  async *searchFiles({ text, folder }: z.output<typeof Search>, { abortSignal }: ToolContext) {
    const wanted = text.toLowerCase();
    const hits: Hit[] = [];
    let files = 0;
    let told = Date.now();
    for await (const path of this.#folder.files(folder, abortSignal)) {
      // A file may go away, or be closed to us, between the listing and the reading.
      const file = await this.#folder.read(path, SEARCH_BYTES).catch(() => undefined);
      hits.push(...(file === undefined ? [] : hitsIn(file.text, path, wanted)));
      files++;
      if (hits.length >= MOST_HITS) break;
      if (Date.now() - told < PROGRESS_EVERY_MS) continue;
      told = Date.now();
      yield { files, hits: hits.length };
    }
    return hits.slice(0, MOST_HITS);
  }
}

function hitsIn(text: string, path: string, wanted: string): Hit[] {
  if (!text.toLowerCase().includes(wanted)) return [];
  return text.split("\n").flatMap((line, index) => {
    const at = line.toLowerCase().indexOf(wanted);
    if (at < 0) return [];
    // Of a very long line, the part around the text.
    const start = Math.max(0, Math.min(at - MOST_CHARACTERS / 2, line.length - MOST_CHARACTERS));
    return [{ path, line: index + 1, text: line.slice(start, start + MOST_CHARACTERS).trim() }];
  });
}
