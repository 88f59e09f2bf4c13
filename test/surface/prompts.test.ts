// The body is the prompt: how a template becomes the text and the parts that a model reads.
import {
  audio,
  type CallOptions,
  type ChatRun,
  file,
  image,
  llmChat,
  llmFunction,
  prompt,
  type Run,
} from "llmethod";
import { describe, expect, test } from "vitest";
import { answer, text } from "../support/server.ts";
import { useServer } from "./use-server.ts";

const place = useServer();
const { model } = place;

/** The content of the message that a prompt becomes. */
async function contentOf(body: () => never): Promise<unknown> {
  place.server.script(answer(text("done")));
  await llmFunction({ model })(body)();
  return place.lastContent();
}

class Facts {
  @llmFunction({ model })
  async awaited(topic: string): Promise<string> {
    const known = await Promise.resolve(`all about ${topic}`);
    return prompt`Known: ${known}`;
  }

  @llmFunction({ model })
  deferred(topic: string): Run<string> {
    return prompt(async () => prompt`Known: ${await Promise.resolve(`all about ${topic}`)}`);
  }

  @llmChat({ model })
  chat(_message: string | readonly object[], _options?: CallOptions): ChatRun {
    return prompt(async () => prompt`Known: ${await Promise.resolve("everything")}`);
  }
}

