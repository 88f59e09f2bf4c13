// `@tool` without `input`: the schema comes from `design:paramtypes`, which legacy decorators emit.
import { type CallOptions, llmFunction, prompt, type Run, type ToolContext, tool } from "llmethod";
import { describe, expect, test } from "vitest";
import { deriveInput } from "../../src/derived-input.ts";
import { answer, text, toolCall } from "../support/server.ts";
import { useServer } from "./use-server.ts";

const place = useServer();
const { model } = place;

async function call(owner: object, name: string, input: object): Promise<unknown> {
  place.server.script(
    answer(toolCall({ id: "call_1", name, arguments: JSON.stringify(input) })),
    answer(text("done")),
  );
  await llmFunction({ model, toolkit: [owner] })(() => prompt`Go.`)();
  return place.lastContent(1);
}

function schema(): unknown {
  const [first] = place.server.requests[0]?.body.tools ?? [];
  return first?.type === "function" ? first.function.parameters : undefined;
}

class Weather {
  readonly unit = "°C";

  @tool({ description: "The weather of a place" })
  forecast(city: string, days: number, hourly: boolean): string {
    return `${city} ${days + 1} ${hourly === true} ${this.unit}`;
  }
}

describe("a tool without input", () => {
  test("takes strings, numbers and booleans by the names of its parameters", async () => {
    expect(await call(new Weather(), "forecast", { hourly: true, days: 2, city: "Bonn" })).toBe(
      "Bonn 3 true °C",
    );
    expect(schema()).toEqual({
      type: "object",
      properties: { city: { type: "string" }, days: { type: "number" }, hourly: { type: "boolean" } },
      required: ["city", "days", "hourly"],
      additionalProperties: false,
    });
  });

  test("does not run with an argument of another type, with one missing, or with one too many", async () => {
    const wrong = { city: "Bonn", days: "2", hourly: true };
    expect(await call(new Weather(), "forecast", wrong)).toMatch(/days: expected a number, not a string/);
    place.server.reset();
    expect(await call(new Weather(), "forecast", { city: "Bonn", days: 2 })).toMatch(/hourly: required/);
    place.server.reset();
    const more = { city: "Bonn", days: 2, hourly: true, wind: true };
    expect(await call(new Weather(), "forecast", more)).toMatch(/wind: not a parameter/);
  });

  test("gets the context behind its other parameters", async () => {
    let seen: ToolContext | undefined;
    class Watched {
      @tool({ description: "Look" })
      look(where: string, context: ToolContext): string {
        seen = context;
        return where;
      }
    }
    expect(await call(new Watched(), "look", { where: "there" })).toBe("there");
    expect(seen).toMatchObject({ toolName: "look", callId: "call_1" });
    expect(seen?.abortSignal).toBeInstanceOf(AbortSignal);
    expect(schema()).toMatchObject({ required: ["where"] });
  });

  test("leaves parameters with a default to the model", async () => {
    class Search {
      @tool({ description: "Search" })
      search(query: string, limit: number = 5, exact: boolean = query === "(,"): string {
        return `${query} ${limit} ${exact}`;
      }
    }
    expect(await call(new Search(), "search", { query: "a" })).toBe("a 5 false");
    expect(schema()).toMatchObject({
      properties: { query: { type: "string" }, limit: { type: "number" }, exact: { type: "boolean" } },
      required: ["query"],
    });
    place.server.reset();
    expect(await call(new Search(), "search", { query: "(,", limit: null, exact: null })).toBe("(, 5 true");
  });

  test("works for async methods, generators, static methods and names of any kind", async () => {
    class Many {
      @tool({ description: "Async" })
      async later(what: string): Promise<string> {
        return `later ${what}`;
      }
      @tool({ description: "Generator" })
      async *slowly(what: string): AsyncGenerator<string, string> {
        yield "half";
        return `slowly ${what}`;
      }
      @tool({ name: "quoted", description: "Quoted" })
      "any name (here)"(what: string): string {
        return `quoted ${what}`;
      }
      @tool({ name: "computed", description: "Computed" })
      [`a(${1 + 1}`](what: string): string {
        return `computed ${what}`;
      }
      @tool({ description: "Static" })
      static fixed(what: string): string {
        return `fixed ${what}`;
      }
    }
    for (const name of ["later", "slowly", "quoted", "computed"]) {
      place.server.reset();
      expect(await call(new Many(), name, { what: "x" })).toBe(`${name} x`);
    }
    place.server.reset();
    expect(await call(Many, "fixed", { what: "x" })).toBe("fixed x");
  });

  test("above an LLM function takes the parameters of its body", async () => {
    class Desk {
      @tool({ description: "Research" })
      @llmFunction({ model })
      research(topic: string, depth: number, _options?: CallOptions): Run<string> {
        return prompt`${topic} ${depth}`;
      }
    }
    place.server.script(
      answer(toolCall({ id: "call_1", name: "research", arguments: '{"topic":"cats","depth":2}' })),
      answer(text("Cats purr.")),
      answer(text("done")),
    );
    await llmFunction({ model, toolkit: [new Desk()] })(() => prompt`Go.`)();
    expect(schema()).toMatchObject({ required: ["topic", "depth"] });
    expect(place.lastContent(1)).toBe("cats 2");
    expect(place.lastContent(2)).toBe("Cats purr.");
  });

  test("is inherited, and overridden without a decorator", async () => {
    class Alps extends Weather {
      override forecast(city: string, days: number, hourly: boolean): string {
        return `Alps: ${super.forecast(city, days, hourly)}`;
      }
    }
    expect(await call(new Alps(), "forecast", { city: "Chur", days: 1, hourly: false })).toBe(
      "Alps: Chur 2 false °C",
    );
  });

  test("takes no arguments where the method has none", async () => {
    class Clock {
      @tool({ description: "The time" })
      now(): string {
        return "noon";
      }
    }
    expect(await call(new Clock(), "now", {})).toBe("noon");
    expect(schema()).toEqual({ type: "object", properties: {}, additionalProperties: false });
  });
});

