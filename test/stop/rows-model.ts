// Rows 1 to 7, 13 and 14 of the stop contract: the stop comes before or while the model speaks.

import type { Model } from "llmethod";
import { expect } from "vitest";
import { z } from "zod";
import { answer, finishReason, hang, hangBeforeHeaders, httpError, reasoning } from "../support/server.ts";
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
import { returns } from "./tools-told.ts";

const nothing = { kept: [], patches: [] } as const;

const before: StopCase[] = [
  {
    row: 1,
    title: "the signal is aborted already",
    scene(stage) {
      stage.stop();
      return { answers: [], ...nothing, requests: 0, earlyCloses: 0 };
    },
  },
  {
    row: 1,
    title: "the stop comes in the tick of the call",
    scene: () => ({
      answers: [],
      ...nothing,
      stopsAtOnce: true,
      requests: 0,
      earlyCloses: 0,
    }),
  },
  {
    row: 2,
    title: "a retry waits for its backoff",
    scene: (stage) => ({
      answers: [httpError(503, { message: "Overloaded" })],
      model: stage.model({ maxRetries: { maxRetries: 5, baseDelayMs: 20_000 } }),
      ...nothing,
      stopWhen: async () => await (await stage.server.arrival()).answered,
      requests: 1,
      earlyCloses: 0,
    }),
  },
  {
    row: 2,
    title: "a retry waits as long as the server asked",
    scene: (stage) => ({
      answers: [httpError(429, { message: "Slow down" }, { "retry-after": "20" })],
      ...nothing,
      stopWhen: async () => {
        await (await stage.server.arrival()).answered;
        await new Promise((resolve) => setTimeout(resolve, 30));
      },
      requests: 1,
      earlyCloses: 0,
    }),
  },
  {
    row: 2,
    title: "a wrapper of the model waits for a slot",
    scene(stage) {
      let isQueued = () => {};
      const queued = new Promise<void>((resolve) => {
        isQueued = resolve;
      });
      const model: Model = {
        name: "queued",
        async *stream(request) {
          isQueued();
          await new Promise((_, reject) => {
            request.abortSignal.addEventListener("abort", () => reject(request.abortSignal.reason));
          });
          yield* stage.model().stream(request);
        },
      };
      return { answers: [], model, ...nothing, stopWhen: () => queued, requests: 0, earlyCloses: 0 };
    },
  },
  {
    row: 3,
    title: "the response headers have not come",
    scene: (stage) => ({
      answers: [hangBeforeHeaders()],
      ...nothing,
      stopWhen: () => stage.server.arrival(),
      requests: 1,
      earlyCloses: 1,
    }),
  },
  {
    row: 3,
    title: "the headers have come, but nothing behind them",
    scene: (stage) => ({
      answers: [answer(hang())],
      ...nothing,
      stopWhen: async () => {
        await stage.server.arrival();
        await new Promise((resolve) => setTimeout(resolve, 30));
      },
      requests: 1,
      earlyCloses: 1,
    }),
  },
];

