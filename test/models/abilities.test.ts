// Servers that do not know a parameter are asked again without it, and are not troubled with it again.

import { llmFunction, prompt } from "llmethod";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { answer, finish, httpError, noUsage, text } from "../support/server.ts";
import { ask, rejection, textOf, useServer } from "./local.ts";

const Point = z.object({ x: z.number(), y: z.number().optional() });
const point = (model: ReturnType<ReturnType<typeof useServer>["model"]>) =>
  llmFunction({ model, returns: Point, instructions: "You measure." })(() => prompt`Where?`);

describe("a server that refuses stream_options", () => {
  const local = useServer({ refuse: ["stream_options"] });

  it("is asked again without, and remembered", async () => {
    local.server.handle(() => answer(text("ok"), finish("stop", noUsage)));
    const model = local.model();
    expect(textOf(await ask(model))).toBe("ok");
    expect(textOf(await ask(model))).toBe("ok");
    const asked = local.server.requests.map(({ body }) => body.stream_options);
    expect(asked).toEqual([{ include_usage: true }, undefined, undefined]);
  });
});

describe("a server that refuses json_schema", () => {
  const local = useServer({ refuse: ["response_format"] });

  it("is asked again with the schema as an instruction, and remembered", async () => {
    local.server.handle(() => answer(text('{"x": 1, "y": 2}')));
    const model = local.model();
    expect(await point(model)()).toEqual({ x: 1, y: 2 });
    expect(await point(model)()).toEqual({ x: 1, y: 2 });
    const [first, ...later] = local.server.requests.map(({ body }) => body);
    expect(first?.response_format).toMatchObject({ type: "json_schema" });
    expect(later).toHaveLength(2);
    for (const body of later) {
      expect(body.response_format).toBeUndefined();
      expect(body.messages).toHaveLength(2);
      expect(body.messages[0]).toMatchObject({
        role: "system",
        content: expect.stringMatching(/^You measure\.\n\n.*JSON.*"x"/s),
      });
    }
  });

  it("gets a system message of its own where there was none", async () => {
    local.server.handle(() => answer(text('```json\n{"x": 3}\n```')));
    const value = await llmFunction({ model: local.model(), returns: Point })(() => prompt`Where?`)();
    expect(value).toEqual({ x: 3 });
    const last = local.server.requests.at(-1)?.body.messages;
    expect(last?.map(({ role }) => role)).toEqual(["system", "user"]);
  });
});

describe("a server that refuses both", () => {
  const local = useServer({ refuse: ["stream_options", "response_format"] });

  it("is asked a third time", async () => {
    local.server.handle(() => answer(text('{"x": 1}'), finish("stop", noUsage)));
    expect(await point(local.model())()).toEqual({ x: 1 });
    expect(local.server.requests).toHaveLength(3);
  });
});

describe("the prompt form of structured output", () => {
  const local = useServer();

  it("puts the schema into the instruction at once", async () => {
    local.server.script(answer(text('{"x": 1}')));
    expect(await point(local.model({ structuredOutput: "prompt" }))()).toEqual({ x: 1 });
    expect(local.server.requests).toHaveLength(1);
    const { body } = await local.server.arrival(0);
    expect(body.response_format).toBeUndefined();
    expect(body.messages[0]?.content).toMatch(/JSON/);
  });

  it("is not fallen into by a 400 of another kind", async () => {
    local.server.script(httpError(400, { message: "the image is too large" }));
    expect(await rejection(point(local.model())())).toMatchObject({ code: "bad_request" });
    expect(local.server.requests).toHaveLength(1);
  });
});
