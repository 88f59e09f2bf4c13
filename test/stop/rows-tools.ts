// Rows 8 to 12 of the stop contract: the stop comes while tools run, as they end, or inside user code.

import { prompt, tool } from "llmethod";
import { z } from "zod";
import { answer } from "../support/server.ts";
import { loops } from "./stage.ts";
import { asked, call, cancelled, result, resultLike, type StopCase, said, text } from "./stop-case.ts";
import { failsAtStop, ignores, obeys, returns, returnsAtStop } from "./tools-told.ts";

const oneCall = () => answer(text("Look: "), call("call_a", "find"));
const oneAsked = asked("Look: ", ["call_a", "find"]);
const common = { text: "Look: ", requests: 1, earlyCloses: 0, started: ["find"] } as const;

const running: StopCase[] = [
  {
    row: 8,
    title: "a tool runs that obeys the signal",
    scene: (stage) => ({
      ...common,
      answers: [oneCall()],
      toolkit: [stage.tool("find", obeys)],
      stopWhen: () => stage.toolsStarted(),
      kept: [oneAsked, resultLike("call_a", /halt.*was stopped/)],
      patches: [cancelled("call_a", "find", "stopped")],
    }),
  },
  {
    row: 8,
    title: "a tool runs that ends with an error of its own at the stop",
    scene: (stage) => ({
      ...common,
      answers: [oneCall()],
      toolkit: [stage.tool("find", failsAtStop("3 of 9 rows written"))],
      stopWhen: () => stage.toolsStarted(),
      kept: [oneAsked, resultLike("call_a", /was stopped.*3 of 9 rows written/)],
      patches: [cancelled("call_a", "find", "stopped")],
    }),
  },
  {
    row: 8,
    title: "a tool runs that returns what it has within the grace",
    scene: (stage) => ({
      ...common,
      answers: [oneCall()],
      toolkit: [stage.tool("find", returnsAtStop({ found: 2 }))],
      stopWhen: () => stage.toolsStarted(),
      kept: [oneAsked, result("call_a", '{"found":2}')],
      patches: [],
    }),
  },
  {
    row: 8,
    title: "a tool runs that returns some time after the stop, within the grace",
    scene: (stage) => ({
      ...common,
      answers: [oneCall()],
      abortGraceMs: 2000,
      toolkit: [
        stage.tool("find", async (context) => {
          await returnsAtStop(undefined)(context);
          await new Promise((resolve) => setTimeout(resolve, 30));
          return "late";
        }),
      ],
      stopWhen: () => stage.toolsStarted(),
      kept: [oneAsked, result("call_a", "late")],
      patches: [],
    }),
  },
  {
    row: 8,
    title: "a generator tool runs that looks at the signal between its yields",
    scene: (stage) => ({
      ...common,
      answers: [oneCall()],
      toolkit: [
        stage.tool("find", async function* () {
          for (let step = 0; ; step++) {
            yield { step };
            await loops(1);
          }
        }),
      ],
      stopWhen: () => stage.toolsStarted(),
      kept: [oneAsked, resultLike("call_a", /was stopped/)],
      patches: [cancelled("call_a", "find", "stopped")],
    }),
  },
  {
    row: 9,
    title: "a tool runs that ignores the signal",
    scene: (stage) => ({
      ...common,
      answers: [oneCall()],
      abortGraceMs: 40,
      toolkit: [stage.tool("find", ignores)],
      stopWhen: () => stage.toolsStarted(),
      kept: [oneAsked, resultLike("call_a", /halt.*outcome unknown, it may have taken effect/)],
      patches: [cancelled("call_a", "find", "unknown")],
    }),
  },
  {
    row: 9,
    title: "a tool runs that ignores the signal and there is no grace",
    scene: (stage) => ({
      ...common,
      answers: [oneCall()],
      abortGraceMs: 0,
      toolkit: [stage.tool("find", ignores)],
      stopWhen: () => stage.toolsStarted(),
      kept: [oneAsked, resultLike("call_a", /outcome unknown/)],
      patches: [cancelled("call_a", "find", "unknown")],
    }),
  },
  {
    row: 9,
    title: "a generator tool hangs between two yields",
    scene: (stage) => ({
      ...common,
      answers: [oneCall()],
      abortGraceMs: 40,
      toolkit: [
        stage.tool("find", async function* () {
          yield "begun";
          yield await ignores();
        }),
      ],
      stopWhen: () => stage.toolsStarted(),
      kept: [oneAsked, resultLike("call_a", /outcome unknown/)],
      patches: [cancelled("call_a", "find", "unknown")],
    }),
  },
  {
    row: 10,
    title: "several tools run: one has ended, one obeys, one ignores, one is queued",
    scene: (stage) => ({
      answers: [
        answer(
          call("call_a", "slow"),
          call("call_b", "stuck"),
          call("call_c", "quick"),
          call("call_d", "alone"),
          call("call_e", "quick"),
        ),
      ],
      abortGraceMs: 40,
      toolkit: [
        stage.tool("slow", obeys),
        stage.tool("stuck", ignores),
        stage.tool("quick", returns("real")),
        stage.tool("alone", returns("never"), { parallel: false }),
      ],
      stopWhen: () => stage.toolsStarted(3),
      kept: [
        asked(
          null,
          ["call_a", "slow"],
          ["call_b", "stuck"],
          ["call_c", "quick"],
          ["call_d", "alone"],
          ["call_e", "quick"],
        ),
        resultLike("call_a", /was stopped/),
        resultLike("call_b", /outcome unknown/),
        result("call_c", "real"),
        resultLike("call_d", /not started/),
        resultLike("call_e", /not started/),
      ],
      patches: [
        cancelled("call_a", "slow", "stopped"),
        cancelled("call_b", "stuck", "unknown"),
        cancelled("call_d", "alone", "not-started"),
        cancelled("call_e", "quick", "not-started"),
      ],
      requests: 1,
      earlyCloses: 0,
      started: ["slow", "stuck", "quick"],
    }),
  },
  {
    row: 10,
    title: "tools run one by one and the second is at work",
    scene: (stage) => ({
      answers: [answer(call("call_a", "step"), call("call_b", "wait"), call("call_c", "step"))],
      toolkit: [
        stage.tool("step", returns("real"), { parallel: false }),
        stage.tool("wait", obeys, { parallel: false }),
      ],
      stopWhen: () => stage.toolsStarted(2),
      kept: [
        asked(null, ["call_a", "step"], ["call_b", "wait"], ["call_c", "step"]),
        result("call_a", "real"),
        resultLike("call_b", /was stopped/),
        resultLike("call_c", /not started/),
      ],
      patches: [cancelled("call_b", "wait", "stopped"), cancelled("call_c", "step", "not-started")],
      requests: 1,
      earlyCloses: 0,
      started: ["step", "wait"],
    }),
  },
];

