// What a queue and its store do together, with the client and the workers in processes of their own: one suite for all.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RunHandle, type RunRecord, runs, type StoredEvent } from "../../src/index.ts";
import { answer, checkpoint, delay, finish, hang, text, toolCall } from "../support/server.ts";
import { eventually, hasJob, QueueStage, type WorkerProcess } from "./queue-stage.ts";
import { RedisServer } from "./redis-server.ts";
import type { QueueSpec } from "./worker-spec.ts";

export interface QueueEntry {
  readonly name: string;
  /** Where the jobs are kept; `name` is a name that nobody else has. */
  spec(name: string): QueueSpec;
  /** Why this queue cannot be tested here; never regarded in CI. */
  readonly missing?: string | undefined;
  /** The same queue on a Redis server of the test's own, where it is on Redis. */
  readonly onOwnServer?: (url: string) => QueueSpec;
}

const note = (text: string) =>
  toolCall({
    id: `call_${text.replace(/\W/g, "_")}`,
    name: "note",
    arguments: JSON.stringify({ note: text }),
  });
const patience = { timeoutMs: 30_000 };

export function testQueue({ name, spec, missing, onOwnServer }: QueueEntry): void {
  const isSkipped = missing !== undefined && process.env.CI === undefined;
  if (isSkipped) console.warn(`The queue "${name}" is not tested: ${missing}.`);

  describe.skipIf(isSkipped)(`the queue ${name}`, { timeout: 60_000 }, () => {
    let stage: QueueStage;

    beforeAll(async () => {
      stage = await QueueStage.open(spec);
      await Promise.all([stage.worker(["ask"]), stage.worker(["ask"])]);
    }, 60_000);
    afterAll(() => stage?.close(), 60_000);

    describe("with two workers", () => {
      test("carries a run to one of them and its answer back", async () => {
        const run = await stage.submit("ask", "simple");
        expect(await run.result(patience)).toBe("All.");
        expect(await run.get()).toMatchObject({ status: "completed", attempt: 1 });
        expect(stage.timesAsked("simple")).toBe(1);
        await eventually(async () => !(await hasJob(stage.queue, await run.get())));
      });

      test("carries fifty runs, each once", async () => {
        const topics = Array.from({ length: 50 }, (_, index) => `many ${index}`);
        for (const topic of topics) stage.script(topic, answer(delay(50), text("One."), finish("stop")));
        const submitted = await Promise.all(topics.map((topic) => stage.submit("ask", topic)));
        const records = await Promise.all(submitted.map((run) => run.wait(patience)));
        expect(records.filter(({ status, attempt }) => status !== "completed" || attempt !== 1)).toEqual([]);
        expect(topics.filter((topic) => stage.timesAsked(topic) !== 1)).toEqual([]);
        expect(new Set(records.map(({ owner }) => owner)).size).toBe(2);
      });

      test("runs an id that is submitted twice once", async () => {
        const runId = stage.runId("twice");
        const [first, second] = await Promise.all([
          stage.submit("ask", "twice", { runId }),
          stage.submit("ask", "twice", { runId }),
        ]);
        const third = await stage.submit("ask", "twice", { runId });
        expect([first.runId, second.runId, third.runId]).toEqual([runId, runId, runId]);
        await third.wait(patience);
        expect(stage.timesAsked("twice")).toBe(1);
      });

      test("runs no run that was stopped before it was submitted", async () => {
        const runId = stage.runId("never");
        expect(await runs.cancel(runId, "too late")).toBe(false);
        const run = await stage.submit("ask", "never", { runId });
        const { status, outcome } = await run.wait(patience);
        expect({ status, reason: outcome?.reason }).toEqual({ status: "cancelled", reason: "too late" });
        expect(stage.timesAsked("never")).toBe(0);
      });

      test("lets a run be stopped in the middle, which keeps what it has said", async () => {
        stage.script("long", answer(text("The first part"), hang()));
        const run = await stage.submit("ask", "long");
        await saidBy(run, "The first part");
        expect(await run.cancel("enough")).toBe(true);
        const { status, outcome } = await run.wait(patience);
        expect(status).toBe("cancelled");
        expect(outcome).toMatchObject({ reason: "enough", cause: "cancel", text: "The first part" });
      });

      test("lets a stopped run be resumed at once", async () => {
        stage.script("again", answer(text("Half"), hang()));
        const run = await stage.submit("ask", "again");
        await saidBy(run, "Half");
        await run.cancel();
        await run.wait(patience);
        await runs.resume(run.runId);
        expect(await run.wait(patience)).toMatchObject({ status: "completed", attempt: 2 });
        expect(stage.timesAsked("again")).toBe(2);
      });

      test("lets events be read from any place, during the run and after it, without gap or repetition", async () => {
        const middle = checkpoint();
        stage.script("story", answer(text("One. ", "Two. "), middle.step, text("Three."), finish("stop")));
        const run = await stage.submit("ask", "story");
        await middle.reached;
        const before = await saidBy(run, "One. Two. ");
        const reading = eventsOf(run, before.at(-1)?.seq);
        middle.open();
        const rest = await reading;
        const all = await eventsOf(run);
        expect([...before, ...rest]).toEqual(all);
        expect(all.map(({ seq }) => seq)).toEqual(all.map((_, index) => index + 1));
        expect(textOf(all)).toBe("One. Two. Three.");
        expect(await eventsOf(run, 2)).toEqual(all.slice(2));
      });
    });

    describe("with few slots", () => {
      test("runs the highest priority first over all functions, then the oldest, and delayed runs when their time has come", async () => {
        const one = await stage.submit("order-a", "order 3");
        await stage.submit("order-b", "order 4");
        await stage.submit("order-a", "order 5", { priority: -1 });
        await stage.submit("order-b", "order 2", { priority: 1 });
        await stage.submit("order-a", "order 1", { priority: 2 });
        const late = await stage.submit("order-b", "order late", { priority: 9, delayMs: 6000 });
        const worker = await stage.worker(["order-a", "order-b"], { concurrency: 1 });
        const { startedAt = 0, createdAt } = await late.wait(patience);
        const order = stage.asked.filter((topic) => topic.startsWith("order"));
        expect(order).toEqual(["order 1", "order 2", "order 3", "order 4", "order 5", "order late"]);
        expect(startedAt - createdAt).toBeGreaterThan(5900);
        expect(await one.get()).toMatchObject({ status: "completed", attempt: 1 });
        await worker.kill();
      });

      test("ends a run that is stopped while it waits at once", async () => {
        const first = checkpoint();
        stage.script("slots 1", answer(first.step, text("One."), finish("stop")));
        const worker = await stage.worker(["slots"], { concurrency: 1 });
        const running = await stage.submit("slots", "slots 1");
        await first.reached;
        const waiting = await stage.submit("slots", "slots 2");
        const third = await stage.submit("slots", "slots 3");
        expect(await waiting.cancel("not needed")).toBe(true);
        expect((await waiting.wait(patience)).status).toBe("cancelled");
        expect((await running.get()).status).toBe("running");
        first.open();
        expect((await running.wait(patience)).status).toBe("completed");
        expect((await third.wait(patience)).status).toBe("completed");
        expect(stage.timesAsked("slots 2")).toBe(0);
        await worker.kill();
      });

      test("keeps to the limits of keys and functions over all workers", async () => {
        const settings = { limits: { perKey: 1, perFunction: { limited: 2 } } };
        const workers = await Promise.all([1, 2].map(() => stage.worker(["limited", "keyed"], settings)));
        const slow = () => answer(delay(150), text("One."), finish("stop"));
        const topics = (group: string) => Array.from({ length: 4 }, (_, index) => `${group} ${index}`);
        for (const topic of [...topics("limited"), ...topics("keyed")]) stage.script(topic, slow());
        const submitted = await Promise.all([
          ...topics("limited").map((topic) => stage.submit("limited", topic)),
          ...topics("keyed").map((topic) => stage.submit("keyed", topic, { key: "one" })),
        ]);
        const records = await Promise.all(submitted.map((run) => run.wait(patience)));
        expect(records.map(({ status, attempt }) => `${status} ${attempt}`)).toEqual(
          Array(8).fill("completed 1"),
        );
        expect([stage.mostAtWork("limited"), stage.mostAtWork("keyed")]).toEqual([2, 1]);
        await Promise.all(workers.map((worker) => worker.kill()));
      });

      test("takes the runs of a key in the order in which they were submitted", async () => {
        const handles = [];
        for (let index = 0; index < 6; index++) {
          handles.push(await stage.submit("ordered", `ordered ${index}`, { key: "talk" }));
        }
        const settings = { limits: { perKey: 1 } };
        const workers = await Promise.all([1, 2].map(() => stage.worker(["ordered"], settings)));
        const records = await Promise.all(handles.map((run) => run.wait(patience)));
        const begun = records.map(({ startedAt = 0 }) => startedAt);
        expect(begun).toEqual(begun.toSorted((one, other) => one - other));
        await Promise.all(workers.map((worker) => worker.kill()));
      });
    });

    describe("with workers that come and go", () => {
      test("keeps runs for a worker that has their function, and gives them to no other", async () => {
        const mine = await stage.submit("mine", "mine");
        const other = await stage.submit("other", "other");
        const old = await stage.worker(["mine"]);
        await mine.wait(patience);
        await pause(1200);
        expect(await other.get()).toMatchObject({ status: "pending", attempt: 0 });
        const newer = await stage.worker(["mine", "other"]);
        expect(await other.wait(patience)).toMatchObject({ status: "completed", attempt: 1 });
        await Promise.all([old.kill(), newer.kill()]);
      });

      test("brings a run whose job was lost back", async () => {
        const run = await stage.submit("lost", "lost");
        const record = await run.get();
        expect(await hasJob(stage.queue, record)).toBe(true);
        await stage.queue.dequeue(record);
        expect(await hasJob(stage.queue, record)).toBe(false);
        const worker = await stage.worker(["lost"], { reconcileMs: 200 });
        expect(await run.wait(patience)).toMatchObject({ status: "completed", attempt: 1 });
        await worker.kill();
      });

      test("begins the log of a run whose first worker died before it had written anything", async () => {
        const run = await stage.submit("early", "early");
        await stage.store.claim(run.runId, "dead");
        const worker = await stage.worker(["early"]);
        expect(await run.wait(patience)).toMatchObject({ status: "completed", attempt: 2 });
        const types = (await eventsOf(run)).map(({ type }) => type);
        expect(types[0]).toBe("run-start");
        expect(types.filter((type) => type === "run-start")).toHaveLength(1);
        await worker.kill();
      });

      test("gives the runs of a worker that is told to end to another at once, and cancels none", async () => {
        stage.script(
          "handed",
          answer(note("handed 1"), finish("tool_calls")),
          answer(text("Half"), hang()),
          answer(text("Whole."), finish("stop")),
        );
        const first = await stage.worker(["handed"], { drainMs: 100 });
        const run = await stage.submit("handed", "handed");
        await saidBy(run, "Half");
        const second = await stage.worker(["handed"]);
        const begin = performance.now();
        first.signal("SIGTERM");
        await stage.untilAsked("handed", 3);
        report(`${name}: handed over in`, begin);
        expect(performance.now() - begin).toBeLessThan(5000);
        expect(await first.ended()).toBe("SIGTERM");
        expect(await run.wait(patience)).toMatchObject({
          status: "completed",
          attempt: 2,
          outcome: { value: "Whole." },
        });
        expectWhole(await eventsOf(run));
        expect(stage.notes.filter((line) => line.startsWith("handed"))).toEqual(["handed 1"]);
        await second.kill();
      });
    });

    describe("with workers that die or freeze", () => {
      let dead: RunRecord;
      let stopped: RunRecord;
      let frozen: RunRecord;
      let zombie: WorkerProcess;

      beforeAll(async () => {
        const gate = checkpoint();
        stage.script(
          "dead",
          answer(note("dead 1"), finish("tool_calls")),
          answer(note("dead 2"), finish("tool_calls")),
          answer(text("Half"), hang()),
          answer(text("Whole."), finish("stop")),
        );
        stage.script("stopped", answer(text("Half"), hang()));
        stage.script("frozen", answer(text("Old. "), gate.step, note("frozen"), finish("tool_calls")));
        const victim = await stage.worker(["mortal"], { concurrency: 2 });
        const submitted = [
          await stage.submit("mortal", "dead"),
          await stage.submit("mortal", "stopped"),
        ] as const;
        await Promise.all([stage.untilAsked("dead", 3), stage.untilAsked("stopped")]);
        zombie = await stage.worker(["mortal"]);
        const third = await stage.submit("mortal", "frozen");
        await Promise.all([gate.reached, saidBy(submitted[0], "Half"), saidBy(submitted[1], "Half")]);
        const heir = await stage.worker(["mortal"]);
        const begin = performance.now();
        zombie.signal("SIGSTOP");
        await victim.kill();
        expect(await submitted[1].cancel("given up")).toBe(true);
        await stage.untilAsked("dead", 4);
        report(`${name}: taken up after`, begin);
        dead = await submitted[0].wait(patience);
        stopped = await submitted[1].wait(patience);
        await stage.untilAsked("frozen", 2);
        frozen = await third.wait(patience);
        gate.open();
        zombie.signal("SIGCONT");
        await pause(1500);
        await heir.kill();
      }, 90_000);

      test("goes on with the run of a dead worker where it stood: only the request that was in flight is repeated", async () => {
        expect(dead).toMatchObject({ status: "completed", attempt: 2, outcome: { value: "Whole." } });
        expect(stage.timesAsked("dead")).toBe(4);
        expect(stage.notes.filter((line) => line.startsWith("dead"))).toEqual(["dead 1", "dead 2"]);
        expectWhole(await eventsOf(dead));
      });

      test("ends a run that is stopped when its worker is dead, without another request", () => {
        expect(stopped).toMatchObject({
          status: "cancelled",
          outcome: { reason: "given up", cause: "cancel" },
        });
        expect(stage.timesAsked("stopped")).toBe(1);
      });

      test("lets a worker that was frozen write nothing and start no tool for a run that it has lost", async () => {
        expect(frozen).toMatchObject({ status: "completed", attempt: 2, outcome: { value: "All." } });
        expect(await runs.get(frozen.runId)).toEqual(frozen);
        expect(stage.notes).not.toContain("frozen");
        expect(stage.timesAsked("frozen")).toBe(2);
        expectWhole(await eventsOf(frozen));
      });

      test("gives new runs to a worker that was frozen", async () => {
        const run = await stage.submit("mortal", "thawed");
        expect(await run.wait(patience)).toMatchObject({ status: "completed", attempt: 1 });
        await zombie.kill();
      });
    });

    test.skipIf(onOwnServer === undefined)(
      "runs what was submitted while its server was down as soon as it is back (one in the store's database is never down alone)",
      async () => {
        if (onOwnServer === undefined) return;
        await using server = await RedisServer.start();
        await stage.useQueue(onOwnServer(server.url));
        const worker = await stage.worker(["down"], { reconcileMs: 200 });
        expect((await (await stage.submit("down", "up")).wait(patience)).status).toBe("completed");
        await server.stop();
        const run = await stage.submit("down", "down");
        await pause(500);
        expect((await run.get()).status).toBe("pending");
        await server.start();
        expect(await run.wait(patience)).toMatchObject({ status: "completed", attempt: 1 });
        await worker.kill();
      },
    );
  });
}

