/** CPU of whole runs, of a delta and of a round: contenders side by side, taking turns round by round. */
import type { ContenderName, Kind } from "../contenders/contender.ts";
import { type Cost, median } from "../measure.ts";
import { startClients } from "../processes.ts";
import type { Table } from "../report.ts";
import { report } from "../report-sample.ts";
import { words } from "../wire.ts";
import type { Plan } from "./plan.ts";

export const frameworks = ["raw", "llmethod", "llmethod-stream", "ai", "agents"] as const;

interface Case {
  readonly name: string;
  readonly model: string;
  readonly kind: Kind;
  readonly concurrency: number;
  readonly contenders: readonly ContenderName[];
}

/** Medians over the rounds; the ratio is to the raw SDK in the same round. */
interface Figures {
  readonly cpuMs: number;
  readonly ratio: number;
  readonly runsPerSecond: number;
}

type ByContender = ReadonlyMap<ContenderName, Figures>;

export async function wholeRuns(plan: Plan): Promise<Table[]> {
  const kinds = [
    { name: "64 deltas", model: "text-64-64", kind: "text" },
    { name: "10 tool rounds", model: "rounds-10", kind: "tools" },
    { name: "16 parallel tools", model: "parallel-16", kind: "tools" },
    { name: "object, 64 deltas", model: "object-64", kind: "object" },
  ] as const;
  const measured: { name: string; figures: ByContender }[] = [];
  for (const concurrency of [1, plan.concurrency]) {
    for (const { name, model, kind } of kinds) {
      const figures = await compare({ name, model, kind, concurrency, contenders: frameworks }, plan);
      measured.push({ name: `${name}, ${concurrency} at once`, figures });
    }
  }
  const table = (title: string, note: string, key: keyof Figures, digits: number): Table => ({
    title,
    note,
    columns: ["run", ...frameworks],
    rows: measured.map(({ name, figures }) => [
      name,
      ...frameworks.map((who) => figures.get(who)?.[key] ?? null),
    ]),
    digits,
  });
  const how =
    "The server writes each answer at once. CPU of the client process, garbage collection included.";
  return [
    table(
      "Whole runs: CPU, ratio to the raw SDK",
      `${how} Median of the rounds' ratios; lower is better.`,
      "ratio",
      2,
    ),
    table("Whole runs: CPU in ms a run", `${how} Medians.`, "cpuMs", 3),
    table(
      "Whole runs: runs a second",
      "By the clock, with the server on the same machine. Medians.",
      "runsPerSecond",
      0,
    ),
  ];
}

export async function deltas(plan: Plan): Promise<Table[]> {
  const contenders = ["raw", "fetch", "llmethod", "llmethod-stream", "ai", "agents"] as const;
  const rows = new Map<ContenderName, number[]>(contenders.map((who) => [who, []]));
  for (const perWrite of [16, 1]) {
    const shared = { kind: "text", concurrency: 1, contenders } as const;
    const long = await compare({ ...shared, name: "4,096 deltas", model: `text-4096-${perWrite}` }, plan);
    const short = await compare({ ...shared, name: "64 deltas", model: `text-64-${perWrite}` }, plan);
    const micros = (cpuMs: number) => (1000 * cpuMs) / 4096;
    const marginal = (who: ContenderName) =>
      (1000 * ((long.get(who)?.cpuMs ?? Number.NaN) - (short.get(who)?.cpuMs ?? Number.NaN))) / (4096 - 64);
    for (const who of contenders) {
      const { cpuMs, ratio } = long.get(who) ?? { cpuMs: Number.NaN, ratio: Number.NaN };
      rows.get(who)?.push(micros(cpuMs), ratio, marginal(who), marginal(who) / marginal("raw"));
    }
  }
  const names = { raw: "raw (the SDK's iterator)", fetch: "fetch + eventsource-parser" } as Record<
    string,
    string
  >;
  return [
    {
      title: "CPU of a delta, 4,096 in one answer",
      note:
        "µs of the client's CPU a delta, with 16 deltas a network write and with one; × is the ratio to the SDK's " +
        "iterator. Marginal: the run with 4,096 less the run with 64, without what a run costs by itself.",
      columns: ["", "16 a write", "×", "marginal", "×", "1 a write", "×", "marginal", "×"],
      rows: [...rows].map(([who, cells]) => [names[who] ?? who, ...cells]),
      digits: 2,
    },
  ];
}

export async function growth(plan: Plan): Promise<Table[]> {
  const sizes = plan.roundSizes;
  const measured: ByContender[] = [];
  for (const size of sizes) {
    const model = `rounds-${size}`;
    measured.push(
      await compare(
        { name: `${size} rounds`, model, kind: "tools", concurrency: 1, contenders: frameworks },
        plan,
      ),
    );
  }
  const round = (who: ContenderName, index: number) =>
    (1000 * (measured[index]?.get(who)?.cpuMs ?? Number.NaN)) / (sizes[index] ?? 1);
  return [
    {
      title: "Growth with the tool rounds: CPU in µs a round",
      note:
        "Each round sends the whole history again, so the JSON of a request grows for everyone: raw shows how much. " +
        "× is the cost of a round in the longest run to one in the shortest.",
      columns: ["", ...sizes.map((size) => `${size} rounds`), "×", "longest, ratio to raw"],
      rows: frameworks.map((who) => [
        who,
        ...sizes.map((_, index) => round(who, index)),
        round(who, 2) / round(who, 0),
        measured[2]?.get(who)?.ratio ?? null,
      ]),
      digits: [0, 0, 0, 2, 2],
    },
  ];
}

async function compare({ model, kind, concurrency, contenders }: Case, plan: Plan): Promise<ByContender> {
  const subject = { baseURL: plan.baseURL, model, kind };
  const entries = startClients(contenders, subject).map((client) => ({
    ...client,
    runs: concurrency,
    costs: [] as Cost[],
  }));
  for (const entry of entries) {
    await entry.client.do({ type: "check", ...expected(model) });
    const runMs = await entry.client.do({ type: "warm-up", concurrency, ms: plan.warmUpMs });
    entry.runs = Math.ceil(plan.batchMs / runMs / concurrency) * concurrency;
  }
  for (let round = 0; round < plan.rounds; round++) {
    for (const { client, runs, costs } of entries)
      costs.push(await client.do({ type: "cost", runs, concurrency }));
  }
  await Promise.all(entries.map(({ client }) => client.stop()));
  const raw = entries.find(({ contender }) => contender === "raw");
  return new Map(
    entries.map(({ contender, runs, costs }) => {
      const cpu = costs.map(({ cpuMs }) => cpuMs / runs);
      const rawCpu = (round: number) => (raw?.costs[round]?.cpuMs ?? Number.NaN) / (raw?.runs ?? 1);
      const ratio = median(cpu.map((cpuMs, round) => cpuMs / rawCpu(round)));
      const runsPerSecond = median(costs.map(({ wallMs }) => (1000 * runs) / wallMs));
      return [contender, { cpuMs: median(cpu), ratio, runsPerSecond }];
    }),
  );
}

/** What every contender must answer, so that nobody is quick by leaving something out. */
export function expected(model: string): { answer: unknown; lookups: number } {
  const [name, count] = model.split("-");
  if (name === "object") return { answer: report, lookups: 0 };
  if (name === "text") return { answer: words(Number(count)).join(""), lookups: 0 };
  return { answer: words(8).join(""), lookups: Number(count) };
}
