/**
 * Runs every example as a program of its own, so that none of them can rot: CI calls it.
 *
 * Run it: npx tsx examples/run-all.ts
 */
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join, relative } from "node:path";

const LIMIT_MS = 60_000;
const here = import.meta.dirname;
const root = join(here, "..");
const NO_EXAMPLES = new Set(["connect.ts", "run-all.ts"]);

interface Example {
  readonly file: string;
  readonly args: readonly string[];
  /** The folder whose tsconfig.json it runs by. */
  readonly folder: string;
}

const examples: Example[] = [
  ...readdirSync(here)
    .filter((name) => name.endsWith(".ts") && !NO_EXAMPLES.has(name))
    .map((name) => ({ file: join(here, name), args: [], folder: here })),
  ...["sqlite", "pg-boss", "bullmq"].map((kind) => ({
    file: join(here, "workers/main.ts"),
    args: [kind],
    folder: here,
  })),
  { file: join(here, "nest/start.ts"), args: [], folder: join(here, "nest") },
  { file: join(here, "demo/main.ts"), args: ["--once", "What is (17 + 4) * 3?"], folder: here },
];

let failures = 0;
for (const example of examples) {
  const { problem, seconds, output } = await run(example);
  const name = [relative(root, example.file), ...example.args].join(" ");
  console.log(
    `${problem === undefined ? "ok  " : "FAIL"} ${name} (${seconds} s)${problem ? `: ${problem}` : ""}`,
  );
  if (problem === undefined) continue;
  failures++;
  console.log(output.replace(/^/gm, "     | "));
}
console.log(`${examples.length - failures} of ${examples.length} examples work.`);
process.exitCode = failures === 0 ? 0 : 1;

interface Result {
  /** Nothing where the example worked. */
  readonly problem: string | undefined;
  readonly seconds: string;
  readonly output: string;
}

function run({ file, args, folder }: Example): Promise<Result> {
  const start = performance.now();
  const child = spawn(process.execPath, ["--import", "tsx", file, ...args], {
    cwd: root,
    env: { ...process.env, TSX_TSCONFIG_PATH: join(folder, "tsconfig.json") },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill("SIGKILL");
  }, LIMIT_MS);
  return new Promise((resolve) => {
    const finish = (problem: string | undefined) => {
      clearTimeout(timer);
      resolve({ problem, seconds: ((performance.now() - start) / 1000).toFixed(1), output });
    };
    child.on("error", (error) => finish(error.message));
    child.on("close", (code, signal) => {
      if (isLate) finish(`had not ended after ${LIMIT_MS / 1000} s`);
      else if (code !== 0) finish(`ended with ${code === null ? signal : `exit code ${code}`}`);
      else finish(output.trim() === "" ? "printed nothing" : undefined);
    });
  });
}