const speaking: StopCase[] = [
  {
    row: 4,
    title: "text is streaming",
    scene: (stage) => ({
      answers: [answer(text("Once", " upon"), hang())],
      stopWhen: () => stage.heardOf("text  upon"),
      kept: [said(`Once upon\n\n${note}`)],
      patches: [truncated("Once upon")],
      text: "Once upon",
      requests: 1,
      earlyCloses: 1,
    }),
  },
  {
    row: 4,
    title: "text is streaming and is cut inside an emoji",
    scene: (stage) => ({
      answers: [answer(text("Smile ", "\ud83d"), hang())],
      stopWhen: () => stage.heardOf("text \ud83d"),
      kept: [said(`Smile \n\n${note}`)],
      patches: [truncated("Smile \ud83d")],
      text: "Smile \ud83d",
      requests: 1,
      earlyCloses: 1,
    }),
  },
  {
    row: 4,
    title: "text is streaming behind reasoning",
    scene: (stage) => ({
      answers: [answer(reasoning("Hm"), text("Well"), hang())],
      stopWhen: () => stage.heardOf("text Well"),
      kept: [said(`Well\n\n${note}`)],
      patches: [truncated("Well")],
      text: "Well",
      requests: 1,
      earlyCloses: 1,
    }),
  },
  {
    row: 5,
    title: "only reasoning has streamed",
    scene: (stage) => ({
      answers: [answer(reasoning("Let me", " think"), hang())],
      ...nothing,
      stopWhen: () => stage.heardOf("reasoning  think"),
      requests: 1,
      earlyCloses: 1,
    }),
  },
  {
    row: 6,
    title: "a call's arguments are streaming",
    scene: (stage) => ({
      answers: [answer(call("call_a", "find", ['{"n"', hang()]))],
      toolkit: [stage.tool("find", returns("found"))],
      stopWhen: () => stage.heardOf("input call_a"),
      kept: [],
      patches: [dropped("find")],
      requests: 1,
      earlyCloses: 1,
    }),
  },
  {
    row: 6,
    title: "a call's arguments are streaming behind text",
    scene: (stage) => ({
      answers: [answer(text("Let me look"), call("call_a", "find", ['{"n":1}', hang()]))],
      toolkit: [stage.tool("find", returns("found"))],
      stopWhen: () => stage.heardOf("input call_a"),
      kept: [said(`Let me look\n\n${note}`)],
      patches: [truncated("Let me look"), dropped("find")],
      text: "Let me look",
      requests: 1,
      earlyCloses: 1,
    }),
  },
  {
    row: 6,
    title: "only the name of a call has come",
    scene: (stage) => ({
      answers: [answer(call("call_a", "find", [hang()]))],
      toolkit: [stage.tool("find", returns("found"))],
      stopWhen: async () => {
        await stage.server.arrival();
        await new Promise((resolve) => setTimeout(resolve, 50));
      },
      kept: [],
      patches: [dropped("find")],
      requests: 1,
      earlyCloses: 1,
    }),
  },
  {
    row: 7,
    title: "the call is complete, but the end of the stream has not come",
    scene: (stage) => ({
      answers: [answer(call("call_a", "find", '{"n":1}'), finishReason("tool_calls"), hang())],
      toolkit: [stage.tool("find", returns("found"))],
      stopWhen: async () => {
        await stage.heardOf("input call_a");
        await new Promise((resolve) => setTimeout(resolve, 50));
      },
      kept: [asked(null, ["call_a", "find", '{"n":1}']), resultLike("call_a", /halt.*not started/)],
      patches: [cancelled("call_a", "find", "not-started")],
      requests: 1,
      earlyCloses: 1,
    }),
  },
  {
    row: 7,
    title: "one call is complete and the next one's arguments are streaming",
    scene: (stage) => ({
      answers: [answer(call("call_a", "find", '{"n":1}'), call("call_b", "read", ['{"n"', hang()]))],
      toolkit: [stage.tool("find", returns("found")), stage.tool("read", returns("read"))],
      stopWhen: () => stage.heardOf("input call_b"),
      kept: [asked(null, ["call_a", "find", '{"n":1}']), resultLike("call_a", /halt.*not started/)],
      patches: [cancelled("call_a", "find", "not-started"), dropped("read")],
      requests: 1,
      earlyCloses: 1,
    }),
  },
  {
    row: 7,
    title: "text and two calls are complete and the third one's arguments are streaming",
    scene: (stage) => ({
      answers: [
        answer(
          text("Now"),
          call("call_a", "find"),
          call("call_b", "read"),
          call("call_c", "find", ["{", hang()]),
        ),
      ],
      toolkit: [stage.tool("find", returns("found")), stage.tool("read", returns("read"))],
      stopWhen: () => stage.heardOf("input call_c"),
      kept: [
        asked(`Now\n\n${note}`, ["call_a", "find"], ["call_b", "read"]),
        resultLike("call_a", /not started/),
        resultLike("call_b", /not started/),
      ],
      patches: [
        truncated("Now"),
        cancelled("call_a", "find", "not-started"),
        cancelled("call_b", "read", "not-started"),
        dropped("find"),
      ],
      text: "Now",
      requests: 1,
      earlyCloses: 1,
    }),
  },
];

