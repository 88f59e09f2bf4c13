/**
 * Shows two processes on one machine with nothing between them but a file: the first submits a run and stops it, the
 * second is the worker. What the run had said by the stop is kept, with a history that can be sent again.
 *
 * Run it: npx tsx --tsconfig examples/tsconfig.json examples/stop-from-another-process.ts
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CallOptions, configure, llmFunction, prompt, runs, startWorker } from "llmethod";
import { SqliteRunStore } from "llmethod/sqlite";
import { connect } from "./connect.ts";

const tell = llmFunction({ name: "tell" })(
  (subject: string, _options?: CallOptions) => prompt`Tell me a very long story about ${subject}`,
);

const [, file = "", path] = process.argv;
if (path !== undefined) await work(path);
else await submitAndStop();

/** The second process: SIGTERM makes it leave. */
async function work(path: string): Promise<void> {
  const connection = await connect({ pace: 2 });
  configure({ model: connection.model, store: new SqliteRunStore({ path }) });
  await startWorker({ functions: [tell], drainMs: 500 });
  console.log(`  process ${process.pid} is the worker`);
}

/** The first process. */
async function submitAndStop(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "stop-"));
  const path = join(folder, "runs.db");
  const store = new SqliteRunStore({ path });
  configure({ store, worker: false });
  const worker = spawn(process.execPath, [...process.execArgv, file, path], { stdio: "inherit" });
  try {
    const { runId } = await tell.background("bees");
    console.log(`  process ${process.pid} has submitted ${runId}`);
    let said = "";
    for await (const event of runs.events(runId)) {
      if (event.type === "text-delta") said += event.delta;
      if (said.length > 200) break; // leaving a watch does not stop the run
    }
    const askedAt = performance.now();
    assert.equal(await runs.cancel(runId, "that is enough", { by: "the reader" }), true);
    const { status, outcome, stopRequest } = await runs.wait(runId, { timeoutMs: 10_000 });
    console.log(
      `  ${status} ${(performance.now() - askedAt).toFixed(0)} ms after it was asked to, by ${stopRequest?.by}:`,
    );
    console.log(`  ${outcome?.text.length} characters are kept; patches:`, outcome?.patches);
    assert.equal(status, "cancelled");
    assert.match(String(outcome?.history.at(-1)?.content), /\[stopped: that is enough\]$/);
  } finally {
    worker.kill("SIGTERM");
    await once(worker, "exit");
    await runs.close();
    await rm(folder, { recursive: true });
  }
}
