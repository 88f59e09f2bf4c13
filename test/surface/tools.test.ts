// `@tool` on methods: bound to their object, inherited, overridden, and above `@llmFunction`.
import {
  type CallOptions,
  type ChatRun,
  image,
  llmChat,
  llmFunction,
  prompt,
  type Run,
  type RunEvent,
  type Tool,
  type ToolContext,
  tool,
} from "llmethod";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { answer, text, toolCall } from "../support/server.ts";
import { useServer } from "./use-server.ts";

const place = useServer();
const { model } = place;
const Topic = z.object({ topic: z.string() });

/** Asks a model that calls one tool once, and gives what the model reads of it. */
async function resultOf(toolkit: readonly object[], name: string, input: object): Promise<unknown> {
  const before = place.server.requests.length;
  place.server.script(
    answer(toolCall({ id: "call_1", name, arguments: JSON.stringify(input) })),
    answer(text("done")),
  );
  await llmFunction({ model, toolkit })(() => prompt`Use the tool.`)();
  return place.lastContent(before + 1);
}

class Library {
  readonly books = ["red book", "blue book"];

  @tool({ description: "Find books", input: Topic })
  async find({ topic }: { topic: string }): Promise<string[]> {
    return this.books.filter((book) => book.includes(topic));
  }

  @tool({ name: "count_books", description: "Count the books" })
  count(): number {
    return this.books.length;
  }

  @tool({ description: "The name of the class" })
  static title(): string {
    // biome-ignore lint/complexity/noThisInStatic: that it is the class which it is called on, is what is tested
    return `Class ${this.name}`;
  }
}

class Archive extends Library {
  override readonly books = ["old red book"];

  override async find({ topic }: { topic: string }): Promise<string[]> {
    return [...(await super.find({ topic })), "from the archive"];
  }
}

class Cellar extends Library {
  @tool({ description: "Find bottles", input: z.object({ year: z.number() }) })
  override async find(input: object): Promise<string[]> {
    return [`a bottle of ${JSON.stringify(input)}`];
  }

  @tool({ description: "Open a bottle" })
  open(): string {
    return "opened";
  }
}

describe("a tool method", () => {
  test("runs on its own object", async () => {
    expect(await resultOf([new Library()], "find", { topic: "red" })).toBe('["red book"]');
  });

  test("is offered with its name, its description and its schema", async () => {
    await resultOf([new Library()], "count_books", {});
    expect(place.server.requests[0]?.body.tools).toMatchObject([
      {
        type: "function",
        function: {
          name: "find",
          description: "Find books",
          parameters: { type: "object", properties: { topic: { type: "string" } }, required: ["topic"] },
        },
      },
      { type: "function", function: { name: "count_books", description: "Count the books" } },
    ]);
    expect(place.lastContent(1)).toBe("2");
  });

  test("is still an ordinary method for the program", async () => {
    const library = new Library();
    expect(await library.find({ topic: "blue" })).toEqual(["blue book"]);
    expect(JSON.stringify(library)).toBe('{"books":["red book","blue book"]}');
  });

  test("is inherited, on the object of the subclass", async () => {
    expect(await resultOf([new Archive()], "count_books", {})).toBe("1");
  });

  test("is inherited by a method that overrides it without a decorator", async () => {
    const found = await resultOf([new Archive()], "find", { topic: "red" });
    expect(found).toBe('["old red book","from the archive"]');
  });

  test("is replaced by a method that overrides it with a decorator", async () => {
    expect(await resultOf([new Cellar()], "find", { year: 1990 })).toBe('["a bottle of {\\"year\\":1990}"]');
    expect(place.toolNames().toSorted()).toEqual(["count_books", "find", "open"]);
  });

  test("leaves the superclass as it was", async () => {
    new Cellar();
    await resultOf([new Library()], "find", { topic: "red" });
    expect(place.toolNames()).toEqual(["find", "count_books"]);
  });

  test("may be static: the class is then the toolkit", async () => {
    expect(await resultOf([Library], "title", {})).toBe("Class Library");
    expect(place.toolNames()).toEqual(["title"]);
  });

  test("is taken as it is when the call begins, so that a test can mock it", async () => {
    const library = new Library();
    library.find = async () => ["mocked"];
    expect(await resultOf([library], "find", { topic: "red" })).toBe('["mocked"]');
  });

  test("gets the context as its second argument", async () => {
    let seen: ToolContext | undefined;
    class Curious {
      @tool({ description: "Look around", input: Topic })
      look({ topic }: { topic: string }, context: ToolContext): string {
        seen = context;
        context.emit({ topic });
        return "looked";
      }
    }
    place.server.script(
      answer(toolCall({ id: "call_7", name: "look", arguments: '{"topic":"a"}' })),
      answer(text("done")),
    );
    const ask = llmFunction({ model, toolkit: [new Curious()] })(
      (what: string, _options?: CallOptions) => prompt`${what}`,
    );
    const user = { name: "Ada" };
    const events: RunEvent[] = [];
    const stream = ask.stream("Look", { runId: "run-look", context: user });
    for await (const event of stream) events.push(event);
    expect(seen).toMatchObject({ runId: "run-look", callId: "call_7", toolName: "look" });
    expect(seen?.context).toBe(user);
    expect(seen?.abortSignal).toBeInstanceOf(AbortSignal);
    expect(events).toContainEqual(
      expect.objectContaining({ type: "tool-progress", callId: "call_7", data: { topic: "a" } }),
    );
  });

  test("may give content parts", async () => {
    class Camera {
      @tool({ description: "Take a picture" })
      take() {
        return image("https://example.com/cat.png");
      }
    }
    await resultOf([new Camera()], "take", {});
    expect(place.lastContent(1)).toEqual([
      { type: "image_url", image_url: { url: "https://example.com/cat.png" } },
    ]);
  });
});

