// The stop contract, a case a row: each played awaited and streamed against the strict local server.

import {
  type CallOptions,
  llmChat,
  llmFunction,
  prompt,
  type Run,
  RunCancelledError,
  type RunStream,
} from "llmethod";
import { describe, expect, test } from "vitest";
import type { ChatMessage } from "../../src/transcript.ts";
import { answer, text } from "../support/server.ts";
import { checkHistory, checkInvariants, type Ended, ended } from "./checks.ts";
import { aroundRows } from "./rows-around.ts";
import { modelRows } from "./rows-model.ts";
import { toolRows } from "./rows-tools.ts";
import { Stage } from "./stage.ts";
import type { Scene, StopCase } from "./stop-case.ts";

const modes = ["awaited", "streamed"] as const;
type Mode = (typeof modes)[number];
type Ask = (message: string, options?: CallOptions) => Run<unknown>;

const earlier: ChatMessage[] = [
  { role: "user", content: "Hello" },
  {
    role: "assistant",
    content: null,
    tool_calls: [{ id: "call_0", type: "function", function: { name: "old", arguments: "{}" } }],
  },
  { role: "tool", tool_call_id: "call_0", content: "past" },
  { role: "assistant", content: "Hi." },
];

const cases = [...modelRows, ...toolRows, ...aroundRows].sort((a, b) => a.row - b.row);

describe.each(modes)("a run that is %s", (mode) => {
  const own = cases.filter(({ only }) => only === undefined || only === mode);
  test.each(own)("row $row: $title", async (row) => {
    await using stage = await Stage.open();
    await play(stage, row, mode);
  });
});

async function play(stage: Stage, row: StopCase, mode: Mode): Promise<void> {
  const scene = row.scene(stage);
  stage.server.script(...scene.answers);
  const given = structuredClone(earlier);
  const options: CallOptions = {
    history: given,
    abortSignal: scene.signal ?? stage.controller.signal,
    ...(scene.timeout === undefined ? {} : { timeout: scene.timeout }),
  };
  const seen = await (mode === "awaited" ? awaited : streamed)(askOf(stage, scene), options, scene, stage);
  expect(given, "the caller's history is untouched").toEqual(earlier);
  checkInvariants(seen);
  checkEnd(seen, scene, stage);
  await checkServer(stage, scene);
  await scene.after?.();
  await sendAgain(stage, seen.outcome.history);
}

function askOf(stage: Stage, { model = stage.model(), toolkit, abortGraceMs, returns, body }: Scene): Ask {
  const definition = {
    model,
    ...(toolkit === undefined ? {} : { toolkit }),
    ...(abortGraceMs === undefined ? {} : { abortGraceMs }),
  };
  if (returns === undefined) {
    return llmChat(definition)((_message: string, _options?: CallOptions) => body?.() ?? prompt`Be kind.`);
  }
  return llmFunction({ ...definition, returns })(
    (message: string, _options?: CallOptions) => prompt`${message}`,
  );
}

async function awaited(ask: Ask, options: CallOptions, scene: Scene, stage: Stage): Promise<Ended> {
  const run = ask("Go", options);
  void stopWhenTime(scene, stage);
  const answered = await run.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  checkPromptness(stage, scene);
  const { outcome, events } = await ended(run);
  if ("value" in answered && scene.returns === undefined) {
    const { text, history, patches, status, runId } = outcome;
    expect(answered.value).toMatchObject({ text, history, patches, status, runId });
  } else if (outcome.status === "cancelled") {
    const { text, history, patches, runId } = outcome;
    const error = "error" in answered ? answered.error : undefined;
    expect(error).toBeInstanceOf(RunCancelledError);
    expect(error).toMatchObject({ name: "AbortError", code: "ABORT_ERR", text, history, patches, runId });
    expect(error instanceof Error && error.cause === outcome.reason).toBe(true);
  }
  return { outcome, events };
}