const firstTurn = () => answer(text("First. "), call("call_a", "find"));
const firstKept = [asked("First. ", ["call_a", "find"]), result("call_a", "found")];

const later: StopCase[] = [
  {
    row: 13,
    title: "a later turn's text is streaming",
    scene: (stage) => ({
      answers: [firstTurn(), answer(text("Second"), hang())],
      toolkit: [stage.tool("find", returns("found"))],
      stopWhen: () => stage.heardOf("text Second"),
      kept: [...firstKept, said(`Second\n\n${note}`)],
      patches: [truncated("Second")],
      text: "First. Second",
      requests: 2,
      earlyCloses: 1,
      started: ["find"],
    }),
  },
  {
    row: 13,
    title: "a later turn waits for its headers",
    scene: (stage) => ({
      answers: [firstTurn(), hangBeforeHeaders()],
      toolkit: [stage.tool("find", returns("found"))],
      stopWhen: () => stage.server.arrival(1),
      kept: firstKept,
      patches: [],
      text: "First. ",
      requests: 2,
      earlyCloses: 1,
      started: ["find"],
    }),
  },
  {
    row: 13,
    title: "a later turn only reasons",
    scene: (stage) => ({
      answers: [firstTurn(), answer(reasoning("Hm"), hang())],
      toolkit: [stage.tool("find", returns("found"))],
      stopWhen: () => stage.heardOf("reasoning Hm"),
      kept: firstKept,
      patches: [],
      text: "First. ",
      requests: 2,
      earlyCloses: 1,
      started: ["find"],
    }),
  },
  {
    row: 13,
    title: "a later turn's second call is streaming",
    scene: (stage) => ({
      answers: [firstTurn(), answer(call("call_b", "find"), call("call_c", "find", ["{", hang()]))],
      toolkit: [stage.tool("find", returns("found"))],
      stopWhen: () => stage.heardOf("input call_c"),
      kept: [...firstKept, asked(null, ["call_b", "find"]), resultLike("call_b", /not started/)],
      patches: [cancelled("call_b", "find", "not-started"), dropped("find")],
      text: "First. ",
      requests: 2,
      earlyCloses: 1,
      started: ["find"],
    }),
  },
  {
    row: 14,
    title: "a correction of an invalid answer is streaming",
    scene: (stage) => ({
      answers: [answer(text('{"n":"one"}')), answer(text('{ "n'), hang())],
      returns: z.object({ n: z.number() }),
      stopWhen: () => stage.heardOf('text { "n'),
      kept: [
        said('{"n":"one"}'),
        { role: "user", content: expect.stringContaining("not valid") as unknown },
        said(`{ "n\n\n${note}`),
      ],
      patches: [truncated('{ "n')],
      text: '{"n":"one"}{ "n',
      requests: 2,
      earlyCloses: 1,
    }),
  },
  {
    row: 14,
    title: "a correction of an invalid answer waits for its headers",
    scene: (stage) => ({
      answers: [answer(text('{"n":"one"}')), hangBeforeHeaders()],
      returns: z.object({ n: z.number() }),
      stopWhen: () => stage.server.arrival(1),
      kept: [said('{"n":"one"}'), { role: "user", content: expect.stringContaining("not valid") as unknown }],
      patches: [],
      text: '{"n":"one"}',
      requests: 2,
      earlyCloses: 1,
    }),
  },
];

export const modelRows: readonly StopCase[] = [...before, ...speaking, ...later];
