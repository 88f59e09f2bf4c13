/** What an idle worker costs: its own CPU, and what it asks of its servers. */
import { setTimeout as delay } from "node:timers/promises";
import { loadOf } from "../background-load.ts";
import type { Table } from "../report.ts";
import { forEachBackend } from "./background-stage.ts";
import type { Plan } from "./plan.ts";

const concurrency = 10;
/** Until what came before is over, and PostgreSQL has counted it: a connection that rests tells of its last after 10 s. */
const calmMs = { local: 1000, server: 11_000 };

export async function idle({ background: { idleSeconds, warmUps } }: Plan): Promise<Table[]> {
  const results = await forEachBackend(async ({ place, start }) => {
    const [client, worker] = [start(), start()];
    await worker.do({ type: "serve", concurrency });
    await client.do({ type: "start-times", runs: warmUps });
    await client.stop();
    await delay(place.databaseUrl === "" ? calmMs.local : calmMs.server);
    const before = await worker.do({ type: "usage" });
    const startedAt = performance.now();
    const load = await loadOf(place, idleSeconds);
    const after = await worker.do({ type: "usage" });
    const cpu = (after.cpuMs - before.cpuMs) / (performance.now() - startedAt);
    return { load, cpu, rssMiB: after.rssMiB };
  });
  return [
    {
      title: "Background: an idle worker",
      note:
        `One worker of ${concurrency} slots and 3 functions, after ${warmUps} runs, for ${idleSeconds} s: CPU of its process in % of a core; ` +
        "transactions that PostgreSQL has committed for its database (`pg_stat_database`), and its connections there; " +
        "commands that Redis was sent for its keys (`MONITOR`).",
      columns: ["", "CPU %", "tx/s", "connections", "Redis commands/s", "RSS MiB"],
      rows: results.map(({ backend, result: { load, cpu, rssMiB } }) => [
        backend,
        100 * cpu,
        load.transactions,
        load.connections,
        load.commands,
        rssMiB,
      ]),
      digits: [2, 1, 0, 1, 0],
    },
  ];
}
