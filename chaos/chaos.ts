/** A chaos run: many runs, some of them cancelled, while a random worker is killed every few seconds. */
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { cancelRun, configure, type GapEvent, runs, type StoredEvent } from "../src/index.ts";
import { startServer } from "../test/support/server.ts";
import { type Kind, newPlace, openPlace, removePlace } from "./place.ts";
import { seeded } from "./seeded.ts";
import { askedFor, diaryOf, makeSurvey, modelAnswer } from "./survey.ts";
import { type Evidence, judged, type Verdict } from "./verdict.ts";
import { Workers } from "./workers.ts";

export interface ChaosOptions {
  readonly kind: Kind;
  readonly runs: number;
  /** How long workers are killed, in s. */
  readonly seconds: number;
  readonly seed: number;
}

export interface ChaosReport extends Verdict {
  readonly kills: number;
  /** How often a worker was suspended for longer than it is waited for. */
  readonly freezes: number;
  /** From the first run to the end of the last, in s. */
  readonly seconds: number;
}

/**
 * How long a worker is suspended now and then, in ms: longer than the queue waits for a sign of life. On SQLite a
 * suspended process keeps its runs: it is suspended for a moment only.
 */
const freezeMs: Readonly<Record<Kind, number>> = { sqlite: 1500, "pg-boss": 14_000, bullmq: 11_000 };
const workerCount = 3;
/** How long the last runs may take when no worker is killed any more, in ms. */
const endMs = 90_000;

export async function chaos({ kind, runs: count, seconds, seed }: ChaosOptions): Promise<ChaosReport> {
  const chance = seeded(seed);
  await using server = await startServer();
  server.handle(modelAnswer);
  const place = newPlace(kind, server.url);
  writeFileSync(place.diary, "");
  const { store, queue, close } = await openPlace(place);
  const workers = new Workers(place);
  configure({ store, worker: false, ...(queue === undefined ? {} : { queue }) });
  const survey = makeSurvey(server.url, place.diary);
  try {
    await workers.start(workerCount);
    const startedAt = performance.now();
    const killedUntil = startedAt + seconds * 1000;
    const planned = Array.from({ length: count }, (_, index) => ({
      runId: `run-${index}`,
      beginsMs: chance() * seconds * 900,
      ...(index % 5 === 4 ? { cancelledMs: chance() * 4500 } : {}),
      isWatched: index % 7 === 0,
    }));
    const kills = killAll();
    const watched = await Promise.all(planned.map((plan) => play(plan)));
    await kills;
    const ended = (performance.now() - startedAt) / 1000;
    await workers.endAll();
    const verdict = await judged(store, evidence(watched));
    return { ...verdict, kills: workers.kills, freezes: workers.freezes, seconds: ended };

    async function killAll(): Promise<void> {
      let count = 0;
      while (performance.now() < killedUntil) {
        await sleep(2000 + chance() * 1500);
        if (++count % 4 === 0) await workers.freezeOne(chance(), freezeMs[kind]);
        else await workers.killOne(chance());
      }
    }

    async function play(plan: (typeof planned)[number]): Promise<readonly (StoredEvent | GapEvent)[]> {
      const { runId, beginsMs, cancelledMs, isWatched } = plan;
      await sleep(beginsMs);
      await survey.background(runId, { runId });
      const events = isWatched ? watch(runId) : Promise.resolve([]);
      if (cancelledMs !== undefined) {
        await sleep(cancelledMs);
        // By both ways in.
        await (isWatched ? cancelRun(runId, "enough") : runs.cancel(runId, "enough", { by: "chaos" }));
      }
      const timeoutMs = killedUntil - performance.now() + endMs;
      await runs.wait(runId, { timeoutMs }).catch(() => {}); // the verdict says what has not ended
      return Promise.race([events, sleep(2000).then(() => [])]);
    }

    function evidence(watched: readonly (readonly (StoredEvent | GapEvent)[])[]): Evidence {
      return {
        runs: planned.map(({ runId, cancelledMs, isWatched }, index) => ({
          runId,
          isCancelled: cancelledMs !== undefined,
          watched: isWatched ? (watched[index] ?? []) : undefined,
        })),
        requests: server.requests.map(({ body }) => askedFor(body)),
        refused: server.problems,
        diary: diaryOf(place.diary),
        stderr: workers.stderr,
      };
    }
  } finally {
    try {
      await workers.endAll();
    } finally {
      await close();
      await removePlace(place);
    }
  }
}

async function watch(runId: string): Promise<readonly (StoredEvent | GapEvent)[]> {
  const events: (StoredEvent | GapEvent)[] = [];
  for await (const event of runs.events(runId)) events.push(event);
  return events;
}
