// Processes that stop a run must end by themselves, with nothing on stderr.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type Answer,
  answer,
  hang,
  hangBeforeHeaders,
  httpError,
  type OpenAiServer,
  reasoning,
  startServer,
  text,
} from "../support/server.ts";
import { call } from "./stop-case.ts";

let server: OpenAiServer;

beforeEach(async () => {
  server = await startServer();
});
afterEach(() => server.close());

interface Exit {
  readonly code: number | null;
  readonly said: unknown;
  readonly stderr: string;
  /** From the child's last word to its end, in ms. */
  readonly lingeredMs: number;
}

async function exitOf(phase: string): Promise<Exit> {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const file = fileURLToPath(new URL("exit-child.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", "--trace-warnings", file, server.url, phase], {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    env,
    timeout: 15_000,
  });
  let [stdout, stderr] = ["", ""];
  let lastAt = performance.now();
  child.stdout.setEncoding("utf8").on("data", (data: string) => {
    stdout += data;
    lastAt = performance.now();
  });
  child.stderr.setEncoding("utf8").on("data", (data: string) => {
    stderr += data;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return {
    code,
    stderr,
    said: stdout === "" ? undefined : JSON.parse(stdout),
    lingeredMs: performance.now() - lastAt,
  };
}

const toolTurn = () => answer(text("Look: "), call("call_a", "find"));
const halted = (said = "") => ({ status: "cancelled", text: said });

describe("a process ends by itself", () => {
  const phases: Record<string, { answers: Answer[]; said: unknown }> = {
    completed: {
      answers: [toolTurn(), answer(text("Done."))],
      said: { status: "completed", text: "Look: Done." },
    },
    failed: { answers: [httpError(400, { message: "No" })], said: { status: "error", text: "" } },
    "before-start": { answers: [], said: halted() },
    headers: { answers: [hangBeforeHeaders()], said: halted() },
    backoff: { answers: [httpError(429, { message: "Slow down" }, { "retry-after": "20" })], said: halted() },
    reasoning: { answers: [answer(reasoning("Hm"), hang())], said: halted() },
    text: { answers: [answer(text("Once"), hang())], said: halted("Once") },
    arguments: { answers: [answer(call("call_a", "find", ["{", hang()]))], said: halted() },
    "tool-obeys": { answers: [toolTurn()], said: halted("Look: ") },
    "tool-never-ends": { answers: [toolTurn()], said: halted("Look: ") },
    nested: { answers: [toolTurn(), answer(text("Owls"), hang())], said: halted("Look: ") },
    leaving: { answers: [answer(text("Once"), hang())], said: halted("Once") },
    timeout: { answers: [answer(text("Once"), hang())], said: halted("Once") },
    "by-id": { answers: [answer(text("Once"), hang())], said: halted("Once") },
    unwatched: { answers: [answer(text("Once"), hang())], said: undefined },
  };

  test.each(Object.keys(phases))("whose run is stopped in the phase: %s", async (phase) => {
    const { answers = [], said } = phases[phase] ?? {};
    server.script(...answers);
    const exit = await exitOf(phase);
    expect(exit.stderr).toBe("");
    expect(exit.code).toBe(0);
    expect(exit.said).toEqual(said);
    if (phase !== "unwatched") expect(exit.lingeredMs).toBeLessThan(1500);
    expect(server.problems).toEqual([]);
  });

  test("and silently, where a tool ignores the stop for a second and then rejects", async () => {
    server.script(toolTurn());
    const exit = await exitOf("tool-ignores");
    expect(exit).toMatchObject({ stderr: "", code: 0, said: halted("Look: ") });
    expect(exit.lingeredMs).toBeLessThan(3000);
  });
});
