// Rows 15, 17 and 18 of the stop contract: nested runs, readers that leave, and timeouts.

import { llmChat, llmFunction, prompt, type RunStream } from "llmethod";
import { expect } from "vitest";
import { answer, hang, hangBeforeHeaders, reasoning } from "../support/server.ts";
import {
  asked,
  call,
  cancelled,
  dropped,
  note,
  result,
  resultLike,
  type StopCase,
  said,
  text,
  truncated,
} from "./stop-case.ts";
import { ignores, obeys, returns } from "./tools-told.ts";

const oneCall = () => answer(text("Look: "), call("call_a", "find"));
const oneAsked = asked("Look: ", ["call_a", "find"]);

const nested: StopCase[] = [
  {
    row: 15,
    title: "a nested LLM function is at work inside a tool that passes no signal",
    scene(stage) {
      let inner: RunStream<string> | undefined;
      const study = llmFunction({ model: stage.model() })((topic: string) => prompt`Study ${topic}`);
      const find = stage.tool("find", () => {
        const run = study("owls");
        inner = run;
        return run;
      });
      return {
        answers: [oneCall(), answer(text("Owls are"), hang())],
        toolkit: [find],
        stopWhen: () => stage.heardOf("text Owls are"),
        kept: [oneAsked, resultLike("call_a", /halt[\s\S]*Owls are/)],
        patches: [cancelled("call_a", "find", "stopped")],
        text: "Look: ",
        requests: 2,
        earlyCloses: 1,
        started: ["find"],
        after: async () =>
          expect(await inner?.outcome).toMatchObject({
            status: "cancelled",
            cause: "parent",
            text: "Owls are",
            history: [{ role: "user", content: "Study owls" }, said(`Owls are\n\n${note}`)],
            patches: [truncated("Owls are")],
          }),
      };
    },
  },
  {
    row: 15,
    title: "a nested chat is at work inside a tool that passes no signal",
    scene(stage) {
      let inner: RunStream<unknown> | undefined;
      const study = llmChat({ model: stage.model() })((_topic: string) => prompt`Study`);
      const find = stage.tool("find", () => {
        const run = study("owls");
        inner = run;
        return run;
      });
      return {
        answers: [oneCall(), answer(text("Owls are"), hang())],
        toolkit: [find],
        stopWhen: () => stage.heardOf("text Owls are"),
        kept: [oneAsked, resultLike("call_a", /Owls are[\s\S]*cancelled/)],
        patches: [],
        text: "Look: ",
        requests: 2,
        earlyCloses: 1,
        started: ["find"],
        after: async () =>
          expect(await inner?.outcome).toMatchObject({
            status: "cancelled",
            cause: "parent",
            patches: [truncated("Owls are")],
          }),
      };
    },
  },
  ...([250, 100] as const).map(stuckInside),
];

/** The inner run has the default grace of 250 ms: it must be done before the outer call is given up. */
function stuckInside(abortGraceMs: number): StopCase {
  return {
    row: 15,
    title: `a nested run is at work whose own tool ignores the stop, and the outer grace is ${abortGraceMs} ms`,
    scene(stage) {
      let inner: RunStream<string> | undefined;
      const study = llmFunction({ model: stage.model(), toolkit: [stage.tool("dig", ignores)] })(
        (topic: string) => prompt`Study ${topic}`,
      );
      const find = stage.tool("find", () => {
        const run = study("owls");
        inner = run;
        return run;
      });
      return {
        answers: [oneCall(), answer(text("Deep"), call("call_z", "dig"))],
        abortGraceMs,
        toolkit: [find],
        stopWhen: () => stage.toolsStarted(2),
        kept: [oneAsked, resultLike("call_a", /halt[\s\S]*outcome unknown[\s\S]*Deep[\s\S]*effect: dig/)],
        patches: [cancelled("call_a", "find", "unknown")],
        text: "Look: ",
        requests: 2,
        earlyCloses: 0,
        started: ["find", "dig"],
        after: async () =>
          expect(await inner?.outcome).toMatchObject({
            status: "cancelled",
            cause: "parent",
            patches: [cancelled("call_z", "dig", "unknown")],
          }),
      };
    },
  };
}

const left = { only: "streamed", row: 17 } as const;
const leaver = { cause: "consumer", reason: "the reader left" } as const;
const leftNote = "[stopped: the reader left]";

