/**
 * Shows a cancellation manager of one's own: five methods on files of a directory, which both processes of this
 * example use. A run works in the first; the second, which knows only its id, stops it. The inherited `watch` asks
 * `isCancelled` every 100 ms. (For real work there is a file manager that is told at once, and cleans up after
 * processes that were killed.)
 *
 * Run it: npx tsx --tsconfig examples/tsconfig.json examples/own-manager.ts
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type CallOptions,
  CancellationManager,
  cancelRun,
  configure,
  llmFunction,
  prompt,
  type StopRequest,
  setCancellationManager,
} from "llmethod";
import { connect } from "./connect.ts";

class FolderManager extends CancellationManager {
  readonly #runs: string;
  readonly #requests: string;

  constructor(folder: string) {
    super();
    this.#runs = join(folder, "runs");
    this.#requests = join(folder, "requests");
  }

  async register(runId: string): Promise<void> {
    await mkdir(this.#runs, { recursive: true });
    await writeFile(fileOf(this.#runs, runId), "");
  }

  async cancel(runId: string, reason?: unknown): Promise<boolean> {
    const request: StopRequest = { runId, reason, at: Date.now() };
    await mkdir(this.#requests, { recursive: true });
    // "wx" writes no second time: the first request stays.
    await writeFile(fileOf(this.#requests, runId), JSON.stringify(request), { flag: "wx" }).catch(
      unless("EEXIST"),
    );
    return (await this.activeRuns()).has(runId);
  }

  async isCancelled(runId: string): Promise<StopRequest | undefined> {
    const text = await readFile(fileOf(this.#requests, runId), "utf8").catch(unless("ENOENT"));
    // A file that is being written just now is empty, and asked for again.
    return text ? JSON.parse(text) : undefined;
  }

  async cleanup(runId: string): Promise<void> {
    await rm(fileOf(this.#runs, runId), { force: true });
    await rm(fileOf(this.#requests, runId), { force: true });
  }

  async activeRuns(): Promise<ReadonlyMap<string, boolean>> {
    const runs = (await readdir(this.#runs).catch(unless("ENOENT"))) ?? [];
    const requests = (await readdir(this.#requests).catch(unless("ENOENT"))) ?? [];
    return new Map(runs.map((name) => [decodeURIComponent(name), requests.includes(name)]));
  }
}

const fileOf = (folder: string, runId: string): string => join(folder, encodeURIComponent(runId));

/** Takes an error with this code for "nothing there"; throws any other. */
const unless = (code: string) => (error: NodeJS.ErrnoException) => {
  if (error.code !== code) throw error;
  return undefined;
};

const [, file = "", folder, runId] = process.argv;
if (folder !== undefined && runId !== undefined) await stopFromHere(folder, runId);
else await runAndBeStopped();

/** The second process. */
async function stopFromHere(folder: string, runId: string): Promise<void> {
  setCancellationManager(new FolderManager(folder));
  const found = await cancelRun(runId, { by: "another process" });
  console.log(`  process ${process.pid}: asked ${runId} to stop; at work: ${found}`);
  assert.equal(found, true);
}

/** The first process. */
async function runAndBeStopped(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "own-manager-"));
  const manager = new FolderManager(folder);
  await using connection = await connect();
  configure({ model: connection.model, cancellation: manager });
  const tell = llmFunction({ name: "tell" })(
    (subject: string, _options?: CallOptions) => prompt`Tell me a very long story about ${subject}`,
  );

  try {
    const run = tell.stream("bees", { runId: "story/1" });
    let isAsked = false;
    for await (const _piece of run.textStream()) {
      if (isAsked) continue;
      isAsked = true;
      console.log(`  process ${process.pid}: ${run.runId} has begun`);
      const args = [...process.execArgv, file, folder, run.runId];
      const other = spawn(process.execPath, args, { stdio: "inherit" });
      const [code] = await once(other, "exit");
      assert.equal(code, 0);
    }
    const outcome = await run.outcome;
    const reason = outcome.status === "cancelled" ? outcome.reason : undefined;
    console.log(
      `  process ${process.pid}: ${outcome.status} after ${outcome.text.length} characters;`,
      reason,
    );
    assert.equal(outcome.status, "cancelled");
    assert.deepEqual(reason, { by: "another process" });
    await run.settled;
    assert.equal((await manager.activeRuns()).size, 0, "nothing is left behind");
  } finally {
    await rm(folder, { recursive: true });
  }
}