describe("a prompt", () => {
  test("loses the indentation of the source and the blank ends, and nothing else", async () => {
    const list = ["one", "two"].map((line) => `  - ${line}`).join("\n");
    const content = await contentOf(
      () => prompt`
        First line.

          Indented line.
        List:
        ${list}
        Last line.
      `,
    );
    expect(content).toBe("First line.\n\n  Indented line.\nList:\n  - one\n  - two\nLast line.");
  });

  test("on one line is taken as it is", async () => {
    expect(await contentOf(() => prompt`  two spaces, ${"and"} three   `)).toBe("  two spaces, and three   ");
  });

  test("keeps the line breaks and the indentation of its values", async () => {
    const value = "\n    deep\n\n  shallow\n";
    expect(
      await contentOf(
        () => prompt`
      <${value}>
    `,
      ),
    ).toBe("<\n    deep\n\n  shallow\n>");
  });

  test("keeps blank lines in its middle and tabs that are not the indentation", async () => {
    const content = await contentOf(() => prompt`a\n\n\nb\tc`);
    expect(content).toBe("a\n\n\nb\tc");
  });

  test("writes numbers, booleans, JSON values, dates, errors and nothing for nothing", async () => {
    const content = await contentOf(
      () =>
        prompt`${1.5}|${true}|${{ a: [1, null] }}|${["x", "y"]}|${new Date(0)}|${new Error("bad")}|${null}|${undefined}|${10n}`,
    );
    expect(content).toBe('1.5|true|{"a":[1,null]}|["x","y"]|"1970-01-01T00:00:00.000Z"|bad|||10');
  });

  test("takes other prompts in", async () => {
    const inner: unknown = prompt`inner ${1}`;
    expect(await contentOf(() => prompt`outer ${inner} end`)).toBe("outer inner 1 end");
  });

  test("has its escapes read, as any template", async () => {
    expect(await contentOf(() => prompt`a\tb \`c\` \u0064`)).toBe("a\tb `c` d");
  });

  test("may contain content parts, in their places", async () => {
    const content = await contentOf(
      () => prompt`
        Compare ${image("https://example.com/cat.png", { detail: "low" })} with
        ${image(new Uint8Array([1, 2, 3]), { mediaType: "image/jpeg" })}.
        Listen: ${audio(new Uint8Array([4, 5]), { format: "mp3" })}
        Read: ${file({ filename: "a.pdf", data: new Uint8Array([6]) })}${file({ fileId: "file-1" })}
      `,
    );
    expect(content).toEqual([
      { type: "text", text: "Compare " },
      { type: "image_url", image_url: { url: "https://example.com/cat.png", detail: "low" } },
      { type: "text", text: " with\n" },
      { type: "image_url", image_url: { url: "data:image/jpeg;base64,AQID" } },
      { type: "text", text: ".\nListen: " },
      { type: "input_audio", input_audio: { data: "BAU=", format: "mp3" } },
      { type: "text", text: "\nRead: " },
      { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,Bg==" } },
      { type: "file", file: { file_id: "file-1" } },
    ]);
  });

  test("takes a list of content parts and the parts of another prompt", async () => {
    const pictures = ["a", "b"].map((name) => image(`https://example.com/${name}.png`));
    const inner: unknown = prompt`see ${pictures}`;
    expect(await contentOf(() => prompt`Please ${inner}!`)).toEqual([
      { type: "text", text: "Please see " },
      { type: "image_url", image_url: { url: "https://example.com/a.png" } },
      { type: "image_url", image_url: { url: "https://example.com/b.png" } },
      { type: "text", text: "!" },
    ]);
  });

  test("takes bytes that are a part of a larger buffer", async () => {
    const bytes = new Uint8Array([0, 1, 2, 3, 4]).subarray(1, 4);
    expect(await contentOf(() => prompt`${image(bytes)}`)).toEqual([
      { type: "image_url", image_url: { url: "data:image/png;base64,AQID" } },
    ]);
  });
});

describe("a prompt that must be awaited", () => {
  test("comes from an async body", async () => {
    place.server.script(answer(text("done")));
    expect(await new Facts().awaited("cats")).toBe("done");
    expect(place.lastContent()).toBe("Known: all about cats");
  });

  test("comes from prompt(async () => …)", async () => {
    place.server.script(answer(text("done")));
    const { deferred } = new Facts();
    expect(await deferred.stream("cats").outcome).toMatchObject({ value: "done" });
    expect(place.lastContent()).toBe("Known: all about cats");
  });

  test("is a chat's system prompt too", async () => {
    place.server.script(answer(text("done")));
    await new Facts().chat("Hello");
    expect(place.messages()[0]).toEqual({ role: "system", content: "Known: everything" });
  });

  test("is no longer waited for when the run is stopped", async () => {
    const hanging = llmFunction({ model })(() => prompt(() => new Promise<never>(() => {})));
    const run = hanging();
    setTimeout(() => run.cancel("enough"), 5);
    expect(await run.outcome).toMatchObject({ status: "cancelled", reason: "enough" });
    expect(place.server.requests).toHaveLength(0);
  });

  test("that fails is the run's error, by identity", async () => {
    const broken = new Error("no facts");
    class Broken {
      @llmFunction({ model })
      async ask(): Promise<string> {
        await Promise.resolve();
        throw broken;
      }
    }
    await expect(new Broken().ask()).rejects.toBe(broken);
  });
});

describe("a body that throws", () => {
  const broken = new Error("no question");
  class Broken {
    @llmFunction({ model })
    ask(question: string): Run<string> {
      if (question === "") throw broken;
      return prompt`${question}`;
    }
  }

  test("ends the run as an error, by identity, without a request", async () => {
    const { ask } = new Broken();
    await expect(ask("")).rejects.toBe(broken);
    expect(await ask.stream("").outcome).toMatchObject({ status: "error", error: broken, history: [] });
    expect(place.server.requests).toHaveLength(0);
  });

  test("keeps the given history in the outcome", async () => {
    const history = [{ role: "user" as const, content: "Hello" }];
    const chat = llmChat({ model })((_message: string, _options?: CallOptions) => {
      throw broken;
    });
    expect(await chat("x", { history }).outcome).toMatchObject({ status: "error", history });
  });
});

describe("a chat's message", () => {
  test("may be content parts", async () => {
    place.server.script(answer(text("A cat.")));
    const parts = [{ type: "text", text: "What is this?" }, image("https://example.com/cat.png")] as const;
    const reply = await new Facts().chat(parts);
    expect(place.messages()[1]).toEqual({ role: "user", content: parts });
    expect(reply.history).toEqual([
      { role: "user", content: parts },
      { role: "assistant", content: "A cat." },
    ]);
  });
});