/** Reads the run's events until it has said this; gives them. */
async function saidBy(run: RunHandle<string>, said: string): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for await (const event of run.events()) {
    if (event.type === "gap") throw new Error("events are missing");
    events.push(event);
    if (textOf(events).endsWith(said)) return events;
  }
  throw new Error(`The run has ended without saying "${said}".`);
}

async function eventsOf({ runId }: { readonly runId: string }, after = 0): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for await (const event of runs.events(runId, { after })) {
    if (event.type === "gap") throw new Error("events are missing");
    events.push(event);
  }
  return events;
}

const textOf = (events: readonly StoredEvent[]): string =>
  events.map((event) => (event.type === "text-delta" ? event.delta : "")).join("");

/** The log of a run that was taken up again: numbered without a gap, one start, one end, no tool ended twice. */
function expectWhole(events: readonly StoredEvent[]): void {
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
  const count = (type: string) => events.filter((event) => event.type === type).length;
  expect([count("run-start"), count("run-resumed"), count("run-completed")]).toEqual([1, 1, 1]);
  expect(count("run-cancelled")).toBe(0);
  expect(events.at(-1)?.type).toBe("run-completed");
  const ended = events.flatMap((event) => (event.type === "tool-end" ? [event.callId] : []));
  expect(new Set(ended).size).toBe(ended.length);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Figures for who asks for them. */
function report(what: string, begin: number): void {
  if (process.env.SHOW_TIMES !== undefined)
    console.log(`${what} ${Math.round(performance.now() - begin)} ms`);
}
