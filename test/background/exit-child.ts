// A process of its own that has to do with runs in the background in the way that it is told, and must end by itself.

import { setTimeout as sleep } from "node:timers/promises";
import { SqliteRunStore } from "../../src/adapters/sqlite.ts";
import {
  type CallOptions,
  configure,
  llmFunction,
  type ModelEvent,
  prompt,
  runs,
  startWorker,
} from "../../src/index.ts";

const [, , path = "", phase = ""] = process.argv;
configure({
  store: new SqliteRunStore({ path }),
  model: {
    name: "own",
    async *stream(): AsyncGenerator<ModelEvent> {
      for (const delta of ["Once ", "upon ", "a time."]) {
        yield { type: "text-delta", delta };
        await sleep(100);
      }
      yield { type: "finish", finishReason: "stop" };
    },
  },
});
const ask = llmFunction({ name: "ask" })((task: string, _options?: CallOptions) => prompt`${task}`);
const say = (what: string) => process.stdout.write(`${what}\n`);

const phases: Record<string, () => Promise<unknown>> = {
  async result() {
    say(await (await ask.background("x")).result());
  },
  async unwaited() {
    process.on("exit", () => say("ended"));
    await ask.background("x");
  },
  async events() {
    const { runId } = await ask.background("x");
    for await (const event of runs.events(runId)) if (event.type === "run-completed") say("completed");
  },
  async left() {
    const handle = await ask.background("x");
    for await (const event of handle.events()) if (event.type === "text-delta") break;
    await handle.wait();
    say("left");
  },
  async cancelled() {
    const handle = await ask.background("x");
    await sleep(100);
    await handle.cancel("enough");
    say((await handle.wait()).status);
  },
  async delayed() {
    const { runId } = await ask.background("x", { delayMs: 60_000 });
    say((await runs.get(runId))?.status ?? "nothing");
  },
  async submitted() {
    configure({ worker: false });
    const handle = await ask.background("x");
    say((await handle.get()).status);
  },
  async stopped() {
    const worker = await startWorker({ functions: [ask] });
    const handle = await ask.background("x");
    say(await handle.result());
    await worker.stop();
  },
  async idle() {
    await startWorker({ functions: [ask] });
    say("idle");
  },
  async workers() {
    for (let count = 0; count < 12; count++) await (await startWorker({ functions: [ask] })).stop();
    say(`listeners: ${process.listenerCount("SIGTERM") + process.listenerCount("SIGINT")}`);
  },
};
await phases[phase]?.();
