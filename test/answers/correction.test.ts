// An answer that does not fit is asked for again with the validator's words, twice at most.

import type { StandardSchemaV1 } from "@standard-schema/spec";
import { llmFunction, OutputError, prompt } from "llmethod";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { eventsOf, only, rejection, useServer } from "../models/local.ts";
import { answer, finish, refusalOf, text } from "../support/server.ts";
import { answerTo } from "./ask-for.ts";

const local = useServer();
const Age = z.object({ age: z.int().min(0, "an age is never negative") });

describe("a correction", () => {
  it("is asked for with the issues and the schema, behind the wrong answer", async () => {
    expect(await answerTo(local, Age, '{"age": -1}', '{"age": 1}')).toEqual({ age: 1 });
    const messages = local.server.requests[1]?.body.messages ?? [];
    expect(messages.map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
    expect(messages[1]).toMatchObject({ role: "assistant", content: '{"age": -1}' });
    expect(messages[2]?.content).toMatch(/- age: an age is never negative\n.*"age"/s);
  });

  it("names the issues of the answer itself, where the root had to be wrapped", async () => {
    const schema = z.array(Age);
    await answerTo(local, schema, { value: [{ age: 1 }, { age: -1 }] }, { value: [] });
    expect(local.server.requests[1]?.body.messages.at(-1)?.content).toContain(
      "- 1.age: an age is never negative",
    );
  });

  it("names the issues of the likeliest of several values", async () => {
    await answerTo(local, Age, '{"age": -1}\n\nThat is all [1].', { age: 1 });
    expect(local.server.requests[1]?.body.messages.at(-1)?.content).toContain(
      "- age: an age is never negative",
    );
  });

  it("asks in the same format again", async () => {
    await answerTo(local, Age, "no", '{"age": 1}');
    const [first, second] = local.server.requests.map(({ body }) => body.response_format);
    expect(second).toEqual(first);
  });

  it("is asked for twice, then the run ends with the last answer and its issues", async () => {
    const error = await rejection(answerTo(local, Age, '{"age": -1}', "what?", '{"age": -3}'));
    expect(error).toBeInstanceOf(OutputError);
    expect(error).toMatchObject({
      code: "invalid_output",
      text: '{"age": -3}',
      issues: ["age: an age is never negative"],
    });
    expect((error as Error).message).toContain("an age is never negative");
    expect(local.server.requests).toHaveLength(3);
  });

  it("is asked for where the answer is empty", async () => {
    local.server.script(answer(finish("stop")), answer(text('{"age": 3}')));
    expect(await llmFunction({ model: local.model(), returns: Age })(() => prompt`?`)()).toEqual({ age: 3 });
    expect(local.server.requests[1]?.body.messages.at(-1)?.content).toMatch(/no complete JSON value/);
  });

  it("shows as turns of their own, and the history holds it all", async () => {
    local.server.script(answer(text("no")), answer(text('{"age": 3}')));
    const stream = llmFunction({ model: local.model(), returns: Age })(() => prompt`?`).stream();
    const events = await eventsOf(stream);
    expect(only(events, "turn-start").map(({ turn }) => turn)).toEqual([1, 2]);
    expect(only(events, "turn-end").map(({ finishReason }) => finishReason)).toEqual(["stop", "stop"]);
    const { history, text: said, turns } = await stream.outcome;
    expect(turns).toBe(2);
    expect(said).toBe('no{"age": 3}');
    expect(history.map(({ role }) => role)).toEqual(["user", "assistant", "user", "assistant"]);
    expect(refusalOf({ model: "m", messages: history })).toBeUndefined();
  });

  it("counts as a turn for maxTurns", async () => {
    local.server.script(answer(text("no")));
    const ageOf = llmFunction({ model: local.model(), returns: Age, maxTurns: 1 })(() => prompt`?`);
    expect(await rejection(ageOf())).toBeInstanceOf(Error);
    expect(local.server.requests).toHaveLength(1);
  });

  it("leaves the history of a failed run fit to be sent again", async () => {
    local.server.script(...["a", "b", "c"].map((said) => answer(text(said))));
    const outcome = await llmFunction({ model: local.model(), returns: Age })(() => prompt`?`)().outcome;
    expect(outcome.status).toBe("error");
    expect(refusalOf({ model: "m", messages: outcome.history })).toBeUndefined();
    expect(outcome.text).toBe("abc");
  });
});

describe("a schema with work of its own", () => {
  it("may refine asynchronously", async () => {
    const schema = z.object({ id: z.string().refine(async (id) => id === "right", "unknown id") });
    expect(await answerTo(local, schema, { id: "wrong" }, { id: "right" })).toEqual({ id: "right" });
    expect(local.server.requests[1]?.body.messages.at(-1)?.content).toContain("id: unknown id");
  });

  it("may transform, also asynchronously, to what is no JSON", async () => {
    const schema = z.object({
      at: z.iso.datetime().transform((at) => new Date(at)),
      tags: z.array(z.string()).transform(async (tags) => new Set(tags)),
    });
    const value = await answerTo(local, schema, { at: "2024-01-02T03:04:05Z", tags: ["a", "a"] });
    expect(value).toEqual({ at: new Date("2024-01-02T03:04:05Z"), tags: new Set(["a"]) });
  });

  it("may pipe and preprocess what it is given", async () => {
    const schema = z.object({
      n: z
        .string()
        .pipe(z.transform((text) => Number(text)))
        .pipe(z.number()),
    });
    expect(await answerTo(local, schema, { n: "42" })).toEqual({ n: 42 });
  });

  it("ends the run as an error where it throws, and hangs nothing", async () => {
    const boom = new Error("the database is down");
    const schema = z.object({
      n: z.int().transform((): number => {
        throw boom;
      }),
    });
    expect(await rejection(answerTo(local, schema as StandardSchemaV1, { n: 1 }))).toBe(boom);
  });
});
