/**
 * Shows a crash: the worker is killed in the middle of a run, and a new one takes the run up. Tools that had finished
 * do not run again, a watcher goes on at the event where it was, and the answer is whole.
 *
 * Run it: npx tsx --tsconfig examples/tsconfig.json examples/re-attach.ts
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type CallOptions, configure, llmFunction, prompt, runs, startWorker, tool } from "llmethod";
import { SqliteRunStore } from "llmethod/sqlite";
import { scriptedModel } from "llmethod/testing";
import * as z from "zod";

const [, file = "", path, part] = process.argv;

// The model of each process answers from a script: the second goes on where the first was killed.
const model = scriptedModel(
  part === "second"
    ? ["Bees dance to tell where flowers are, and ants lay trails."]
    : [{ calls: [{ name: "look_up", input: { topic: "bees" } }] }, { text: "Bees dance to", hang: true }],
);
const lookUp = tool({
  name: "look_up",
  description: "Look something up",
  input: z.object({ topic: z.string() }),
  execute: ({ topic }) => {
    console.log(`  process ${process.pid} looks up ${topic}`);
    return `${topic} dance`;
  },
});
const study = llmFunction({ name: "study", model, toolkit: [lookUp] })(
  (subject: string, _options?: CallOptions) => prompt`Tell me how ${subject} find their way`,
);

if (path !== undefined) {
  configure({ store: new SqliteRunStore({ path }) });
  await startWorker({ functions: [study] });
} else await watchOverACrash();

async function watchOverACrash(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "re-attach-"));
  const database = join(folder, "runs.db");
  const store = new SqliteRunStore({ path: database });
  configure({ store, worker: false });
  const { runId } = await study.background("bees and ants");

  const first = startProcess(database, "first");
  let last = 0;
  for await (const event of runs.events(runId)) {
    show(event);
    last = event.seq;
    if (event.type === "text-delta") break;
  }
  first.kill("SIGKILL");
  await once(first, "exit");
  console.log(`  the worker ${first.pid} is dead; the run is ${(await runs.get(runId))?.status}`);

  const second = startProcess(database, "second");
  // The cursor is all that a watcher needs: also after its own restart, in any process.
  for await (const event of runs.events(runId, { after: last })) show(event);
  const { status, attempt, outcome } = await runs.wait(runId);
  console.log(`  ${status} at attempt ${attempt}: ${outcome?.value}`);
  assert.equal(status, "completed");
  assert.equal(attempt, 2);
  assert.equal(outcome?.value, "Bees dance to tell where flowers are, and ants lay trails.");

  second.kill("SIGTERM");
  await once(second, "exit");
  await runs.close();
  await sleep(50);
  await rm(folder, { recursive: true, force: true });
}

function startProcess(database: string, part: string): ChildProcess {
  return spawn(process.execPath, [...process.execArgv, file, database, part], { stdio: "inherit" });
}

function show(event: { readonly type: string; readonly seq: number }): void {
  console.log(`  event ${event.seq}: ${event.type}`, "delta" in event ? JSON.stringify(event.delta) : "");
}
