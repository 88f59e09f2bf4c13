// Stops a recorded scenario at every event, at every chunk of the network and at random instants.

import { getEventListeners } from "node:events";
import { setImmediate as nextLoop } from "node:timers/promises";
import fc from "fast-check";
import type { CallOptions, RunEvent, RunStream } from "llmethod";
import { describe, expect, test } from "vitest";
import { answer, checkpoint, type Step, text } from "../support/server.ts";
import { chatOf } from "./ask.ts";
import { checkHistory, checkInvariants, type Ended, ended } from "./checks.ts";
import { chatScenario, type Scenario, typedScenario } from "./scenario.ts";
import { Stage } from "./stage.ts";

const pass: Step = async () => {};
type Reader = (event: RunEvent<unknown>, index: number) => "leave" | undefined;

interface Play {
  readonly stage: Stage;
  readonly run: RunStream<unknown>;
  /** Reads to the end; gives all that was seen. */
  read(onEvent?: Reader): Promise<Ended>;
}

function start(
  stage: Stage,
  scenario: Scenario,
  between: (index: number) => Step = () => pass,
  options: CallOptions = {},
): Play {
  stage.server.script(...scenario.answers(between));
  const run = scenario.ask(stage).stream("Go", { abortSignal: stage.controller.signal, ...options });
  const read = async (onEvent: Reader = () => undefined) => {
    let index = 0;
    for await (const event of run) if (onEvent(event, index++) === "leave") break;
    return ended(run);
  };
  return { stage, run, read };
}

/** What must hold wherever the stop came. */
async function check(stage: Stage, { events, outcome }: Ended, whole: Ended): Promise<void> {
  checkInvariants({ events, outcome });
  expect(outcome.status).not.toBe("error");
  if (outcome.status === "completed") expect(outcome.history).toEqual(whole.outcome.history);
  expect(whole.outcome.text.startsWith(outcome.text), "the text is the beginning of the whole").toBe(true);
  expect(getEventListeners(stage.controller.signal, "abort")).toEqual([]);
  expect(stage.startedLate).toEqual([]);
  await Promise.all(stage.server.requests.map(({ closed }) => closed));
  await nextLoop();
  const requests = stage.server.requests.length;
  if (stage.requestsAtStop !== undefined && outcome.status === "cancelled") {
    expect(requests, "no request after the stop").toBeLessThanOrEqual(
      stage.requestsAtStop + requestsUnderway(events, stage),
    );
  }
  expect(stage.server.problems).toEqual([]);
  stage.server.reset();
  stage.server.script(answer(text("Going on.")));
  const reply = await chatOf(stage.model())("Go on", { history: outcome.history });
  expect(reply.text).toBe("Going on.");
  expect(reply.patches).toEqual([]);
  stage.server.verify();
}

/** A request that was sent before the stop may reach the server after it; no turn began after the stop. */
function requestsUnderway(events: readonly RunEvent<unknown>[], stage: Stage): number {
  const begun = events.filter(({ type }) => type === "turn-start").length;
  return Math.max(0, begun - (stage.requestsAtStop ?? 0));
}

