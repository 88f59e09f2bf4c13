/**
 * Where a contender's CPU goes: `node bench/profile.ts llmethod text-4096-16`, `… rounds-10 tools`,
 * `… object-64 object`. Prints self time by area, with children by function of the contender, and self time by
 * function; in µs a run. The profile itself stays in the directory that is printed last.
 */
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ContenderName, Kind } from "./contenders/contender.ts";
import { Client, startServer } from "./processes.ts";

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const [contender = "llmethod", model = "text-64-64", kind = "text"] = process.argv.slice(2);
const directory = mkdtempSync(join(tmpdir(), "llmethod-profile-"));
const { cpuMs, runs, share } = await record();
const file = readdirSync(directory)[0] ?? "";
const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(join(directory, file), "utf8")) as Profile;

const selfOf = new Map<number, number>();
for (const [index, id] of samples.entries()) selfOf.set(id, (selfOf.get(id) ?? 0) + (timeDeltas[index] ?? 0));
const byId = new Map(nodes.map((node) => [node.id, node]));
const areas = new Map<string, number>();
const self = new Map<string, number>();
const inclusive = new Map<string, number>();
for (const root of nodes.slice(0, 1)) visit(root, new Set());

const total = [...areas.values()].reduce((sum, time) => sum + time, 0);
const perRun = (time: number) => ((1000 * cpuMs) / runs) * (time / total);
console.log(
  `${contender} ${model}: ${(cpuMs / runs).toFixed(3)} ms CPU a run, ${(100 * share).toFixed(0)} % of it warm`,
);
print("by area (self)", areas, 20);
print("with children, own code", inclusive, 40);
print("by function (self)", self, 40);
console.log(directory);

async function record() {
  const server = await startServer();
  const subject = { baseURL: server.baseURL, model, kind: kind as Kind };
  const flags = ["--cpu-prof", "--cpu-prof-interval=100", `--cpu-prof-dir=${directory}`];
  const client = new Client({ contender: contender as ContenderName, subject }, flags);
  const runMs = await client.do({ type: "warm-up", concurrency: 1, ms: 500 });
  const count = Math.max(20, Math.round(8000 / runMs));
  const cost = await client.do({ type: "cost", runs: count, concurrency: 1 });
  await client.stop();
  await server.stop();
  return { cpuMs: cost.cpuMs, runs: count, share: cost.wallMs / (cost.wallMs + 500) };
}

/** Adds a node's time to its own function, its area, and once to each function of the contender above it. */
function visit(node: ProfileNode, above: ReadonlySet<string>): void {
  const { functionName, url, lineNumber } = node.callFrame;
  const place = url.replace(/^.*\/(node_modules|main)\//, "");
  const name = `${functionName || "(anonymous)"}  ${place}:${lineNumber + 1}`;
  const stack = place.startsWith("dist/") || place.startsWith("bench/") ? new Set([...above, name]) : above;
  const time = selfOf.get(node.id) ?? 0;
  if (functionName !== "(idle)") {
    add(areas, areaOf(functionName, place), time);
    add(self, name, time);
    for (const caller of stack) add(inclusive, caller, time);
  }
  for (const child of node.children ?? []) {
    const next = byId.get(child);
    if (next !== undefined) visit(next, stack);
  }
}

function areaOf(functionName: string, place: string): string {
  if (place === "") return functionName.startsWith("(") ? functionName : "native code";
  if (place.startsWith("dist/")) return place;
  if (place.startsWith("node:internal/deps/undici")) return "undici";
  if (place.startsWith("node:internal/webstreams")) return "web streams";
  if (place.startsWith("node:")) return "node, other";
  if (place.startsWith("wasm:")) return "native code";
  return place
    .split("/")
    .slice(0, place.startsWith("@") ? 2 : 1)
    .join("/");
}

function add(sums: Map<string, number>, key: string, time: number): void {
  sums.set(key, (sums.get(key) ?? 0) + time);
}

function print(title: string, sums: ReadonlyMap<string, number>, most: number): void {
  console.log(`\n${title}, µs a run`);
  for (const [name, time] of [...sums].sort(([, a], [, b]) => b - a).slice(0, most)) {
    console.log(
      `${perRun(time).toFixed(1).padStart(9)}  ${((100 * time) / total).toFixed(1).padStart(5)} %  ${name}`,
    );
  }
}