describe("a toolkit", () => {
  test("is a list of tools, objects and lists, however nested", async () => {
    const add: Tool = tool({
      name: "add",
      description: "Add two numbers",
      input: z.object({ a: z.number(), b: z.number() }),
      execute: ({ a, b }) => a + b,
    });
    expect(
      await resultOf([[new Library(), [add]], new (class extends Deep {})()], "add", { a: 1, b: 2 }),
    ).toBe("3");
    expect(place.toolNames()).toEqual(["find", "count_books", "add", "deep"]);
  });

  test("that names the same object twice holds its tools once", async () => {
    const library = new Library();
    const now = tool({ name: "now", description: "The time", execute: () => "noon" });
    await resultOf([library, now, [library, [now]]], "now", {});
    expect(place.toolNames()).toEqual(["find", "count_books", "now"]);
  });

  test("that is empty sends no tools", async () => {
    place.server.script(answer(text("done")));
    await llmFunction({ model, toolkit: [] })(() => prompt`Go.`)();
    expect(place.server.requests[0]?.body).not.toHaveProperty("tools");
  });
});

class Deep {
  @tool({ description: "Deep" })
  deep(): string {
    return "deep";
  }
}

describe("a tool that is an LLM function", () => {
  class Desk {
    readonly house = "Acme";

    @tool({ description: "Research a topic", input: Topic })
    @llmFunction({ model })
    research({ topic }: { topic: string }, _context?: ToolContext): Run<string> {
      return prompt`Research ${topic} for ${this.house}`;
    }

    @llmChat({ model, toolkit: (self: Desk) => [self] })
    chat(_message: string): ChatRun {
      return prompt`You have a desk at ${this.house}.`;
    }
  }

  test("runs the inner function and reads its answer", async () => {
    place.server.script(
      answer(toolCall({ id: "call_1", name: "research", arguments: '{"topic":"cats"}' })),
      answer(text("Cats purr.")),
      answer(text("done")),
    );
    await llmFunction({ model, toolkit: [new Desk()] })(() => prompt`Go.`)();
    expect(place.lastContent(1)).toBe("Research cats for Acme");
    expect(place.lastContent(2)).toBe("Cats purr.");
  });

  test("serves a chat of the same object", async () => {
    place.server.script(
      answer(toolCall({ id: "call_1", name: "research", arguments: '{"topic":"cats"}' })),
      answer(text("Cats purr.")),
      answer(text("They purr.")),
    );
    expect(await new Desk().chat("What do cats do?")).toMatchObject({ text: "They purr." });
    expect(place.messages(0)[0]).toEqual({ role: "system", content: "You have a desk at Acme." });
  });

  test("is inherited, also where it is overridden without a decorator", async () => {
    class Heir extends Desk {
      override research(input: { topic: string }, context?: ToolContext): Run<string> {
        return super.research({ topic: `more ${input.topic}` }, context);
      }
    }
    place.server.script(
      answer(toolCall({ id: "call_1", name: "research", arguments: '{"topic":"cats"}' })),
      answer(text("Cats purr.")),
      answer(text("done")),
    );
    await llmFunction({ model, toolkit: [new Heir()] })(() => prompt`Go.`)();
    expect(place.lastContent(1)).toBe("Research more cats for Acme");
  });

  test("still streams and is bound when the program calls it", async () => {
    place.server.script(answer(text("Cats purr.")));
    const { research } = new Desk();
    const outcome = await research.stream({ topic: "cats" }).outcome;
    expect(outcome).toMatchObject({ status: "completed", value: "Cats purr." });
  });

  test("may stand below @llmFunction as well", async () => {
    class Below {
      @llmFunction({ model })
      @tool({ description: "Research a topic", input: Topic })
      research({ topic }: { topic: string }, _context?: ToolContext): Run<string> {
        return prompt`Research ${topic}`;
      }
    }
    place.server.script(
      answer(toolCall({ id: "call_1", name: "research", arguments: '{"topic":"cats"}' })),
      answer(text("Cats purr.")),
      answer(text("done")),
    );
    await llmFunction({ model, toolkit: [new Below()] })(() => prompt`Go.`)();
    expect(place.lastContent(1)).toBe("Research cats");
    expect(place.lastContent(2)).toBe("Cats purr.");
  });

  test("links its events to the run and the call that it belongs to", async () => {
    place.server.script(
      answer(toolCall({ id: "call_1", name: "research", arguments: '{"topic":"cats"}' })),
      answer(text("Cats purr.")),
      answer(text("done")),
    );
    const desk = new Desk();
    const inner: RunEvent[] = [];
    class Watching extends Desk {
      override research(input: { topic: string }): Run<string> {
        const run = desk.research(input);
        void (async () => {
          for await (const event of run) inner.push(event);
        })();
        return run;
      }
    }
    const outer = llmFunction({ model, toolkit: [new Watching()] })(() => prompt`Go.`)();
    await outer;
    expect(inner[0]).toMatchObject({ type: "run-start", parentRunId: outer.runId, parentCallId: "call_1" });
  });
});
