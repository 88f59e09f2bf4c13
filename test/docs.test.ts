/** Proves that the code in README.md and in the docstrings compiles as it stands there. */
import { execFileSync } from "node:child_process";
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");
const folder = join(root, "node_modules", ".cache", "llmethod-docs");

/** What the pieces speak of without saying where it comes from. */
const setting = `
declare const analyst: {
  research(question: string, options?: L.CallOptions): L.Run<{ title: string }>;
  chat(message: string, options?: L.CallOptions): L.ChatRun;
};
declare const savedMessages: L.ChatMessage[];
declare class MyManager extends L.MemoryCancellationManager {}
`;
const names = ["model", "add"];
const values =
  "llmFunction llmChat tool prompt openai image audio file configure cancelRun activeRuns setCancellationManager " +
  "withTimeout withRetry repairHistory runs startWorker MemoryRunStore";
/** What stands in other modules of the package, with the module. */
const adapters: Readonly<Record<string, string>> = {
  scriptedModel: "testing",
  FileCancellationManager: "file",
  SqliteRunStore: "sqlite",
  SqliteCancellationManager: "sqlite",
  PostgresRunStore: "postgres",
  PostgresCancellationManager: "postgres",
  RedisCancellationManager: "redis",
  PgBossQueue: "pg-boss",
  BullMQQueue: "bullmq",
  createHandler: "server",
  toNodeHandler: "server",
  createClient: "client",
};
const types = "CallOptions ChatRun Run ToolContext Model";

function moduleOf(code: string): string {
  const has = (name: string) =>
    new RegExp(`(const|class|function|type) (\\{ )?${name}\\b|import [^;]*\\b${name}\\b[^;]*from`).test(code);
  const missing = (list: string) => list.split(" ").filter((name) => !has(name));
  const inMethod = code.startsWith("return ");
  return [
    'import type * as L from "llmethod";',
    `import { ${missing(values).join(", ")} } from "llmethod";`,
    `import type { ${missing(types).join(", ")} } from "llmethod";`,
    ...Object.entries(adapters)
      .filter(([name]) => !has(name) && code.includes(name))
      .map(([name, module]) => `import { ${name} } from "llmethod/${module}";`),
    has("z") || /\* as z/.test(code) ? "" : 'import * as z from "zod";',
    'import assert from "node:assert/strict";',
    'import { readFile } from "node:fs/promises";',
    has("runId") ? "" : "declare const runId: string;",
    has("summarise")
      ? ""
      : "declare const summarise: (text: string, options?: L.CallOptions) => L.Run<string>;",
    has("analyst") ? setting.replace(/declare const analyst[\s\S]*?\n};\n/, "") : setting,
    ...names
      .filter((name) => !has(name))
      .map((name) => `declare const ${name}: ${name === "add" ? "L.Tool" : "L.Model"};`),
    inMethod
      ? `class Piece { house = ""; facts = { load: async () => "" }; a(question: string): L.Run<string> {\n${code.split("\n")[0]}\n}\nb(question: string): L.Run<string> {\n${code.split("\n")[1] ?? ""}\n} }`
      : code,
    "export {};",
  ].join("\n");
}

function readmeBlocks(): string[] {
  const text = readFileSync(join(root, "README.md"), "utf8");
  return [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1] ?? "");
}

function docstringExamples(): string[] {
  return globSync("src/**/*.ts", { cwd: root }).flatMap((path) =>
    [...readFileSync(join(root, path), "utf8").matchAll(/\/\*\*([\s\S]*?)\*\//g)].flatMap((match) => {
      const [, example] = (match[1] ?? "").split("@example");
      if (example === undefined) return [];
      const lines = example.split("\n").map((line) => line.replace(/^\s*\* ?/, "").replaceAll("\\@", "@"));
      return [lines.join("\n").trim()];
    }),
  );
}

describe("the documentation", () => {
  it("compiles as it stands", { timeout: 60_000 }, () => {
    const pieces = [
      ...readmeBlocks().map((code, index) => ({ name: `readme-${index + 1}`, code })),
      ...docstringExamples().map((code, index) => ({ name: `docstring-${index + 1}`, code })),
    ];
    expect(pieces.length).toBeGreaterThan(20);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    for (const { name, code } of pieces) writeFileSync(join(folder, `${name}.ts`), moduleOf(code));
    const config = {
      extends: join(root, "tsconfig.json"),
      compilerOptions: {
        experimentalDecorators: false,
        emitDecoratorMetadata: false,
        noUnusedLocals: false,
        noUnusedParameters: false,
        paths: pathsOf(),
      },
      include: ["*.ts"],
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    expect(compile()).toBe("");
  });
});

/** The names by which the README imports, as the tests resolve them, from anywhere. */
function pathsOf(): Record<string, string[]> {
  const { compilerOptions } = JSON.parse(readFileSync(join(root, "tsconfig.json"), "utf8"));
  const paths: Record<string, string[]> = compilerOptions.paths;
  return Object.fromEntries(
    Object.entries(paths).map(([name, files]) => [name, files.map((file) => join(root, file))]),
  );
}

/** What the compiler has to say, without the paths of this machine. */
function compile(): string {
  try {
    execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", folder], {
      encoding: "utf8",
    });
    return "";
  } catch (error) {
    return error instanceof Error && "stdout" in error ? String(error.stdout) : String(error);
  }
}
