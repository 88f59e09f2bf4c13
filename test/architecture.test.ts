/** Proves what ARCHITECTURE.md says: imports go down the layers, no cycles, small files, a quiet root. */
import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");
const src = join(root, "src");

const layers: Readonly<Record<string, readonly string[]>> = {
  "L0 vocabulary": ["json", "errors", "events", "transcript", "model", "abort"],
  "L1 parts": [
    ...["json-schema", "schema", "answer", "options", "prompt", "derived-input", "tool", "toolkit"],
    ...["history", "partial-turn", "settle-call", "turn-timers", "event-log", "engine", "cancellation"],
    ...[
      "store",
      "queue",
      "journal",
      "event-writer",
      "stored-outcome",
      "worker-settings",
      "list-all",
      "run-checks",
      "run-handle",
    ],
  ],
  adapters: ["adapters/"],
  "L2 engine": [
    ...["runtime", "registration", "conversation", "tool-phase", "taken-up", "loop", "run"],
    ...["storage", "run-bells", "unplayed-end", "stored-stop"],
    ...["attempt", "executor", "store-pump", "reconciler", "worker", "runs", "cancel-run", "background"],
  ],
  "L3 surface": ["callable", "decorators", "definition", "function", "chat", "start-worker"],
  leaves: ["models/", "server/", "testing", "index"],
};

interface SourceFile {
  readonly name: string;
  readonly text: string;
  readonly imports: readonly string[];
  readonly packages: readonly string[];
}

const files: readonly SourceFile[] = globSync("**/*.ts", { cwd: src }).map((path) => {
  const text = readFileSync(join(src, path), "utf8");
  const specifiers = [...text.matchAll(/\bfrom "([^"]+)"|\bimport\("([^"]+)"\)|^import "([^"]+)"/gm)].map(
    (match) => match[1] ?? match[2] ?? match[3] ?? "",
  );
  const local = specifiers.filter((specifier) => specifier.startsWith("."));
  return {
    name: path.replace(/\.ts$/, ""),
    text,
    imports: local.map((specifier) => normalize(join(dirname(path), specifier)).replace(/\.ts$/, "")),
    packages: specifiers.filter((specifier) => !specifier.startsWith(".")),
  };
});

function layerOf(name: string): number {
  return Object.values(layers).findIndex((names) =>
    names.some((known) => (known.endsWith("/") ? name.startsWith(known) : name === known)),
  );
}

describe("the architecture", () => {
  it("gives every file a layer", () => {
    expect(files.length).toBeGreaterThan(20);
    expect(files.filter(({ name }) => layerOf(name) < 0).map(({ name }) => name)).toEqual([]);
  });

  it("lets imports go down the layers only", () => {
    const upward = files.flatMap(({ name, imports }) =>
      imports.filter((target) => layerOf(target) > layerOf(name)).map((target) => `${name} → ${target}`),
    );
    expect(upward).toEqual([]);
  });

  it("keeps leaves apart: only the root gathers them", () => {
    const leaf = Object.keys(layers).indexOf("leaves");
    const between = files
      .filter(({ name }) => layerOf(name) === leaf && name !== "index")
      .flatMap(({ name, imports }) =>
        imports
          .filter((target) => layerOf(target) === leaf && dirname(target) !== dirname(name))
          .map((target) => `${name} → ${target}`),
      );
    expect(between).toEqual([]);
  });

  it("has no import cycles, types included", () => {
    const byName = new Map(files.map((file) => [file.name, file]));
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (name: string, path: readonly string[]) => {
      if (path.includes(name)) cycles.push([...path.slice(path.indexOf(name)), name].join(" → "));
      if (done.has(name) || path.includes(name)) return;
      for (const target of byName.get(name)?.imports ?? []) visit(target, [...path, name]);
      done.add(name);
    };
    for (const { name } of files) visit(name, []);
    expect(cycles).toEqual([]);
  });

  it("splits files before 400 lines, and most of them are short", () => {
    const lines = files.map(({ name, text }) => ({ name, count: text.split("\n").length }));
    expect(lines.filter(({ count }) => count > 400)).toEqual([]);
    const counts = lines.map(({ count }) => count).sort((a, b) => a - b);
    expect(counts[Math.floor(counts.length / 2)]).toBeLessThan(160);
  });

  it("opens every file with a sentence that says why it exists", () => {
    const silent = files.filter(
      ({ text }) => !/^\/\*\* [A-Z`].*\. ?(\*\/)?$/m.test(text.split("\n")[0] ?? ""),
    );
    expect(silent.map(({ name }) => name)).toEqual([]);
  });

  it("knows no any, no switched-off check and no forgotten work", () => {
    const code = (text: string) => text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    const loose = files.filter(
      ({ text }) =>
        /\bas any\b|: any\b|<any>/.test(code(text)) || /@ts-(ignore|nocheck)|TODO|FIXME/.test(text),
    );
    expect(loose.map(({ name }) => name)).toEqual([]);
  });

  it("uses every dependency, and no package that is none", () => {
    const manifest: { dependencies: object; peerDependencies: object } = JSON.parse(
      readFileSync(join(root, "package.json"), "utf8"),
    );
    const declared = { ...manifest.dependencies, ...manifest.peerDependencies };
    const used = new Set(
      files
        .flatMap(({ packages }) => packages)
        // Docstrings import the package by its own name.
        .filter((name) => !/^(node:|llmethod|\$)/.test(name))
        .map((name) =>
          (name.startsWith("@") ? name.split("/").slice(0, 2) : name.split("/").slice(0, 1)).join("/"),
        ),
    );
    expect([...used].sort()).toEqual(Object.keys(declared).sort());
  });

  it("keeps the root to names: index.ts holds nothing but exports", () => {
    const index = files.find(({ name }) => name === "index")?.text ?? "";
    const statements = index.replace(/\/\*\*[\s\S]*?\*\//g, "").split(";");
    expect(statements.filter((text) => text.trim() !== "" && !/^\s*export (type )?\{/.test(text))).toEqual(
      [],
    );
  });

  it("does nothing on import: no timer, no socket, no output", () => {
    const program = `
      await import(${JSON.stringify(join(src, "index.ts"))});
      const alive = process.getActiveResourcesInfo().filter((name) => /Timeout|TCP|Immediate/.test(name));
      process.stdout.write(JSON.stringify(alive));`;
    const printed = execFileSync(
      process.execPath,
      ["--import", "tsx", "--input-type=module", "-e", program],
      {
        cwd: root,
        encoding: "utf8",
      },
    );
    expect(printed).toBe("[]");
  });

  it("loads the SDK with the first request, not on import", () => {
    const early = files.filter(({ text }) => /^import (?!type\b)[^;]*from "openai/m.test(text));
    expect(early.map(({ name }) => name)).toEqual([]);
  });
});
