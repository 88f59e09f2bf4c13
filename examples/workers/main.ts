/**
 * Shows the same program on one machine and on many, by configuration alone: `sqlite` needs nothing, `pg-boss` a
 * PostgreSQL, `bullmq` a Redis beside it (compose.yaml). Two worker processes share the runs that the first process
 * submits; one worker leaves in the middle and hands its run over.
 *
 * Run it: npx tsx --tsconfig examples/tsconfig.json examples/workers/main.ts [sqlite | pg-boss | bullmq]
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { type CallOptions, configure, llmFunction, prompt, runs, startWorker } from "llmethod";
import { connect } from "../connect.ts";
import { configurationOf, isReachable, type Kind } from "./configurations.ts";

const [, file = "", kind = "sqlite", place = `/tmp/workers-${process.pid}`, role] = process.argv;
const tell = llmFunction({ name: "tell" })(
  (subject: string, _options?: CallOptions) => prompt`Tell me a story about ${subject}`,
);

if (!(await isReachable(kind as Kind))) {
  console.log(
    `The servers for ${kind} are not there: start them with docker compose up -d, in examples/workers.`,
  );
  process.exitCode = process.env.CI ? 1 : 0;
} else if (role === "worker") await work();
else await submit();

async function work(): Promise<void> {
  const connection = await connect({ pace: 2 });
  configure({ ...configurationOf(kind as Kind, place), model: connection.model });
  const worker = await startWorker({ functions: [tell], concurrency: 2, drainMs: 200 });
  console.log(`  worker ${worker.owner.split("-")[0]} is ready`);
}

async function submit(): Promise<void> {
  const { store, queue } = configurationOf(kind as Kind, place);
  configure({ store, ...(queue === undefined ? {} : { queue }), worker: false });
  const workers: ChildProcess[] = [0, 1].map(() =>
    spawn(process.execPath, [...process.execArgv, file, kind, place, "worker"], { stdio: "inherit" }),
  );
  const [leaver] = workers;
  try {
    const subjects = ["bees", "owls", "ants", "bats", "eels", "rays"];
    const handles = await Promise.all(subjects.map((subject) => tell.background(subject, { key: "zoo" })));
    const first = handles[0];
    for await (const event of runs.events(first?.runId ?? "")) if (event.type === "text-delta") break;
    leaver?.kill("SIGTERM"); // its runs are handed over, not cancelled
    const records = await Promise.all(handles.map((handle) => handle.wait({ timeoutMs: 45_000 })));
    for (const { runId, status, attempt, owner, input } of records) {
      console.log(
        `  ${runId}: ${input.args[0]} ${status}, attempt ${attempt}, worker ${owner?.split("-")[0]}`,
      );
    }
    assert.ok(records.every(({ status }) => status === "completed"));
  } finally {
    for (const worker of workers) {
      worker.kill("SIGTERM");
      if (worker.exitCode === null && worker.signalCode === null) await once(worker, "exit");
    }
    await runs.close();
    await rm(place, { recursive: true, force: true });
  }
}
