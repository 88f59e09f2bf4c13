// Tests of one's own code put mocks in the place of decorated methods, by assignment or by vi.spyOn.
import { llmFunction, prompt, type Run } from "llmethod";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { answer, text } from "../support/server.ts";
import { useServer } from "./use-server.ts";

const place = useServer();
const { model } = place;

beforeEach(() => place.server.handle(() => answer(text("from the model"))));
afterEach(() => {
  vi.restoreAllMocks();
});

class Analyst {
  @llmFunction({ model })
  research(question: string): Run<string> {
    return prompt`${question}`;
  }

  @llmFunction({ model })
  static about(question: string): Run<string> {
    return prompt`${question}`;
  }

  async report(): Promise<string> {
    return `Report: ${await this.research("Why?")}`;
  }
}

class Heir extends Analyst {}

/** What a test gives in the place of a run. */
const mocked = (value: string) => Promise.resolve(value) as Run<string>;

describe("a mock of a decorated method", () => {
  test("is put in place by assignment, for this instance only", async () => {
    const [analyst, other] = [new Analyst(), new Analyst()];
    analyst.research = () => mocked("mocked");
    expect(await analyst.report()).toBe("Report: mocked");
    expect(await other.report()).toBe("Report: from the model");
    expect(place.server.requests).toHaveLength(1);
  });

  test("is put in place by assignment after the method was read", async () => {
    const analyst = new Analyst();
    await analyst.research("Why?");
    analyst.research = () => mocked("mocked");
    expect(await analyst.report()).toBe("Report: mocked");
    analyst.research = () => mocked("mocked again");
    expect(await analyst.report()).toBe("Report: mocked again");
  });

  test("goes away when the property is deleted", async () => {
    const analyst = new Analyst();
    analyst.research = () => mocked("mocked");
    Reflect.deleteProperty(analyst, "research");
    expect(await analyst.report()).toBe("Report: from the model");
  });

  test("may be a vi.fn", async () => {
    const analyst = new Analyst();
    const mock = vi.fn(() => mocked("mocked"));
    analyst.research = mock;
    await analyst.report();
    expect(mock).toHaveBeenCalledWith("Why?");
  });

  test("is made by vi.spyOn on an instance, and restored", async () => {
    const analyst = new Analyst();
    const spy = vi.spyOn(analyst, "research").mockReturnValue(mocked("spied"));
    expect(await analyst.report()).toBe("Report: spied");
    expect(spy).toHaveBeenCalledExactlyOnceWith("Why?");
    spy.mockRestore();
    expect(await analyst.report()).toBe("Report: from the model");
  });

  test("is made by vi.spyOn that lets the call through", async () => {
    const analyst = new Analyst();
    const spy = vi.spyOn(analyst, "research");
    expect(await analyst.report()).toBe("Report: from the model");
    expect(spy).toHaveBeenCalledOnce();
  });

  test("is made by vi.spyOn on the prototype for all instances, and restored", async () => {
    const before = new Analyst();
    const spy = vi.spyOn(Analyst.prototype, "research").mockReturnValue(mocked("spied"));
    expect(await before.report()).toBe("Report: spied");
    expect(await new Analyst().report()).toBe("Report: spied");
    expect(await new Heir().report()).toBe("Report: spied");
    spy.mockRestore();
    expect(await before.report()).toBe("Report: from the model");
    expect(await new Analyst().report()).toBe("Report: from the model");
  });

  test("is made by vi.spyOn on the prototype before there is any instance, and restored", async () => {
    class Fresh {
      @llmFunction({ model })
      ask(question: string): Run<string> {
        return prompt`${question}`;
      }
    }
    const spy = vi.spyOn(Fresh.prototype, "ask").mockReturnValue(mocked("spied"));
    const fresh = new Fresh();
    expect(await fresh.ask("x")).toBe("spied");
    spy.mockRestore();
    expect(await new Fresh().ask("x")).toBe("from the model");
    const { ask } = fresh;
    expect(await ask.stream("x").outcome).toMatchObject({ value: "from the model" });
  });

  test("is put in place by assignment on the prototype", async () => {
    class Local extends Analyst {}
    new Local();
    Local.prototype.research = () => mocked("mocked");
    expect(await new Local().report()).toBe("Report: mocked");
    expect(await new Analyst().report()).toBe("Report: from the model");
  });

  test("is put in place by a subclass's field", async () => {
    class Fake extends Analyst {
      override research = () => mocked("faked");
    }
    expect(await new Fake().report()).toBe("Report: faked");
  });

  test("is put in place of a static method", async () => {
    const spy = vi.spyOn(Analyst, "about").mockReturnValue(mocked("spied"));
    expect(await Analyst.about("x")).toBe("spied");
    spy.mockRestore();
    expect(await Analyst.about("x")).toBe("from the model");
  });
});
