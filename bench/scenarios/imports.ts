/** How long a package takes to load in a fresh process, and how many modules it brings. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { median } from "../measure.ts";
import type { Table } from "../report.ts";
import type { Plan } from "./plan.ts";

/** What a program with one typed tool imports. */
const programs: Readonly<Record<string, readonly string[]>> = {
  "raw: openai, zod": ["openai", "zod"],
  "llmethod, zod": ["llmethod", "zod"],
  "llmethod, zod, and openai, which the first request loads": ["llmethod", "zod", "openai"],
  "ai, @ai-sdk/openai, zod": ["ai", "@ai-sdk/openai", "zod"],
  "@openai/agents, zod": ["@openai/agents", "zod"],
};

const run = promisify(execFile);
const script = fileURLToPath(new URL("../import.ts", import.meta.url));

export async function imports(plan: Plan): Promise<Table[]> {
  const times = new Map<string, number[]>(Object.keys(programs).map((name) => [name, []]));
  for (let round = 0; round < plan.imports; round++) {
    for (const [name, modules] of Object.entries(programs))
      times.get(name)?.push(await load("time", modules));
  }
  const rows: (string | number)[][] = [];
  for (const [name, modules] of Object.entries(programs)) {
    rows.push([name, median(times.get(name) ?? []), await load("count", modules)]);
  }
  return [
    {
      title: "Import",
      note: `ms in a fresh process of Node without a compile cache, median of ${plan.imports}; and modules loaded.`,
      columns: ["", "ms", "modules"],
      rows,
      digits: [0, 0],
    },
  ];
}

async function load(what: "time" | "count", modules: readonly string[]): Promise<number> {
  const from = modules.includes("llmethod") ? "../../main.js" : "../main.js";
  const { stdout } = await run(process.execPath, [
    "--experimental-import-meta-resolve",
    script,
    what,
    new URL(from, import.meta.url).href,
    ...modules,
  ]);
  return Number(stdout);
}
