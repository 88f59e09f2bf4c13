// A decorated method is a function bound to its instance, with `.stream`, and leaves no trace on the instance.
import {
  type CallOptions,
  type ChatRun,
  llmChat,
  llmFunction,
  prompt,
  type Run,
  type RunEvent,
  type RunStream,
} from "llmethod";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { answer, checkpoint, text } from "../support/server.ts";
import { useServer } from "./use-server.ts";

const place = useServer();
const { model } = place;
const Report = z.object({ title: z.string(), points: z.array(z.string()) });
type Report = z.infer<typeof Report>;

const byName = Symbol("by name");

class Analyst {
  readonly house: string;
  asked = 0;

  constructor(house: string) {
    this.house = house;
  }

  @llmFunction({ model, returns: Report })
  research(question: string, _options?: CallOptions): Run<Report> {
    this.asked++;
    return prompt`You work for ${this.house}. Research the question: ${question}`;
  }

  @llmChat({ model })
  chat(_message: string, _options?: CallOptions): ChatRun {
    return prompt`You are a careful analyst at ${this.house}.`;
  }

  @llmFunction({ model })
  say(what: string): Run<string> {
    return prompt`${this.house} says ${what}`;
  }

  @llmFunction({ model })
  [byName](what: string): Run<string> {
    return prompt`${this.house} knows ${what}`;
  }

  @llmFunction({ model })
  "look up"(what: string): Run<string> {
    return prompt`${this.house} looks up ${what}`;
  }

  askedBySelf(): Run<string> {
    return this.say("itself");
  }
}

const report = JSON.stringify({ title: "Why", points: ["because"] });

describe("a decorated method", () => {
  test("sends its body as the prompt and resolves to the typed answer", async () => {
    place.server.script(answer(text(report)));
    const { title, points } = await new Analyst("Acme").research("Why?");
    expect({ title, points }).toEqual({ title: "Why", points: ["because"] });
    expect(place.messages()).toEqual([
      { role: "user", content: "You work for Acme. Research the question: Why?" },
    ]);
  });

  test("works when it is taken off its instance", async () => {
    place.server.script(answer(text(report)));
    const { research } = new Analyst("Acme");
    await research("Why?");
    expect(place.lastContent()).toBe("You work for Acme. Research the question: Why?");
  });

  test("works as a callback", async () => {
    place.server.handle(() => answer(text("said")));
    const said = await Promise.all(["a", "b"].map(new Analyst("Acme").say));
    expect(said).toEqual(["said", "said"]);
  });

  test("keeps its instance also when it is called on another object", async () => {
    place.server.script(answer(text("said")));
    const { say } = new Analyst("Acme");
    await Reflect.apply(say, new Analyst("Bolt"), ["hello"]);
    expect(place.lastContent()).toBe("Acme says hello");
  });

  test("is the same function each time it is read, and another for another instance", () => {
    const [one, other] = [new Analyst("Acme"), new Analyst("Bolt")];
    expect(one.research).toBe(one.research);
    expect(one.research).not.toBe(other.research);
  });

  test("can be called from another method by this", async () => {
    place.server.script(answer(text("said")));
    expect(await new Analyst("Acme").askedBySelf()).toBe("said");
    expect(place.lastContent()).toBe("Acme says itself");
  });

  test("may be named by a symbol or by any string", async () => {
    place.server.handle(() => answer(text("said")));
    const analyst = new Analyst("Acme");
    await analyst[byName]("a");
    await analyst["look up"]("b");
    expect(place.lastContent(0)).toBe("Acme knows a");
    expect(place.lastContent(1)).toBe("Acme looks up b");
  });

  test("carries its method's name as a function", () => {
    expect(new Analyst("Acme").research.name).toBe("research");
  });

  test("runs its body once for each call, and not when it is read", async () => {
    place.server.handle(() => answer(text(report)));
    const analyst = new Analyst("Acme");
    expect(typeof analyst.research).toBe("function");
    expect(analyst.asked).toBe(0);
    await analyst.research("Why?");
    await analyst.research.stream("Why?").outcome;
    expect(analyst.asked).toBe(2);
  });
});

