/**
 * Shows a run that outlives its caller: submitted, watched while it works, asked for by its id, and listed.
 * It is kept in a SQLite file; `configure({ store })` is left out in real use, and the file is `.llmethod/runs.db`.
 *
 * Run it: npx tsx --tsconfig examples/tsconfig.json examples/background-and-poll.ts
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type CallOptions, configure, llmFunction, prompt, runs } from "llmethod";
import { SqliteRunStore } from "llmethod/sqlite";
import { connect } from "./connect.ts";

const folder = await mkdtemp(join(tmpdir(), "background-"));
const store = new SqliteRunStore({ path: join(folder, "runs.db") });
await using connection = await connect({ pace: 2 });
configure({ model: connection.model, store });

const tell = llmFunction({ name: "tell" })(
  (subject: string, _options?: CallOptions) => prompt`Tell me a story about ${subject}`,
);

// The record is stored before this resolves; the worker is in this process, as none was started elsewhere.
const { runId } = await tell.background("bees", { key: "reader-1" });
console.log(`submitted ${runId}: ${(await runs.get(runId))?.status}`);

for (let record = await runs.get(runId); record?.status !== "completed"; record = await runs.get(runId)) {
  assert.ok(record !== undefined && record.status !== "error");
  await sleep(100);
}
const record = await runs.wait(runId);
console.log(`${record.status} after ${Number(record.endedAt) - record.createdAt} ms:`, record.outcome?.usage);
console.log(`  ${record.outcome?.text.slice(0, 100)} …`);

// A handle knows what the function answers; the same id with the same arguments gives the same run.
const again = await tell.background("bees", { runId, key: "reader-1" });
const answer: string = await again.result();
assert.equal(answer, record.outcome?.value);

const others = await Promise.all(
  ["owls", "ants"].map((subject) => tell.background(subject, { key: "reader-1" })),
);
await Promise.all(others.map((handle) => handle.wait({ timeoutMs: 30_000 })));
for (const { runId, status, input } of await runs.list({ key: "reader-1" })) {
  console.log(`  ${status}: ${input.args[0]} (${runId})`);
}
assert.equal((await runs.list({ key: "reader-1", status: "completed" })).length, 3);

await runs.close();
await rm(folder, { recursive: true });
