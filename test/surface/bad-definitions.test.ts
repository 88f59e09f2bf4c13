// What a definition, a decorator, a body or a toolkit has wrong is said where it stands, with what to write.
import {
  type ChatRun,
  configure,
  type LlmDecorator,
  llmChat,
  llmFunction,
  openai,
  prompt,
  type Run,
  type RunOutcome,
  tool,
  UsageError,
  type UsageErrorCode,
} from "llmethod";
import { describe, expect, test } from "vitest";
import { z } from "zod";

const model = openai("gpt-test", { apiKey: "none", baseURL: "http://127.0.0.1:1/v1" });

function expectRefusal(call: () => unknown, code: UsageErrorCode, says: RegExp): void {
  expect(call).toThrow(
    expect.objectContaining({ name: "UsageError", code, message: expect.stringMatching(says) }),
  );
}

function expectErrorOutcome(outcome: RunOutcome<unknown>, code: UsageErrorCode, says: RegExp): void {
  expect(outcome.status).toBe("error");
  const error = outcome.status === "error" ? outcome.error : undefined;
  expect(error).toBeInstanceOf(UsageError);
  expect(error).toMatchObject({ code, message: expect.stringMatching(says) });
}

describe("a definition", () => {
  test.each([
    ["a model alone", model, /takes an object|does not know/],
    ["text", "gpt", /takes an object, not a string/],
    ["null", null, /takes an object, not null/],
    ["an unknown key", { tools: [] }, /does not know tools.*model, toolkit/],
    ["a name as model", { model: "gpt-5-mini" }, /"model" must be a model, such as openai\("gpt-5-mini"\)/],
    ["an object as toolkit", { toolkit: {} }, /"toolkit" must be a list, or a function/],
    ["no turns", { maxTurns: 0 }, /"maxTurns"/],
    ["a wrong grace", { abortGraceMs: "5" }, /"abortGraceMs"/],
    ["a number as name", { name: 5 }, /"name" must be a string/],
    ["a prompt as instructions", { instructions: 5 }, /"instructions" must be a string/],
  ])("of a function refuses %s", (_what, definition, says) => {
    expectRefusal(() => llmFunction(definition as never), "invalid_option", says);
  });

  test.each([
    ["returns", { returns: z.string() }],
    ["instructions", { instructions: "Be kind." }],
  ])("of a chat refuses %s", (key, definition) => {
    expectRefusal(() => llmChat(definition as never), "invalid_option", new RegExp(`does not know ${key}`));
  });

  test.each([
    ["an object that is no schema", { title: "string" }, /must be a zod schema or another Standard Schema/],
    ["a class", class Report {}, /must be a zod schema/],
    ["a date", z.date(), /cannot become JSON Schema.*z\.iso\.datetime/],
    ["a bigint deep inside", z.object({ a: z.array(z.bigint()) }), /cannot become JSON Schema/],
    ["a map", z.map(z.string(), z.string()), /cannot become JSON Schema/],
    ["a schema without JSON Schema", bare(), /cannot become JSON Schema.*Standard JSON Schema/],
  ])("refuses as returns %s", (_what, returns, says) => {
    expectRefusal(() => llmFunction({ returns: returns as never }), "invalid_schema", says);
  });
});

/** A Standard Schema whose library cannot write JSON Schema. */
function bare(): object {
  return { "~standard": { version: 1, vendor: "none", validate: (value: unknown) => ({ value }) } };
}

describe("a missing model", () => {
  class Modelless {
    @llmFunction()
    ask(): Run<string> {
      return prompt`x`;
    }
    @llmChat()
    chat(_message: string): ChatRun {
      return prompt`x`;
    }
    @llmFunction({ model: () => undefined as never })
    late(): Run<string> {
      return prompt`x`;
    }
  }

  test("is told at the call, with both places where it can be set", () => {
    const asker = new Modelless();
    const says = /^Modelless\.\w+ has no model\..*decorator.*openai\("gpt-5-mini"\).*configure/;
    expectRefusal(() => asker.ask(), "missing_model", says);
    expectRefusal(() => asker.ask.stream(), "missing_model", says);
    expectRefusal(() => asker.chat("Hi"), "missing_model", says);
    expectRefusal(() => asker.late(), "missing_model", says);
  });
});

