/** The demo's slow tool: it counts files and lines, tells how far it is, and can be stopped in the middle. */
import { extname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ToolContext, tool } from "llmethod";
import { z } from "zod";
import type { Folder } from "./folder.ts";

const COUNTED_BYTES = 1_000_000;
const STEPS = 8;
const DEFAULT_SECONDS = 4;

const Request = z.object({
  folder: z.string().optional().describe("A folder below the project's own; default: all of it"),
  seconds: z.number().min(0).max(600).optional().describe(`How long it may take; default ${DEFAULT_SECONDS}`),
});

export class Surveyor {
  readonly #folder: Folder;

  constructor(folder: Folder) {
    this.#folder = folder;
  }

  @tool({
    name: "survey",
    description: "Count the project's files and lines by kind of file; slow, so only when asked for",
    input: Request,
  })
  async *survey(
    { folder, seconds = DEFAULT_SECONDS }: z.output<typeof Request>,
    { abortSignal }: ToolContext,
  ) {
    const paths: string[] = [];
    for await (const path of this.#folder.files(folder, abortSignal)) paths.push(path);
    let lines = 0;
    const byExtension: Record<string, number> = {};
    for (let step = 0; step < STEPS; step++) {
      const [from, to] = [step, step + 1].map((part) => Math.round((part * paths.length) / STEPS));
      for (const path of paths.slice(from, to)) {
        abortSignal.throwIfAborted();
        const file = await this.#folder.read(path, COUNTED_BYTES).catch(() => undefined);
        lines += file === undefined ? 0 : linesIn(file.text);
        const extension = extname(path) || "(none)";
        byExtension[extension] = (byExtension[extension] ?? 0) + 1;
      }
      // Counting alone would be over before anybody could press Ctrl+C.
      await sleep((seconds * 1000) / STEPS, undefined, { signal: abortSignal });
      yield { files: to, of: paths.length, lines };
    }
    return { files: paths.length, lines, byExtension };
  }
}

function linesIn(text: string): number {
  if (text === "") return 0;
  const breaks = text.split("\n").length - 1;
  return text.endsWith("\n") ? breaks : breaks + 1;
}