describe.each([chatScenario, typedScenario])("$name", (scenario) => {
  const whole = (async () => {
    await using stage = await Stage.open();
    const seen = await start(stage, scenario).read();
    checkInvariants(seen);
    expect(seen.outcome).toMatchObject({ status: "completed", turns: 3, patches: [] });
    stage.server.verify();
    return seen;
  })();

  const means: Record<string, (play: Play) => "leave" | undefined> = {
    "by the signal": ({ stage }) => {
      stage.stop();
      return undefined;
    },
    "by run.cancel": ({ run, stage }) => {
      stage.marked();
      run.cancel("halt");
      return undefined;
    },
    "by leaving the loop": ({ stage }) => {
      stage.marked();
      return "leave";
    },
  };

  test.each(Object.keys(means))("can be stopped at every event %s", { timeout: 60_000 }, async (name) => {
    const recorded = await whole;
    for (const index of recorded.events.keys()) {
      await using stage = await Stage.open();
      const play = start(stage, scenario);
      let types: string[] = [];
      const seen = await play.read((event, at) => {
        if (at <= index) types = [...types, event.type];
        return at === index ? means[name]?.(play) : undefined;
      });
      const place = `event ${index}, ${types.at(-1)}`;
      expect(types, place).toEqual(recorded.events.slice(0, index + 1).map(({ type }) => type));
      const isOver = index >= recorded.events.length - 2;
      expect(seen.outcome.status, place).toBe(isOver ? "completed" : "cancelled");
      const more = seen.events.slice(index + 1).map(({ type }) => type);
      const allowed = [
        "tool-start",
        "tool-progress",
        "tool-end",
        "turn-end",
        "run-cancelled",
        "run-completed",
      ];
      expect(
        more.filter((type) => !allowed.includes(type)),
        `${place}: then nothing new`,
      ).toEqual([]);
      await check(stage, seen, recorded);
    }
  });

  test("can be stopped at every chunk of the network", { timeout: 60_000 }, async () => {
    const recorded = await whole;
    for (let chunk = 0; chunk < scenario.chunks; chunk++) {
      await using stage = await Stage.open();
      const here = checkpoint();
      const play = start(stage, scenario, (index) => (index === chunk ? here.step : pass));
      const reading = play.read();
      await here.reached;
      stage.stop();
      await check(stage, await reading, recorded);
    }
  });

  test("can be stopped some turns of the event loop after every chunk", { timeout: 60_000 }, async () => {
    const recorded = await whole;
    for (let chunk = 0; chunk < scenario.chunks; chunk++) {
      await using stage = await Stage.open();
      const here = checkpoint();
      const play = start(stage, scenario, (index) => (index === chunk ? here.step : pass));
      const done = play.run.outcome;
      await here.reached;
      here.open();
      for (let i = 0; i < chunk % 5; i++) await nextLoop();
      stage.stop();
      await done;
      await check(stage, await ended(play.run), recorded);
    }
  });

  test("can be stopped at any instant, by any means", { timeout: 120_000 }, async () => {
    const recorded = await whole;
    const instant = fc.record({
      event: fc.nat(recorded.events.length - 1),
      microtasks: fc.nat(40),
      loops: fc.nat(6),
      isRead: fc.boolean(),
      by: fc.constantFrom("signal", "cancel", "timeout"),
    });
    const property = fc.asyncProperty(instant, async ({ event, microtasks, loops, isRead, by }) => {
      await using stage = await Stage.open();
      const play = start(stage, scenario, () => pass, by === "timeout" ? { timeout: event } : {});
      const stopSoon = async () => {
        for (let i = 0; i < loops; i++) await nextLoop();
        for (let i = 0; i < microtasks; i++) await undefined;
        if (by === "signal") stage.stop();
        else if (by === "cancel") {
          stage.marked();
          play.run.cancel("halt");
        }
      };
      if (isRead) {
        const seen = await play.read((_event, index) => {
          if (index === event) void stopSoon();
          return undefined;
        });
        await check(stage, seen, recorded);
      } else {
        for (let i = 0; i < event; i++) await nextLoop();
        await stopSoon();
        await check(stage, await ended(play.run), recorded);
      }
    });
    await fc.assert(property, { numRuns: 150 });
  });

  test("shows a history that is valid at every event while it runs", async () => {
    await using stage = await Stage.open();
    const play = start(stage, scenario);
    const histories: unknown[] = [];
    await play.read(() => {
      checkHistory(play.run.history);
      histories.push(play.run.history);
      return undefined;
    });
    expect(histories.length).toBe((await whole).events.length);
    expect(histories.at(-1)).toEqual((await whole).outcome.history);
  });
});
