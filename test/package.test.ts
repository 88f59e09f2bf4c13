/** Proves that the package, as npm would publish it, installs and works in an empty project. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");
const project = mkdtempSync(join(tmpdir(), "llmethod-package-"));

/** npm runs under the Node of this process, which is the one that the package asks for. */
function run(command: string, args: readonly string[], cwd = project): string {
  const path = `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ""}`;
  return execFileSync(command, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, PATH: path, NODE_OPTIONS: "" },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

const program = `
import * as z from "zod";
import { llmChat, llmFunction, openai, prompt, tool } from "llmethod";
import type { CallOptions, ChatRun, Run } from "llmethod";
import { scriptedModel } from "llmethod/testing";

const model = scriptedModel([{ calls: [{ name: "add", input: { a: 1, b: 2 } }] }, '{"sum":3}']);
class Sums {
  @tool({ description: "Add", input: z.object({ a: z.number(), b: z.number() }) })
  add({ a, b }: { a: number; b: number }) { return a + b; }
  @llmFunction({ model, returns: z.object({ sum: z.number() }), toolkit: (self: Sums) => [self] })
  sum(text: string, options?: CallOptions): Run<{ sum: number }> { return prompt\`Sum: \${text}\`; }
  @llmChat({ model: openai("unused") })
  chat(message: string, options?: CallOptions): ChatRun { return prompt\`Hi\`; }
}
let text = "";
const run = new Sums().sum.stream("1 + 2");
for await (const delta of run.textStream()) text += delta;
console.log(text, JSON.stringify(await run.outcome.then((o) => (o.status === "completed" ? o.value : o))));
`;

describe("the package", () => {
  beforeAll(() => {
    run("npm", ["run", "build"], root);
    const packed = run("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", project], root);
    const [{ filename }]: [{ filename: string }] = JSON.parse(packed);
    writeFileSync(join(project, "package.json"), JSON.stringify({ name: "empty", type: "module" }));
    run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", `./${filename}`, "zod"]);
  }, 120_000);

  afterAll(() => rmSync(project, { recursive: true, force: true }));

  it("imports in plain Node and gives the public names", () => {
    const names = run(process.execPath, [
      ...["--input-type=module", "-e"],
      'console.log(Object.keys(await import("llmethod")).sort().join(" "))',
    ]);
    expect(names.trim().split(" ")).toEqual(
      expect.arrayContaining(["llmChat", "llmFunction", "openai", "prompt", "repairHistory", "tool"]),
    );
  });

  it("compiles for a strict consumer, its declarations checked too, and runs", () => {
    writeFileSync(join(project, "main.ts"), program);
    const options =
      "--target es2022 --module nodenext --strict --exactOptionalPropertyTypes --lib es2024,esnext";
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const types = ["--types", "node", "--typeRoots", join(root, "node_modules/@types")];
    run(process.execPath, [tsc, ...options.split(" "), ...types, "main.ts"]);
    expect(run(process.execPath, ["main.js"])).toBe('{"sum":3} {"sum":3}\n');
  });

  it("holds the code, the documents and nothing else", () => {
    const [{ files }]: [{ files: { path: string }[] }] = JSON.parse(
      run("npm", ["pack", "--dry-run", "--ignore-scripts", "--json"], root),
    );
    const outside = files.map(({ path }) => path).filter((path) => !path.startsWith("dist/"));
    expect(outside.sort()).toEqual(["CHANGELOG.md", "LICENSE", "README.md", "package.json"]);
  });

  it("installs no package that it does not use", () => {
    const lock: { packages: Record<string, unknown> } = JSON.parse(
      readFileSync(join(project, "package-lock.json"), "utf8"),
    );
    const installed = Object.keys(lock.packages).filter((path) => path !== "");
    expect(installed.length).toBeLessThan(14);
  });

  it("satisfies publint", () => {
    expect(
      run(process.execPath, [join(root, "node_modules/publint/src/cli.js"), "--strict"], root),
    ).toContain("All good!");
  });
});
