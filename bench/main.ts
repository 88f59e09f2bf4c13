/**
 * The whole benchmark: `npm run bench`, or `npm run bench -- --quick` for a look whether all of it works, or
 * with the names of sections for these alone (`background` stands for all that begin with it). Prints tables;
 * writes `results.json` and `RESULTS.md` here, a quick or partial run prints only.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { servers } from "./background-place.ts";
import { startServer } from "./processes.ts";
import { type Table, toMarkdown, toText } from "./report.ts";
import { events } from "./scenarios/background-events.ts";
import { idle } from "./scenarios/background-idle.ts";
import { rates, starts } from "./scenarios/background-runs.ts";
import { crashes, storedStops } from "./scenarios/background-stops.ts";
import { deltas, growth, wholeRuns } from "./scenarios/costs.ts";
import { crowds } from "./scenarios/crowds.ts";
import { imports } from "./scenarios/imports.ts";
import { fullPlan, type Plan, quickPlan } from "./scenarios/plan.ts";
import { firstDelta, stops } from "./scenarios/waits.ts";

const sections: Readonly<Record<string, (plan: Plan) => Promise<Table[]>>> = {
  runs: wholeRuns,
  deltas,
  first: firstDelta,
  stops,
  crowds,
  growth,
  imports,
  "background-starts": starts,
  "background-rates": rates,
  "background-events": events,
  "background-stops": storedStops,
  "background-crashes": crashes,
  "background-idle": idle,
};

const isQuick = process.argv.includes("--quick");
const chosen = process.argv.slice(2).filter((argument) => argument !== "--quick");
const isMeant = (section: string, name: string) => section === name || section.startsWith(`${name}-`);
const unknown = chosen.filter((name) => !Object.keys(sections).some((section) => isMeant(section, name)));
if (unknown.length > 0) {
  throw new Error(`no section ${unknown.join(", ")}; there are ${Object.keys(sections).join(", ")}`);
}

const start = performance.now();
const environment = await describe();
console.log(Object.values(environment).join("\n"));
const server = await startServer();
const tables: Table[] = [];
for (const [name, measure] of Object.entries(sections)) {
  if (chosen.length > 0 && !chosen.some((meant) => isMeant(name, meant))) continue;
  const begun = performance.now();
  const made = await measure({ ...(isQuick ? quickPlan : fullPlan), baseURL: server.baseURL });
  tables.push(...made);
  for (const table of made) console.log(toText(table));
  console.log(`(${name}: ${Math.round((performance.now() - begun) / 1000)} s)`);
}
await server.stop();
console.log(`\n${Math.round((performance.now() - start) / 1000)} s`);
if (!isQuick && chosen.length === 0) {
  const facts = Object.values(environment).map((fact) => `- ${fact}`);
  const head = [
    "# Benchmark",
    "",
    "Written by `npm run bench`; every figure is of one run, side by side.",
    "",
    ...facts,
  ];
  writeFileSync(
    new URL("./results.json", import.meta.url),
    `${JSON.stringify({ environment, tables }, null, 2)}\n`,
  );
  writeFileSync(
    new URL("./RESULTS.md", import.meta.url),
    `${[...head, "", ...tables.map(toMarkdown)].join("\n")}`,
  );
}

async function describe(): Promise<Record<string, string>> {
  const versions = ["openai", "ai", "@ai-sdk/openai", "@openai/agents"].map((name) => {
    const file = new URL(`./node_modules/${name}/package.json`, import.meta.url);
    const { version } = JSON.parse(readFileSync(file, "utf8")) as { version: string };
    return `${name} ${version}`;
  });
  return {
    date: new Date().toISOString().slice(0, 10),
    node: `Node ${process.versions.node} on ${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}`,
    load: `load average before: ${loadavg()[0]?.toFixed(2)}`,
    versions: versions.join(", "),
    servers: `for runs in the background: ${(await servers()).versions}`,
  };
}
