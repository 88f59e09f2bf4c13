// The wire of a stream: line ends, comments, and bytes that are cut anywhere.

import { describe, expect, it } from "vitest";
import type { Answer } from "../support/server.ts";
import { ask, textOf, useServer } from "./local.ts";

const local = useServer();

/** Writes these byte pieces, each a packet of its own. */
const packets =
  (pieces: readonly Uint8Array[], type = "text/event-stream"): Answer =>
  async ({ response }) => {
    response.writeHead(200, { "content-type": type });
    for (const piece of pieces) {
      await new Promise<void>((resolve) => response.write(piece, () => resolve()));
      await new Promise((resolve) => setImmediate(resolve));
    }
    response.end();
  };

const bytes = (text: string) => new TextEncoder().encode(text);
const delta = (content: string) => JSON.stringify({ choices: [{ index: 0, delta: { content } }] });
const end = JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
const said = "Grüße, 世界 👩‍🚀!";
const stream = `data: ${delta(said)}\n\ndata: ${end}\n\ndata: [DONE]\n\n`;

describe("a stream of events", () => {
  it.each([
    ["line feeds", "\n"],
    ["carriage returns with line feeds", "\r\n"],
    ["carriage returns", "\r"],
  ])("may end its lines with %s", async (_name, newline) => {
    local.server.script(packets([bytes(stream.replaceAll("\n", newline))]));
    expect(textOf(await ask(local.model()))).toBe(said);
  });

  it("may hold comments, other fields and empty events", async () => {
    const noisy = `: OPENROUTER PROCESSING\n\nevent: message\nid: 7\nretry: 100\n\n\n: ping\n${stream}`;
    local.server.script(packets([bytes(noisy)]));
    expect(textOf(await ask(local.model()))).toBe(said);
  });

  it("may have no space behind the colon", async () => {
    local.server.script(packets([bytes(stream.replaceAll("data: ", "data:"))]));
    expect(textOf(await ask(local.model()))).toBe(said);
  });

  it("may begin with a byte order mark", async () => {
    local.server.script(packets([new Uint8Array([0xef, 0xbb, 0xbf]), bytes(stream)]));
    expect(textOf(await ask(local.model()))).toBe(said);
  });

  it("may come byte by byte", async () => {
    local.server.script(packets([...bytes(stream)].map((byte) => new Uint8Array([byte]))));
    expect(textOf(await ask(local.model()))).toBe(said);
  });

  it("may be cut in two at every single byte", async () => {
    const whole = bytes(stream);
    for (let at = 1; at < whole.length; at++) {
      local.server.script(packets([whole.slice(0, at), whole.slice(at)]));
      expect(textOf(await ask(local.model())), `cut at byte ${at}`).toBe(said);
    }
  });

  it("may end without the last blank line", async () => {
    const open = `data: ${delta("Hi")}\n\ndata: ${end}`;
    local.server.script(packets([bytes(open)]));
    const events = await ask(local.model());
    expect(textOf(events)).toBe("Hi");
    expect(events.at(-1)).toMatchObject({ type: "finish", finishReason: "stop" });
  });

  it("may be sent under another content type", async () => {
    local.server.script(packets([bytes(stream)], "text/plain"));
    expect(textOf(await ask(local.model()))).toBe(said);
  });

  it("may spread one event's data over two lines", async () => {
    const [head, tail] = [`{"choices": [{"index": 0,`, `"delta": {"content": "Hi"}}]}`];
    local.server.script(
      packets([bytes(`data: ${head}\ndata: ${tail}\n\n${stream.slice(stream.indexOf(end) - 6)}`)]),
    );
    expect(textOf(await ask(local.model()))).toBe("Hi");
  });
});