describe("instances side by side", () => {
  test("each speak for themselves", async () => {
    place.server.handle((request) => answer(text(String(request.messages.at(-1)?.content))));
    const [one, other] = [new Analyst("Acme"), new Analyst("Bolt")];
    const said = await Promise.all([one.say("a"), other.say("b"), one.say("c")]);
    expect(said).toEqual(["Acme says a", "Bolt says b", "Acme says c"]);
  });

  test("keep concurrent calls of one instance apart", async () => {
    const held = checkpoint();
    place.server.handle(({ messages }) => {
      const asked = String(messages.at(-1)?.content);
      return asked.endsWith("slow") ? answer(text("slow "), held.step, text(asked)) : answer(text(asked));
    });
    const analyst = new Analyst("Acme");
    const slow = analyst.say("slow");
    await held.reached;
    const quick = analyst.say("quick");
    expect(quick.runId).not.toBe(slow.runId);
    expect(await quick).toBe("Acme says quick");
    expect(slow.status).toBe("running");
    held.open();
    expect(await slow).toBe("slow Acme says slow");
    expect((await slow.outcome).history).toHaveLength(2);
  });

  test("are not stopped by the stop of another call", async () => {
    const held = checkpoint();
    place.server.handle(() => answer(text("a"), held.step, text("b")));
    const analyst = new Analyst("Acme");
    const [one, other] = [analyst.say("one"), analyst.say("other")];
    await place.server.arrival(1);
    one.cancel("enough");
    expect(await one.outcome).toMatchObject({ status: "cancelled", reason: "enough" });
    held.open();
    expect(await other).toBe("ab");
  });
});

describe("stream of a decorated method", () => {
  test("takes the same arguments and gives the run's events", async () => {
    place.server.script(answer(text(report.slice(0, 12), report.slice(12))));
    const events: RunEvent<Report>[] = [];
    for await (const event of new Analyst("Acme").research.stream("Why?")) events.push(event);
    expect(events[0]?.type).toBe("run-start");
    expect(events.at(-1)).toMatchObject({
      type: "run-completed",
      value: { title: "Why", points: ["because"] },
    });
    expect(place.lastContent()).toBe("You work for Acme. Research the question: Why?");
  });

  test("is no promise, so that an async function can hand it on", async () => {
    place.server.script(answer(text("said")));
    const hand = async () => new Analyst("Acme").say.stream("hello");
    const stream = await hand();
    expect(stream).not.toHaveProperty("then");
    expect(await Array.fromAsync(stream.textStream())).toEqual(["said"]);
  });

  test("works on a method that was taken off its instance, and alone", async () => {
    place.server.handle(() => answer(text("said")));
    const { say } = new Analyst("Acme");
    expect(await say.stream("a").outcome).toMatchObject({ status: "completed", value: "said" });
    const alone: unknown = Reflect.apply(say.stream, undefined, ["b"]);
    expect(await (alone as RunStream<string>).outcome).toMatchObject({ status: "completed", value: "said" });
    expect(place.lastContent(1)).toBe("Acme says b");
  });

  test("gives the growing answer as an object stream", async () => {
    place.server.script(answer(text('{"title":"Why",', '"points":["be', 'cause"]}')));
    const values = await Array.fromAsync(new Analyst("Acme").research.stream("Why?").objectStream());
    expect(values[0]).toEqual({ title: "Why" });
    expect(values.at(-1)).toEqual({ title: "Why", points: ["because"] });
  });

  test("carries a chat's message and history", async () => {
    place.server.script(answer(text("Hello")), answer(text("Again")));
    const analyst = new Analyst("Acme");
    const first = await analyst.chat("Hi");
    const stream = analyst.chat.stream("And now?", { history: first.history });
    const outcome = await stream.outcome;
    expect(outcome.status === "completed" && outcome.value.text).toBe("Again");
    expect(place.messages(1)).toEqual([
      { role: "system", content: "You are a careful analyst at Acme." },
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Hello" },
      { role: "user", content: "And now?" },
    ]);
  });
});

describe("an instance with decorated methods", () => {
  test("has no more own properties than its fields, also after a call", async () => {
    place.server.handle(() => answer(text(report)));
    const analyst = new Analyst("Acme");
    const { say, research } = analyst;
    await Promise.all([research("Why?"), say("hello")]);
    expect(Reflect.ownKeys(analyst)).toEqual(["house", "asked"]);
    expect(JSON.stringify(analyst)).toBe('{"house":"Acme","asked":1}');
    expect(structuredClone({ ...analyst })).toEqual({ house: "Acme", asked: 1 });
    expect(analyst).toEqual(Object.assign(new Analyst("Acme"), { asked: 1 }));
  });

  test("may be frozen", async () => {
    place.server.script(answer(text("said")));
    expect(await Object.freeze(new Analyst("Acme")).say("hello")).toBe("said");
  });

  test("keeps the methods out of for in, as methods of a class are", () => {
    const keys = [];
    for (const key in new Analyst("Acme")) keys.push(key);
    expect(keys).toEqual(["house", "asked"]);
  });
});
