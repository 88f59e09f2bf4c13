// Proves the wire: what is streamed, what is refused, and that nothing is left when somebody goes away.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import OpenAI from "openai";
import { afterEach, describe, expect, it } from "vitest";
import { type StandIn, startStandIn } from "../stand-in.ts";

const open: StandIn[] = [];
afterEach(() => Promise.all(open.splice(0).map((standIn) => standIn.close())));

async function started(pace = 0) {
  const standIn = await startStandIn({ pace });
  open.push(standIn);
  return { standIn, client: new OpenAI({ baseURL: standIn.url, apiKey: "any", maxRetries: 0 }) };
}

const tool = (name: string) => ({
  type: "function" as const,
  function: { name, parameters: { type: "object" } },
});
const story = { model: "m", messages: [{ role: "user" as const, content: "Tell me a long story" }] };

async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe("the stream", () => {
  it("brings a text in small deltas, then the finish reason, then the usage", async () => {
    const { client } = await started();
    const request = { ...story, stream: true as const, stream_options: { include_usage: true } };
    const chunks = await collected(await client.chat.completions.create(request));
    const deltas = chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta.content ?? ""));
    expect(Math.max(...deltas.map((delta) => delta.length))).toBeLessThan(12);
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe("stop");
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: expect.any(Number) } });
  });

  it("sends no usage where nobody asked for it", async () => {
    const { client } = await started();
    const chunks = await collected(await client.chat.completions.create({ ...story, stream: true }));
    expect(chunks.some((chunk) => "usage" in chunk)).toBe(false);
  });

  it("brings the arguments of parallel calls in pieces under their index", async () => {
    const { client } = await started();
    const stream = await client.chat.completions.create({
      model: "m",
      messages: [{ role: "user", content: "What time is it in Tokyo and what is (17 + 4) * 3?" }],
      tools: [tool("current_time"), tool("calculate")],
      stream: true,
    });
    const pieces: string[] = [];
    for await (const { choices } of stream) {
      for (const { index, function: part } of choices[0]?.delta.tool_calls ?? []) {
        pieces[index] = (pieces[index] ?? "") + (part?.arguments ?? "");
      }
    }
    expect(pieces).toEqual(['{"timeZone":"Asia/Tokyo"}', '{"expression":"(17 + 4) * 3"}']);
  });

  it("answers in one piece where no stream is asked for", async () => {
    const { client } = await started();
    const { choices, usage } = await client.chat.completions.create(story);
    expect(choices[0]?.message.content).toContain("Once there was");
    expect(usage?.total_tokens).toBeGreaterThan(0);
  });

  it("takes its time, so that one can see it", async () => {
    const { client } = await started(1);
    const begin = performance.now();
    for await (const _ of await client.chat.completions.create({ ...story, stream: true }));
    expect(performance.now() - begin).toBeGreaterThan(500);
  });
});

describe("a request that OpenAI would refuse", () => {
  const call = { id: "c1", type: "function" as const, function: { name: "x", arguments: "{}" } };
  const user = { role: "user" as const, content: "hello" };
  it.each([
    ["a call without its result", [user, { role: "assistant" as const, tool_calls: [call] }, user], "c1"],
    ["a result without its call", [user, { role: "tool" as const, tool_call_id: "c9", content: "" }], "c9"],
    ["no messages", [], "messages"],
  ])("is refused: %s", async (_, messages, said) => {
    const { client } = await started();
    const refused = client.chat.completions.create({ model: "m", messages });
    await expect(refused).rejects.toMatchObject({ status: 400, message: expect.stringContaining(said) });
  });

  it("is refused: another path, and a body that is no JSON", async () => {
    const { standIn } = await started();
    expect((await fetch(`${standIn.url}/responses`, { method: "POST", body: "{}" })).status).toBe(404);
    expect((await fetch(`${standIn.url}/chat/completions`, { method: "POST", body: "{" })).status).toBe(400);
  });
});

describe("the end", () => {
  it("comes at once for open streams when the stand-in is closed, and closing twice is the same", async () => {
    const { standIn, client } = await started(50);
    const stream = await client.chat.completions.create({ ...story, stream: true });
    const reading = (async () => {
      for await (const _ of stream);
    })().catch(() => undefined);
    const begin = performance.now();
    await Promise.all([standIn.close(), standIn.close(), reading]);
    expect(performance.now() - begin).toBeLessThan(500);
  });

  it("leaves nothing that would hold the process, neither after a stop nor after closing", async () => {
    const script = `
      import { startStandIn } from ${JSON.stringify(new URL("../stand-in.ts", import.meta.url).href)};
      const standIn = await startStandIn({ pace: 20 });
      const body = ${JSON.stringify(JSON.stringify({ ...story, stream: true }))};
      const stop = new AbortController();
      const response = await fetch(standIn.url + "/chat/completions", { method: "POST", body, signal: stop.signal });
      const reader = response.body.getReader();
      await reader.read();
      stop.abort();
      await reader.read().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 100));
      const timers = process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
      await standIn.close();
      const closed = performance.now();
      process.on("exit", () => console.log(JSON.stringify({ timers, ms: performance.now() - closed })));`;
    const { stdout } = await promisify(execFile)(process.execPath, [
      "--import",
      "tsx",
      "--input-type=module",
      "-e",
      script,
    ]);
    const { timers, ms } = JSON.parse(stdout);
    expect(timers).toBe(0);
    expect(ms).toBeLessThan(500);
  });
});
