// What only standard decorators can stand on, and what they lack: private members, accessors, parameter types.
import { llmChat, llmFunction, openai, prompt, type Run, tool } from "llmethod";
import { describe, expect, test } from "vitest";
import { answer, text, toolCall } from "../support/server.ts";
import { useServer } from "../surface/use-server.ts";

const place = useServer();
const { model } = place;
const decorators: readonly (readonly [string, (...place: unknown[]) => never])[] = [
  ["llmFunction", llmFunction({ model }) as (...place: unknown[]) => never],
  ["llmChat", llmChat({ model }) as (...place: unknown[]) => never],
  ["tool", tool({ description: "x" }) as (...place: unknown[]) => never],
];

describe("a decorator", () => {
  test.each(decorators)("%s refuses a private method and says where it must stand", (name, decorate) => {
    const make = () => {
      class Wrong {
        @decorate
        #secret(): string {
          return "";
        }
        call(): string {
          return this.#secret();
        }
      }
      return new Wrong();
    };
    expect(make).toThrow(
      expect.objectContaining({
        code: "invalid_decorator",
        message: expect.stringMatching(
          new RegExp(`@${name} stands on the private.*#secret.*must stand on a method`),
        ),
      }),
    );
  });

  test.each(decorators)("%s refuses an accessor field", (name, decorate) => {
    const make = () => {
      class Wrong {
        @decorate
        accessor field = 5;
      }
      return new Wrong();
    };
    expect(make).toThrow(
      expect.objectContaining({
        code: "invalid_decorator",
        message: expect.stringMatching(new RegExp(`@${name} stands on the accessor field`)),
      }),
    );
  });

  test("leaves the compiler's metadata alone", () => {
    class Plain {
      @llmFunction({ model: openai("gpt-test") })
      ask(): Run<string> {
        return prompt`x`;
      }
    }
    expect(Object.getOwnPropertySymbols(Plain.prototype)).toEqual([]);
  });
});

describe("a tool without input", () => {
  test("is refused where its method takes parameters, with both ways out", () => {
    const define = () => {
      class Weather {
        @tool({ description: "The weather" })
        forecast(city: string): string {
          return city;
        }
      }
      return Weather;
    };
    expect(define).toThrow(
      expect.objectContaining({
        name: "UsageError",
        code: "invalid_tool",
        message: expect.stringMatching(
          /tool forecast .*"input".*z\.object.*experimentalDecorators and emitDecoratorMetadata/,
        ),
      }),
    );
  });

  test("is refused also where the method stands above an LLM function", () => {
    const define = () => {
      class Weather {
        @tool({ description: "The weather" })
        @llmFunction({ model })
        forecast(city: string): Run<string> {
          return prompt`${city}`;
        }
      }
      return Weather;
    };
    expect(define).toThrow(expect.objectContaining({ code: "invalid_tool" }));
  });

  test("is refused where all parameters have defaults or are collected", () => {
    const define = () => {
      class Weather {
        @tool({ description: "The weather" })
        forecast(city = "Bonn", ...more: string[]): string {
          return city + more.join();
        }
      }
      return Weather;
    };
    expect(define).toThrow(expect.objectContaining({ code: "invalid_tool" }));
  });

  test("works where the method takes none", async () => {
    class Clock {
      @tool({ description: "The time" })
      now(): string {
        return "noon";
      }
    }
    place.server.script(
      answer(toolCall({ id: "call_1", name: "now", arguments: "{}" })),
      answer(text("done")),
    );
    await llmFunction({ model, toolkit: [new Clock()] })(() => prompt`x`)();
    expect(place.lastContent(1)).toBe("noon");
  });
});
