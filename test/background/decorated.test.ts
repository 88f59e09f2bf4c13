// Decorated methods run in the background with both forms of decorators; workers find them by class and name.

import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");

test.each([
  ["legacy", "tsconfig.json"],
  ["standard", "test/standard/tsconfig.json"],
])("methods with %s decorators are found by their class and name", async (form, config) => {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ["--import", "tsx", join(import.meta.dirname, "decorated-child.ts")],
    { cwd: root, env: { ...env, TSX_TSCONFIG_PATH: join(root, config) }, timeout: 15_000 },
  );
  expect(stderr).toBe("");
  const { served, ...said } = JSON.parse(stdout);
  const names = ["Analyst.research", "Analyst.chat", "Analyst.summarise", "Junior.research"];
  expect(said).toMatchObject({
    form,
    names,
    results: [
      "Acme: Why?",
      { status: "completed", text: "You work for Acme. / Hello" },
      "Summarise a text",
      "Sub: How?",
    ],
    // The fields of another object are unknown to the worker, which has its own.
    refused: "unknown_function",
  });
  expect(served).toEqual(expect.arrayContaining(names));
});