const ending: StopCase[] = [
  {
    row: 11,
    title: "a tool's own last line stops the run",
    scene: (stage) => ({
      ...common,
      answers: [oneCall()],
      toolkit: [
        stage.tool("find", async () => {
          await loops(2);
          stage.stop();
          return "found";
        }),
      ],
      kept: [oneAsked, result("call_a", "found")],
      patches: [],
    }),
  },
  {
    row: 11,
    title: "a tool stops the run at once and returns, beside a tool that has not begun",
    scene: (stage) => ({
      answers: [answer(call("call_a", "find"), call("call_b", "read"))],
      toolkit: [
        stage.tool("find", () => {
          stage.stop();
          return "found";
        }),
        stage.tool("read", returns("read")),
      ],
      kept: [
        asked(null, ["call_a", "find"], ["call_b", "read"]),
        result("call_a", "found"),
        resultLike("call_b", /not started/),
      ],
      patches: [cancelled("call_b", "read", "not-started")],
      requests: 1,
      earlyCloses: 0,
      started: ["find"],
    }),
  },
  ...(["the tool first", "the stop first"] as const).map(
    (order): StopCase => ({
      row: 11,
      title: `the stop comes in the tick in which a tool finishes, ${order}`,
      scene(stage) {
        let finish = () => {};
        const finished = new Promise<void>((resolve) => {
          finish = resolve;
        });
        return {
          ...common,
          answers: [oneCall()],
          toolkit: [stage.tool("find", () => finished.then(() => "found"))],
          stopWhen: async () => {
            await stage.toolsStarted();
            if (order === "the tool first") finish();
            stage.stop();
            finish();
          },
          kept: [oneAsked, result("call_a", "found")],
          patches: [],
        };
      },
    }),
  ),
  {
    row: 11,
    title: "a tool stops the run and then fails by itself",
    scene: (stage) => ({
      ...common,
      answers: [oneCall()],
      toolkit: [
        stage.tool("find", async () => {
          stage.stop();
          throw new Error("no disk");
        }),
      ],
      kept: [oneAsked, resultLike("call_a", /no disk/)],
      patches: [cancelled("call_a", "find", "stopped")],
    }),
  },
];

const untouched = { kept: [], patches: [], requests: 0, earlyCloses: 0, answers: [] } as const;

const callbacks: StopCase[] = [
  {
    row: 12,
    title: "the prompt's body stops the run",
    scene: (stage) => ({
      ...untouched,
      body: () => {
        stage.stop();
        return prompt`Be kind.`;
      },
    }),
  },
  {
    row: 12,
    title: "a prompt is awaited that never comes",
    scene: () => ({
      ...untouched,
      body: () => prompt(ignores),
      stopWhen: () => loops(5),
    }),
  },
  {
    row: 12,
    title: "a prompt that is awaited stops the run",
    scene: (stage) => ({
      ...untouched,
      body: () =>
        prompt(async () => {
          await loops(2);
          stage.stop();
          return prompt`Be kind.`;
        }),
    }),
  },
  {
    row: 12,
    title: "the toolkit's function stops the run",
    scene: (stage) => ({
      ...untouched,
      toolkit: () => {
        stage.stop();
        return [stage.tool("find", returns("found"))];
      },
    }),
  },
  {
    row: 12,
    title: "the check of a tool's input stops the run",
    scene(stage) {
      const input = z.object({}).refine(() => {
        stage.stop();
        return true;
      });
      const find = tool({ name: "find", description: "Find", input, execute: () => "found" });
      return {
        answers: [oneCall()],
        toolkit: [find],
        kept: [oneAsked, resultLike("call_a", /not started/)],
        patches: [cancelled("call_a", "find", "not-started")],
        text: "Look: ",
        requests: 1,
        earlyCloses: 0,
      };
    },
  },
  {
    row: 12,
    title: "the check of an answer that does not fit stops the run",
    scene: (stage) => ({
      answers: [answer(text('{"n":1}'))],
      returns: z.object({ n: z.number() }).refine(() => {
        stage.stop();
        return false;
      }),
      kept: [said('{"n":1}')],
      patches: [],
      text: '{"n":1}',
      requests: 1,
      earlyCloses: 0,
    }),
  },
];

export const toolRows: readonly StopCase[] = [...running, ...ending, ...callbacks];