describe("a decorator", () => {
  // What the types refuse reaches the decorator all the same in JavaScript, and where checks are switched off.
  const loose = (decorate: LlmDecorator<string> | LlmDecorator<never>) =>
    decorate as (...place: unknown[]) => never;
  const kinds: readonly (readonly [string, (...place: unknown[]) => never, string])[] = [
    ["llmFunction", loose(llmFunction({ model })), "@llmFunction"],
    ["llmChat", loose(llmChat({ model }) as never), "@llmChat"],
    ["tool", tool({ description: "x" }) as (...place: unknown[]) => never, "@tool"],
  ];

  test.each(kinds)("%s refuses a getter, a setter and an accessor", (_name, decorate, what) => {
    const says = new RegExp(
      `^${what} stands on the (getter|accessor|setter) \\w+: it must stand on a method`,
    );
    const define = [
      () => {
        class Wrong {
          @decorate
          get got(): number {
            return 5;
          }
        }
        return new Wrong();
      },
      () => {
        class Wrong {
          @decorate
          set got(_value: number) {}
        }
        return new Wrong();
      },
    ];
    for (const make of define) expectRefusal(make, "invalid_decorator", says);
  });

  test.each(kinds)("%s refuses a field, a static one too", (_name, decorate, what) => {
    const says = new RegExp(`^${what} stands on the field \\w+: it must stand on a method`);
    const define = [
      () => {
        class Wrong {
          @decorate
          field = 5;
        }
        return new Wrong();
      },
      () => {
        class Wrong {
          readonly own = 5;
          @decorate
          static fixed = () => 5;
        }
        return new Wrong();
      },
    ];
    for (const make of define) expectRefusal(make, "invalid_decorator", says);
  });

  test.each(kinds)("%s refuses a class", (_name, decorate, what) => {
    const make = () => {
      @decorate
      class Wrong {}
      return new Wrong();
    };
    expectRefusal(make, "invalid_decorator", new RegExp(`${what.slice(1)}.*(class|method)`));
  });

  test.each([
    ["a number", 5],
    ["nothing", undefined],
    ["a finished prompt", "x"],
  ])("around %s, which is no function, is refused", (_what, body) => {
    expectRefusal(
      () => llmFunction()(body as never),
      "invalid_decorator",
      /takes a method or a function, not/,
    );
    expectRefusal(() => llmChat()(body as never), "invalid_decorator", /^llmChat takes/);
  });
});

describe("a body that returns something else than its prompt", () => {
  class Wrong {
    @llmFunction({ model })
    text(): Run<string> {
      return "the answer" as never;
    }
    @llmFunction({ model })
    nothing(): Run<string> {
      return undefined as never;
    }
    @llmFunction({ model })
    later(): Run<string> {
      return Promise.resolve("the answer") as never;
    }
    @llmFunction({ model })
    async awaited(): Promise<string> {
      return "the answer";
    }
    @llmFunction({ model })
    deferred(): Run<string> {
      return prompt(async () => "the answer");
    }
    @llmFunction({ model })
    promised(): Run<string> {
      return prompt`Known: ${Promise.resolve("x")}`;
    }
    @llmFunction({ model })
    called(): Run<string> {
      return prompt`Known: ${() => "x"}`;
    }
    @llmChat({ model })
    chat(_message: string): ChatRun {
      return ["parts"] as never;
    }
    @llmChat({ model })
    picture(_message: string): ChatRun {
      return prompt`${{ type: "image_url", image_url: { url: "https://example.com/cat.png" } }}`;
    }
  }
  const wrong = new Wrong();

  test("is told at the call where it can be seen then", () => {
    expectRefusal(() => wrong.text(), "invalid_prompt", /^Wrong\.text must return prompt`…`, not a string/);
    expectRefusal(() => wrong.text.stream(), "invalid_prompt", /not a string/);
    expectRefusal(() => wrong.nothing(), "invalid_prompt", /not undefined/);
    expectRefusal(() => wrong.chat("Hi"), "invalid_prompt", /not an array/);
    expectRefusal(() => wrong.promised(), "invalid_prompt", /holds a promise.*await/i);
    expectRefusal(() => wrong.called(), "invalid_prompt", /holds a function/);
    expectRefusal(() => wrong.picture("Hi"), "invalid_prompt", /takes text only/);
  });

  test("is the run's error where it comes later", async () => {
    const says = /must return prompt`…`, not a string/;
    expectErrorOutcome(await wrong.later().outcome, "invalid_prompt", says);
    expectErrorOutcome(await wrong.later.stream().outcome, "invalid_prompt", says);
    await expect(wrong.awaited()).rejects.toMatchObject({ name: "UsageError", code: "invalid_prompt" });
    await expect(wrong.deferred()).rejects.toMatchObject({ name: "UsageError", code: "invalid_prompt" });
  });
});

