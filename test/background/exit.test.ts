// Processes that have to do with runs in the background end by themselves when their work is done, and say nothing.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SqliteRunStore } from "llmethod/sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "llmethod-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function exitOf(phase: string) {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const path = join(directory, "runs.db");
  const file = join(import.meta.dirname, "exit-child.ts");
  const child = spawn(process.execPath, ["--import", "tsx", "--trace-warnings", file, path, phase], {
    env,
    timeout: 15_000,
  });
  let [said, stderr] = ["", ""];
  let lastAt = performance.now();
  child.stdout.setEncoding("utf8").on("data", (data: string) => {
    said += data;
    lastAt = performance.now();
  });
  child.stderr.setEncoding("utf8").on("data", (data: string) => {
    stderr += data;
  });
  const [code] = (await once(child, "close")) as [number | null];
  const store = new SqliteRunStore({ path });
  const statuses = (await store.list()).map(({ status }) => status);
  await store.close();
  return { code, said: said.trim(), stderr, lingeredMs: performance.now() - lastAt, statuses };
}

describe("a process ends by itself", () => {
  test.each<[string, string, string, string[]]>([
    ["that has waited for a result", "result", "Once upon a time.", ["completed"]],
    ["that waits for nothing, when its run has ended", "unwaited", "ended", ["completed"]],
    ["that has read all events", "events", "completed", ["completed"]],
    ["that has left the events", "left", "left", ["completed"]],
    ["that has stopped its run", "cancelled", "cancelled", ["cancelled"]],
    ["that has submitted a run for later", "delayed", "pending", ["pending"]],
    ["that submits only", "submitted", "pending", ["pending"]],
    ["that has stopped its worker", "stopped", "Once upon a time.", ["completed"]],
    ["that has started many workers and stopped them", "workers", "listeners: 0", []],
  ])("%s", async (_what, phase, said, statuses) => {
    const exit = await exitOf(phase);
    expect(exit).toMatchObject({ code: 0, said, stderr: "", statuses });
    expect(exit.lingeredMs).toBeLessThan(700);
  });
});
