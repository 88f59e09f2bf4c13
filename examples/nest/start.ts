/**
 * Compiles this folder and starts it, as `nest start` does: the container needs the constructors' types, which
 * tsc and swc emit, and tsx (esbuild) does not.
 *
 * Run it: npx tsx --tsconfig examples/nest/tsconfig.json examples/nest/start.ts
 */
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const here = import.meta.dirname;
const root = join(here, "../..");
const outDir = join(here, "dist");
const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");

const compiled = spawnSync(
  process.execPath,
  [tsc, "-p", here, "--noEmit", "false", "--rootDir", root, "--outDir", outDir],
  { stdio: "inherit" },
);
if (compiled.status === 0) await import(join(outDir, "examples/nest/main.js"));
else process.exitCode = 1;
