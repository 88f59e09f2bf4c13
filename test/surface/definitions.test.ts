// What a definition says: model, toolkit, instructions, name and limits, also as functions of the instance.
import {
  type CallOptions,
  type ChatRun,
  configure,
  llmChat,
  llmFunction,
  type Model,
  prompt,
  type Run,
  type Tool,
  TurnLimitError,
  tool,
} from "llmethod";
import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { answer, text, toolCall } from "../support/server.ts";
import { useServer } from "./use-server.ts";

const place = useServer();
const { model } = place;

/** A model that says its own name. */
const named = (name: string): Model => ({
  name,
  async *stream() {
    yield { type: "text-delta", delta: name };
    yield { type: "finish", finishReason: "stop" };
  },
});

const toolNamed = (name: string): Tool => tool({ name, description: name, execute: () => name });

class Agent {
  readonly model: Model;
  tools: readonly Tool[];

  constructor(name: string, ...tools: readonly Tool[]) {
    this.model = named(name);
    this.tools = tools;
  }

  @llmFunction({ model: (self: Agent) => self.model })
  who(): Run<string> {
    return prompt`Who are you?`;
  }

  @llmFunction({ model, toolkit: (self: Agent) => self.tools })
  act(what: string, _options?: CallOptions): Run<string> {
    return prompt`${what}`;
  }

  @llmFunction({ model, instructions: "Be brief.", name: "brief" })
  brief(what: string): Run<string> {
    return prompt`${what}`;
  }

  @llmChat({ model, toolkit: (self: Agent) => self.tools, maxTurns: 1 })
  chat(_message: string, _options?: CallOptions): ChatRun {
    return prompt`You are ${this.model.name}.`;
  }

  @llmFunction()
  undecided(): Run<string> {
    return prompt`Go.`;
  }

  @llmFunction({ toolkit: (self: typeof Agent) => [toolNamed(self.name)], model })
  static all(): Run<string> {
    return prompt`All.`;
  }
}

/** Takes the process's default model away again. */
afterEach(() => configure({ model: undefined } as object));

describe("a definition", () => {
  test("may take its model from the instance", async () => {
    const [one, other] = [new Agent("one"), new Agent("other")];
    expect(await Promise.all([one.who(), other.who()])).toEqual(["one", "other"]);
  });

  test("may take its toolkit from the instance, anew at each call", async () => {
    place.server.handle(() => answer(text("done")));
    const agent = new Agent("a", toolNamed("saw"));
    await agent.act("x");
    agent.tools = [toolNamed("hammer"), toolNamed("nail")];
    await agent.act("x");
    await new Agent("b").act("x");
    expect([0, 1, 2].map((index) => place.toolNames(index))).toEqual([["saw"], ["hammer", "nail"], []]);
  });

  test("gives a static method the class as itself", async () => {
    place.server.script(answer(text("done")));
    await Agent.all();
    expect(place.toolNames()).toEqual(["Agent"]);
  });

  test("is asked with the subclass's instance", async () => {
    class Heir extends Agent {
      override readonly model = named("heir");
    }
    expect(await new Heir("base").who()).toBe("heir");
  });

  test("sends the instructions as the system message, which the history leaves out", async () => {
    place.server.script(answer(text("done")));
    const { history } = await new Agent("a").brief("Speak").outcome;
    expect(place.messages()).toEqual([
      { role: "system", content: "Be brief." },
      { role: "user", content: "Speak" },
    ]);
    expect(history).toEqual([
      { role: "user", content: "Speak" },
      { role: "assistant", content: "done" },
    ]);
  });

  test("sends a chat's body as the system message, which the history leaves out", async () => {
    place.server.script(answer(text("Hi")));
    const { history } = await new Agent("a").chat("Hello");
    expect(place.messages()[0]).toEqual({ role: "system", content: "You are a." });
    expect(history[0]).toEqual({ role: "user", content: "Hello" });
  });

  test("sets the turn limit, and a call sets another", async () => {
    const ask = answer(toolCall({ id: "call_1", name: "saw", arguments: "{}" }));
    place.server.script(ask, ask, answer(text("done")));
    const agent = new Agent("a", toolNamed("saw"));
    await expect(agent.chat("x")).rejects.toBeInstanceOf(TurnLimitError);
    expect(await agent.chat("x", { maxTurns: 2 })).toMatchObject({ text: "done" });
  });

  test("names the function in its errors: by name, else by class and method, else by the variable", () => {
    const fails = (call: () => unknown) => {
      try {
        call();
      } catch (error) {
        return (error as Error).message.split(" ")[0];
      }
      throw new Error("It did not fail.");
    };
    class Nameless {
      @llmFunction()
      ask(): Run<string> {
        return prompt`x`;
      }
      @llmFunction({ name: "own name" })
      named(): Run<string> {
        return prompt`x`;
      }
      @llmFunction()
      static fixed(): Run<string> {
        return prompt`x`;
      }
    }
    class Heir extends Nameless {}
    const summarise = (text: string) => prompt`${text}`;
    expect(fails(() => new Nameless().ask())).toBe("Nameless.ask");
    expect(fails(() => new Heir().ask())).toBe("Heir.ask");
    expect(fails(() => new Nameless().named())).toBe("own");
    expect(fails(() => Nameless.fixed())).toBe("Nameless.fixed");
    expect(fails(() => llmFunction()(summarise)("x"))).toBe("summarise");
    expect(fails(() => llmFunction({ name: "shorten" })(summarise)("x"))).toBe("shorten");
  });

  test("without a model takes the one of configure, and its own comes first", async () => {
    configure({ model: named("default") });
    expect(await new Agent("own").undecided()).toBe("default");
    expect(await new Agent("own").who()).toBe("own");
    configure({ model: named("other") });
    expect(await new Agent("own").undecided()).toBe("other");
  });

  test("makes functions without a class, typed by its schema", async () => {
    place.server.script(answer(text('{"words":["a","b"]}')), answer(text("plain")));
    const split = llmFunction({ model, returns: z.object({ words: z.array(z.string()) }) })(
      (words: string, _options?: CallOptions) => prompt`Split: ${words}`,
    );
    expect((await split("a b")).words).toEqual(["a", "b"]);
    const plain = llmFunction({ model })(() => prompt`Plain.`);
    expect(await plain()).toBe("plain");
  });

  test("can be used for any number of methods and functions", async () => {
    place.server.handle(({ messages }) => answer(text(String(messages.at(-1)?.content))));
    const plain = llmFunction({ model });
    class Two {
      @plain
      one(): Run<string> {
        return prompt`one`;
      }
      @plain
      other(): Run<string> {
        return prompt`other`;
      }
    }
    const third = plain(() => prompt`third`);
    const two = new Two();
    expect(await Promise.all([two.one(), two.other(), third()])).toEqual(["one", "other", "third"]);
  });

  test("keeps to what it was, when its object is changed afterwards", async () => {
    place.server.handle(() => answer(text("done")));
    const definition = { model, instructions: "first" };
    const ask = llmFunction(definition)(() => prompt`x`);
    definition.instructions = "second";
    await ask();
    expect(place.messages()[0]).toEqual({ role: "system", content: "first" });
  });
});