describe("a tool without input whose parameters the compiler cannot tell", () => {
  const ofList = () => {
    class Owner {
      @tool({ description: "x" })
      find(_topics: string[]): string {
        return "";
      }
    }
    return Owner;
  };
  const ofObject = () => {
    class Owner {
      @tool({ description: "x" })
      find({ topic }: { topic: string }): string {
        return topic;
      }
    }
    return Owner;
  };
  const ofUnion = () => {
    class Owner {
      @tool({ description: "x" })
      find(_topic: string | number): string {
        return "";
      }
    }
    return Owner;
  };
  const ofDate = () => {
    class Owner {
      @tool({ description: "x" })
      find(_day: Date): string {
        return "";
      }
    }
    return Owner;
  };
  const ofRest = () => {
    class Owner {
      @tool({ description: "x" })
      find(..._topics: string[]): string {
        return "";
      }
    }
    return Owner;
  };
  const ofContext = () => {
    class Owner {
      @tool({ description: "x" })
      find(context: ToolContext): string {
        return context.callId;
      }
    }
    return Owner;
  };

  test.each([
    ["a list", ofList],
    ["an object", ofObject],
    ["a union", ofUnion],
    ["a date", ofDate],
    ["rest parameters", ofRest],
    ["the context alone", ofContext],
  ])("refuses %s and says what to write, where it is declared", (_kind, define) => {
    expect(define).toThrow(
      expect.objectContaining({
        name: "UsageError",
        code: "invalid_tool",
        message: expect.stringMatching(/tool find.*"input".*z\.object/s),
      }),
    );
  });

  test("takes the type of a default that is a literal, and never passes the context in its place", async () => {
    class Search {
      @tool({ description: "Search" })
      search(query: string, limit = 5, mode = "all", deep = false): string {
        return `${query} ${limit} ${mode} ${deep}`;
      }
    }
    expect(await call(new Search(), "search", { query: "sea" })).toBe("sea 5 all false");
    expect(schema()).toMatchObject({
      properties: { limit: { type: "number" }, mode: { type: "string" }, deep: { type: "boolean" } },
      required: ["query"],
    });
  });

  test("refuses another default whose type is not written down", () => {
    const define = () => {
      class Search {
        @tool({ description: "Search" })
        search(query: string, since = new Date(0)): string {
          return `${query} ${since.getTime()}`;
        }
      }
      return Search;
    };
    expect(define).toThrow(
      expect.objectContaining({ code: "invalid_tool", message: expect.stringMatching(/parameter 2/) }),
    );
  });
});

describe("the names of the parameters", () => {
  test.each([
    ["comments", "search(query /* what, (or why) */, // the user's query\n limit)", ["query", "limit"]],
    ["an async method", "async search(query, limit) { return (query); }", ["query", "limit"]],
    ["an async generator", "async *search(query, limit) {}", ["query", "limit"]],
    ["a quoted name", "'find (any)'(query, limit) {}", ["query", "limit"]],
    ["a computed name", "[`a(` + b(1)](query, limit) {}", ["query", "limit"]],
    ["a function", "function (query, limit) {}", ["query", "limit"]],
    ["an arrow function", "(query, limit) => query", ["query", "limit"]],
    ["a trailing comma", "search(\n  query,\n  limit,\n) {}", ["query", "limit"]],
    ["defaults", "search(query = 'a, b)', limit = max([1, (2)])) {}", []],
    ["letters of other languages", "search(größe, $limit) {}", ["größe", "$limit"]],
  ])("are read from the source of a method with %s", (_what, source, required) => {
    const derived = deriveInput({ toString: () => source }, [String, Number]);
    if (derived?.kind !== "positional") throw new Error(`It is ${JSON.stringify(derived)}.`);
    expect(derived.parser.jsonSchema.required).toEqual(required);
    expect(Object.keys(derived.parser.jsonSchema.properties ?? {})).toHaveLength(2);
  });
});