const leaving: StopCase[] = [
  {
    ...left,
    title: "the reader leaves at the first event",
    scene: () => ({
      ...leaver,
      answers: [],
      leaveAt: ({ type }) => type === "run-start",
      kept: [],
      patches: [],
      requests: 0,
      earlyCloses: 0,
    }),
  },
  {
    ...left,
    title: "the reader leaves while text is streaming",
    scene: () => ({
      ...leaver,
      answers: [answer(text("Once", " upon"), hang())],
      leaveAt: (event) => event.type === "text-delta" && event.delta === " upon",
      kept: [said(`Once upon\n\n${leftNote}`)],
      patches: [truncated("Once upon", "the reader left")],
      text: "Once upon",
      requests: 1,
      earlyCloses: 1,
    }),
  },
  {
    ...left,
    title: "the reader leaves while a call's arguments are streaming",
    scene: (stage) => ({
      ...leaver,
      answers: [answer(call("call_a", "find", ["{", hang()]))],
      toolkit: [stage.tool("find", returns("found"))],
      leaveAt: ({ type }) => type === "tool-input-delta",
      kept: [],
      patches: [dropped("find", "the reader left")],
      requests: 1,
      earlyCloses: 1,
    }),
  },
  {
    ...left,
    title: "the reader leaves while a tool runs that obeys",
    scene: (stage) => ({
      ...leaver,
      answers: [oneCall()],
      toolkit: [stage.tool("find", obeys)],
      leaveAt: ({ type }) => type === "tool-start",
      kept: [oneAsked, resultLike("call_a", /the reader left.*was stopped/)],
      patches: [cancelled("call_a", "find", "stopped", "the reader left")],
      text: "Look: ",
      requests: 1,
      earlyCloses: 0,
      started: ["find"],
    }),
  },
  {
    ...left,
    title: "the reader leaves between two turns",
    scene: (stage) => ({
      ...leaver,
      answers: [oneCall()],
      toolkit: [stage.tool("find", returns("found"))],
      leaveAt: ({ type }) => type === "turn-end",
      kept: [oneAsked, result("call_a", "found")],
      patches: [],
      text: "Look: ",
      requests: 1,
      earlyCloses: 0,
      started: ["find"],
    }),
  },
  {
    ...left,
    title: "the reader leaves at the end of the last turn, when the answer is whole",
    scene: () => ({
      status: "completed",
      answers: [answer(text("All."))],
      leaveAt: ({ type }) => type === "turn-end",
      kept: [said("All.")],
      patches: [],
      text: "All.",
      requests: 1,
      earlyCloses: 0,
    }),
  },
];

const timedOut = (which: string, ms: number) => ({
  cause: "timeout" as const,
  reasonLike: expect.objectContaining({ name: "TimeoutError", which, ms }) as object,
});
const passed = (which: string, ms: number) => `the ${which} timeout of ${ms} ms has passed`;

const timeouts: StopCase[] = [
  {
    row: 18,
    title: "the total timeout passes while the headers have not come",
    scene: () => ({
      ...timedOut("total", 80),
      timeout: 80,
      answers: [hangBeforeHeaders()],
      kept: [],
      patches: [],
      requests: 1,
      earlyCloses: 1,
    }),
  },
  {
    row: 18,
    title: "the turn timeout passes while a later turn's tool runs",
    scene: (stage) => ({
      ...timedOut("turn", 150),
      timeout: { turn: 150 },
      answers: [oneCall(), answer(call("call_b", "wait"))],
      toolkit: [stage.tool("find", returns("found")), stage.tool("wait", obeys)],
      kept: [
        oneAsked,
        result("call_a", "found"),
        asked(null, ["call_b", "wait"]),
        resultLike("call_b", /turn timeout.*was stopped/),
      ],
      patches: [cancelled("call_b", "wait", "stopped", passed("turn", 150))],
      text: "Look: ",
      requests: 2,
      earlyCloses: 0,
      started: ["find", "wait"],
    }),
  },
  {
    row: 18,
    title: "the firstToken timeout passes behind the headers",
    scene: () => ({
      ...timedOut("firstToken", 80),
      timeout: { firstToken: 80 },
      answers: [answer(hang())],
      kept: [],
      patches: [],
      requests: 1,
      earlyCloses: 1,
    }),
  },
  {
    row: 18,
    title: "the idle timeout passes behind some text",
    scene: () => ({
      ...timedOut("idle", 80),
      timeout: { idle: 80 },
      answers: [answer(reasoning("Hm"), text("Once"), hang())],
      kept: [said(`Once\n\n[stopped: ${passed("idle", 80)}]`)],
      patches: [truncated("Once", passed("idle", 80))],
      text: "Once",
      requests: 1,
      earlyCloses: 1,
    }),
  },
  {
    row: 18,
    title: "the tool timeout passes and ends that call only",
    scene: (stage) => ({
      status: "completed",
      timeout: { tool: 60 },
      answers: [
        answer(text("Look: "), call("call_a", "wait"), call("call_b", "find")),
        answer(text("Done.")),
      ],
      toolkit: [stage.tool("find", returns("found")), stage.tool("wait", obeys)],
      kept: [
        asked("Look: ", ["call_a", "wait"], ["call_b", "find"]),
        resultLike("call_a", /timed out after 60 ms/),
        result("call_b", "found"),
        said("Done."),
      ],
      patches: [],
      text: "Look: Done.",
      requests: 2,
      earlyCloses: 0,
      started: ["wait", "find"],
    }),
  },
  {
    row: 18,
    title: "a tool's own timeout passes and the tool ignores it",
    scene: (stage) => ({
      status: "completed",
      abortGraceMs: 40,
      answers: [oneCall(), answer(text("Done."))],
      toolkit: [stage.tool("find", ignores, { timeout: 50 })],
      kept: [oneAsked, resultLike("call_a", /timed out after 50 ms.*may have taken effect/), said("Done.")],
      patches: [],
      text: "Look: Done.",
      requests: 2,
      earlyCloses: 0,
      started: ["find"],
    }),
  },
  {
    row: 18,
    title: "a native timeout signal passes while text is streaming",
    scene: () => ({
      signal: AbortSignal.timeout(80),
      reasonLike: expect.objectContaining({ name: "TimeoutError" }) as object,
      answers: [answer(text("Once"), hang())],
      kept: [said(expect.stringMatching(/^Once\n\n\[stopped: .*timeout\]$/) as string)],
      patches: [truncated("Once", expect.any(String) as string)],
      text: "Once",
      requests: 1,
      earlyCloses: 1,
    }),
  },
];

export const aroundRows: readonly StopCase[] = [...nested, ...leaving, ...timeouts];
