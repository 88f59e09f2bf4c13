/** Many waiting runs at once: memory, and one signal that stops them all. */
import { startClients } from "../processes.ts";
import type { Table } from "../report.ts";
import { frameworks } from "./costs.ts";
import type { Plan } from "./plan.ts";

const waits = [
  { model: "mute", name: "before headers" },
  { model: "stuck", name: "mid-stream" },
];

export async function crowds({ baseURL, crowd }: Plan): Promise<Table[]> {
  const rows = new Map<string, number[]>(frameworks.map((contender) => [contender, []]));
  for (const { model } of waits) {
    for (const { contender, client } of startClients(frameworks, { baseURL, model, kind: "text" })) {
      const { rssPerRun, heapPerRun, settledMs } = await client.do({ type: "crowd", runs: crowd });
      await client.stop();
      rows.get(contender)?.push(rssPerRun / 1024, heapPerRun / 1024, settledMs);
    }
  }
  const columns = waits.flatMap(({ name }) => [`${name}: RSS`, "heap", "all over after"]);
  return [
    {
      title: `${crowd.toLocaleString("en")} waiting runs on one signal`,
      note:
        "KiB a run after garbage collection, sockets and the SDK's part included; then the signal is aborted: ms " +
        "until every run is over.",
      columns: ["", ...columns],
      rows: [...rows].map(([contender, cells]) => [contender, ...cells]),
      digits: [1, 1, 0, 1, 1, 0],
    },
  ];
}