describe("a tool", () => {
  const badOptions: readonly (readonly [string, unknown, RegExp])[] = [
    ["no options", undefined, /takes an object/],
    ["no description", { name: "x" }, /"description" must say what the tool does/],
    ["a blank description", { description: "  " }, /"description" must say what the tool does/],
    [
      "a timeout of 0",
      { description: "x", timeout: 0 },
      /"timeout" must be a number of milliseconds above 0/,
    ],
    ["text as timeout", { description: "x", timeout: "5s" }, /"timeout".*milliseconds/],
    ["no function to execute", { name: "x", description: "x", execute: 5 }, /"execute" must be a function/],
    [
      "a name with blanks",
      { name: "a tool", description: "x", execute: () => 5 },
      /"a tool" cannot name a tool/,
    ],
    ["a name too long", { name: "x".repeat(65), description: "x", execute: () => 5 }, /64 at most/],
    [
      "a name with blanks, as a decorator",
      { name: "a tool", description: "x" },
      /"a tool" cannot name a tool/,
    ],
    ["an empty name", { name: "", description: "x", execute: () => 5 }, /"" cannot name a tool/],
    ["a number as name", { name: 5, description: "x", execute: () => 5 }, /name/],
    [
      "an unknown option",
      { name: "x", description: "x", retries: 5, execute: () => 5 },
      /does not know retries/,
    ],
    ["text as parallel", { name: "x", description: "x", parallel: "no", execute: () => 5 }, /"parallel"/],
  ];

  test.each(badOptions)("with %s is refused", (_what, options, says) => {
    expectRefusal(() => tool(options as never), "invalid_tool", says);
  });

  test.each([
    ["a string schema", z.string(), /must be an object schema.*z\.object/],
    ["no schema", { topic: "string" }, /"input" of the tool x must be a zod schema/],
    ["a date", z.object({ day: z.date() }), /"input" of the tool x cannot become JSON Schema/],
  ])("with %s as input is refused, as a decorator and from a function", (_what, input, says) => {
    const options = { name: "x", description: "x", input };
    expectRefusal(() => tool({ ...options, execute: () => 5 } as never), "invalid_schema", says);
    expectRefusal(() => tool(options as never), "invalid_schema", says);
  });

  test("method whose name no provider takes is refused with the place to set another", () => {
    class Odd {
      @tool({ description: "x" })
      "look up"(): string {
        return "";
      }
    }
    const ask = llmFunction({ model, toolkit: [new Odd()] })(() => prompt`x`);
    expectRefusal(() => ask(), "invalid_tool", /"look up" cannot name a tool.*Set "name"/);
  });
});

describe("a toolkit", () => {
  class Named {
    @tool({ description: "x" })
    find(): string {
      return "";
    }
  }
  class Plain {
    find(): string {
      return "";
    }
  }
  const find = tool({ name: "find", description: "x", execute: () => "" });
  const asked = (toolkit: unknown) => () =>
    llmFunction({ model, toolkit: () => toolkit as never })(() => prompt`x`)();

  test.each([
    ["two tools", [find, tool({ name: "find", description: "y", execute: () => "" })]],
    ["an object and a tool", [new Named(), [find]]],
    ["two objects of one class", [new Named(), new Named()]],
  ])("with one name for %s is refused", (_what, toolkit) => {
    expectRefusal(asked(toolkit), "duplicate_tool", /Two tools .*"find".*another "name"/);
  });

  test.each([
    ["an object without tools", [new Plain()], /a Plain without any @tool method/],
    ["an empty object", [{}], /an object without any @tool method/],
    ["a function", [() => ""], /a function without any @tool method.*tool\(\{ name/],
    ["text", ["find"], /not a string/],
    ["undefined", [undefined], /not undefined/],
    ["an AI SDK tool", [{ description: "x", inputSchema: {}, execute() {} }], /without any @tool method/],
    ["a class whose methods are not static", [Named], /without any @tool method/],
    ["something that is no list", new Set([find]), /toolkit/i],
  ])("with %s is refused", (_what, toolkit, says) => {
    expectRefusal(asked(toolkit), "invalid_tool", says);
  });
});

describe("a model that is none", () => {
  test("is told also where the process has a default", () => {
    configure({ model });
    try {
      const ask = llmFunction({ model: (() => "gpt") as never })(() => prompt`x`);
      expectRefusal(() => ask(), "missing_model", /model/);
    } finally {
      configure({ model: undefined } as object);
    }
  });
});
