/** `npm run chaos -- --store sqlite --runs 150 --seconds 40 --seed 7`: kills workers and tells what became of the runs. */
import { parseArgs } from "node:util";
import { chaos } from "./chaos.ts";
import { kinds } from "./place.ts";

const { values } = parseArgs({
  options: {
    store: { type: "string", default: "sqlite" },
    runs: { type: "string", default: "150" },
    seconds: { type: "string", default: "40" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const kind = kinds.find((known) => known === values.store);
const [runs, seconds, seed] = [values.runs, values.seconds, values.seed].map(Number);
if (kind === undefined || !isCount(runs) || !isCount(seconds) || !isCount(seed)) {
  console.error(`--store is one of ${kinds.join(", ")}; --runs, --seconds and --seed are whole numbers.`);
  process.exit(2);
}

console.log(`chaos on ${kind}: ${runs} runs, ${seconds} s of kills, seed ${seed}`);
const report = await chaos({ kind, runs, seconds, seed });
const { states, kills, freezes, needed, made, resumed, unknownCalls, problems } = report;
console.log(
  [
    `${report.seconds.toFixed(1)} s, ${kills} kills, ${freezes} freezes, ${resumed} resumptions`,
    `states: ${JSON.stringify(states)}`,
    `model requests: ${needed} needed, ${made} made (+${((made / needed - 1) * 100).toFixed(1)} %)`,
    `calls with an unknown outcome: ${unknownCalls}`,
    `problems: ${problems.length}`,
    ...problems.slice(0, 50).map((problem) => `  ${problem}`),
  ].join("\n"),
);
process.exit(problems.length === 0 ? 0 : 1);

function isCount(value: number | undefined): value is number {
  return Number.isInteger(value) && Number(value) >= 0;
}