async function streamed(ask: Ask, options: CallOptions, scene: Scene, stage: Stage): Promise<Ended> {
  const stream: RunStream<unknown> = ask.stream("Go", options);
  void stopWhenTime(scene, stage);
  const types: string[] = [];
  for await (const event of stream) {
    types.push(event.type);
    if (scene.leaveAt?.(event) !== true) continue;
    stage.marked();
    break;
  }
  checkPromptness(stage, scene);
  const seen = await ended(stream);
  expect(seen.events.map(({ type }) => type).slice(0, types.length)).toEqual(types);
  let told = "";
  for await (const delta of stream.textStream()) told += delta;
  expect(told, "the text stream is the text").toBe(seen.outcome.text);
  return seen;
}

async function stopWhenTime(scene: Scene, stage: Stage): Promise<void> {
  if (scene.stopsAtOnce === true) stage.stop();
  if (scene.stopWhen === undefined) return;
  await scene.stopWhen();
  stage.stop();
}

function checkEnd({ outcome }: Ended, scene: Scene, stage: Stage): void {
  const { status = "cancelled", cause = "signal", kept, patches, text: said = "" } = scene;
  expect(outcome.status).toBe(status);
  if (outcome.status === "cancelled") {
    expect(outcome.cause).toBe(cause);
    const wanted = "reason" in scene ? scene.reason : stage.reason;
    if (scene.reasonLike === undefined)
      expect(outcome.reason === wanted, "the reason by identity").toBe(true);
    else expect(outcome.reason).toEqual(scene.reasonLike);
  }
  expect(outcome.history).toEqual([...earlier, { role: "user", content: "Go" }, ...kept]);
  expect(outcome.patches).toEqual(patches);
  expect(outcome.text).toBe(said);
}

/** The contract says 10 ms behind the stop or the grace; a busy machine gets much more. */
function checkPromptness(stage: Stage, { abortGraceMs = 0 }: Scene): void {
  if (stage.stoppedAt === undefined) return;
  expect(performance.now() - stage.stoppedAt).toBeLessThan(abortGraceMs + 250);
}

/** The stop is over: no request came after it, no tool began, and every answer that was cut has closed. */
async function checkServer(stage: Stage, { requests, earlyCloses, started = [] }: Scene): Promise<void> {
  const { server } = stage;
  await Promise.all(server.requests.map(({ closed }) => closed));
  await new Promise((resolve) => setTimeout(resolve, 20));
  server.verify();
  expect(server.requests.length, "requests").toBe(requests);
  if (stage.requestsAtStop !== undefined) expect(stage.requestsAtStop).toBe(requests);
  expect(server.earlyCloses, "sockets closed early").toBe(earlyCloses);
  expect(stage.started).toEqual(started);
  expect(stage.startedLate, "tools that began after the stop").toEqual([]);
}

async function sendAgain(stage: Stage, history: readonly ChatMessage[]): Promise<void> {
  checkHistory(history);
  stage.server.script(answer(text("Going on.")));
  const again = llmChat({ model: stage.model() })(
    (_message: string, _options?: CallOptions) => prompt`Be kind.`,
  );
  const reply = await again("Go on", { history });
  expect(reply.text).toBe("Going on.");
  expect(reply.patches).toEqual([]);
  stage.server.verify();
}

describe("row 16: the run has ended", () => {
  test.each(modes)("a stop changes nothing any more, %s", async (mode) => {
    await using stage = await Stage.open();
    stage.server.script(answer(text("All", " said.")));
    const ask = llmChat({ model: stage.model() })(
      (_message: string, _options?: CallOptions) => prompt`Be kind.`,
    );
    const options = { abortSignal: stage.controller.signal };
    const run: RunStream<unknown> = mode === "awaited" ? ask("Go", options) : ask.stream("Go", options);
    const before = await ended(run);
    stage.stop();
    run.cancel("too late");
    const after = await ended(run);
    expect(after.outcome).toBe(before.outcome);
    expect(after.events).toEqual(before.events);
    expect(after.outcome).toMatchObject({
      status: "completed",
      value: { text: "All said.", status: "completed" },
    });
    expect(run.status).toBe("completed");
    checkInvariants(after);
    await sendAgain(stage, run.history);
  });
});
