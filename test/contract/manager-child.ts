// A process of its own with a cancellation manager: runs LLM functions and asks for stops, as its parent tells it.
// argv: the module of the manager, the name that it exports, its options as JSON. It must end by itself when it is left.

import { pathToFileURL } from "node:url";
import { type CallOptions, cancelRun, configure, llmFunction, prompt } from "../../src/index.ts";
import { waits } from "../stop/own-models.ts";

/** What the parent sends. */
export type ChildOrder =
  | { readonly do: "run"; readonly runId: string }
  | { readonly do: "cancel"; readonly runId: string; readonly reason?: unknown }
  | { readonly do: "leave" };

/** What the child answers. */
export type ChildNews =
  | { readonly said: "ready" }
  | { readonly said: "running"; readonly runId: string }
  | { readonly said: "ended"; readonly runId: string; readonly status: string; readonly reason?: unknown }
  | { readonly said: "settled"; readonly runId: string }
  | { readonly said: "cancelled"; readonly runId: string; readonly found: boolean }
  | { readonly said: "fault"; readonly message: string };

const [, , module = "", name = "", options = "{}"] = process.argv;
const exported: Record<string, unknown> = await import(pathToFileURL(module).href);
const Manager = exported[name] as new (
  options: unknown,
) => Parameters<typeof configure>[0]["cancellation"] & {};
configure({
  cancellation: new Manager(JSON.parse(options)),
  onFault: ({ message }) => tell({ said: "fault", message }),
});
const wait = llmFunction({ model: waits() })((_options?: CallOptions) => prompt`Wait.`);

process.on("message", (order: ChildOrder) => {
  if (order.do === "leave") process.disconnect();
  else if (order.do === "run") void run(order.runId);
  else void cancel(order.runId, order.reason);
});
tell({ said: "ready" });

async function run(runId: string): Promise<void> {
  const run = wait.stream({ runId });
  for await (const { type } of run) if (type === "text-delta") tell({ said: "running", runId });
  const outcome = await run.outcome;
  const reason = outcome.status === "cancelled" ? outcome.reason : undefined;
  tell({ said: "ended", runId, status: outcome.status, reason });
  await run.settled;
  tell({ said: "settled", runId });
}

async function cancel(runId: string, reason: unknown): Promise<void> {
  tell({ said: "cancelled", runId, found: await cancelRun(runId, reason) });
}

function tell(news: ChildNews): void {
  if (process.connected) process.send?.(news);
}
