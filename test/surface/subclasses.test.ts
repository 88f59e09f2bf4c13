// Inheritance: decorated methods are inherited, overridden, reached by super, and may be static.
import { type CallOptions, llmFunction, prompt, type Run } from "llmethod";
import { beforeEach, describe, expect, test } from "vitest";
import { answer, text } from "../support/server.ts";
import { useServer } from "./use-server.ts";

const place = useServer();
const { model } = place;

beforeEach(() => {
  place.server.handle(({ messages }) => answer(text(`<${String(messages.at(-1)?.content)}>`)));
});

class Base {
  constructor(readonly house: string) {}

  @llmFunction({ model })
  research(question: string, _options?: CallOptions): Run<string> {
    return prompt`${this.house}: ${question}`;
  }

  @llmFunction({ model })
  static about(what: string): Run<string> {
    // biome-ignore lint/complexity/noThisInStatic: that it is the class which it is called on, is what is tested
    return prompt`${this.name} about ${what}`;
  }
}

class Heir extends Base {}

class Redecorated extends Base {
  @llmFunction({ model })
  override research(question: string, _options?: CallOptions): Run<string> {
    return prompt`Redecorated ${this.house}: ${question}`;
  }
}

class Plain extends Base {
  override research(question: string, options?: CallOptions): Run<string> {
    return super.research(`super(${question})`, options);
  }
}

class Decorating extends Base {
  async twice(question: string): Promise<string> {
    const first = await super.research(question);
    return super.research(first);
  }

  async streamed(question: string): Promise<string> {
    const parts: string[] = [];
    for await (const part of super.research.stream(question).textStream()) parts.push(part);
    return parts.join("");
  }

  @llmFunction({ model })
  override research(question: string, _options?: CallOptions): Run<string> {
    return prompt`own ${question}`;
  }
}

class Grandchild extends Decorating {
  override research(question: string, options?: CallOptions): Run<string> {
    return super.research(`grand ${question}`, options);
  }
}

class Statics extends Base {
  static viaSuper(what: string): Run<string> {
    // biome-ignore lint/complexity/noThisInStatic: that it is the class which it is called on, is what is tested
    return super.about(`super ${what}`);
  }

  static async streamed(what: string): Promise<string[]> {
    // biome-ignore lint/complexity/noThisInStatic: that it is the class which it is called on, is what is tested
    return Array.fromAsync(super.about.stream(what).textStream());
  }
}

describe("a subclass", () => {
  test("inherits a decorated method, bound to its own instances", async () => {
    const { research } = new Heir("Heir");
    expect(await research("Why?")).toBe("<Heir: Why?>");
    expect(await research.stream("Why?").outcome).toMatchObject({ value: "<Heir: Why?>" });
  });

  test("overrides with a decorator of its own", async () => {
    const { research } = new Redecorated("R");
    expect(await research("Why?")).toBe("<Redecorated R: Why?>");
    expect(await new Base("B").research("Why?")).toBe("<B: Why?>");
  });

  test("overrides without a decorator and calls super", async () => {
    const plain = new Plain("P");
    expect(await plain.research("Why?")).toBe("<P: super(Why?)>");
  });

  test("calls super's decorated method beside its own", async () => {
    expect(await new Decorating("D").twice("Why?")).toBe("<D: <D: Why?>>");
    expect(await new Decorating("D").research("Why?")).toBe("<own Why?>");
  });

  test("streams super's decorated method", async () => {
    expect(await new Decorating("D").streamed("Why?")).toBe("<D: Why?>");
  });

  test("calls super over two levels", async () => {
    expect(await new Grandchild("G").research("Why?")).toBe("<own grand Why?>");
    expect(await new Grandchild("G").twice("Why?")).toBe("<G: <G: Why?>>");
  });

  test("works whichever class is instantiated first", async () => {
    class Late {
      @llmFunction({ model })
      ask(question: string): Run<string> {
        return prompt`late ${question}`;
      }
    }
    class Later extends Late {
      @llmFunction({ model })
      override ask(question: string): Run<string> {
        return prompt`later ${question}`;
      }
    }
    const later = new Later();
    const late = new Late();
    expect(await later.ask("a")).toBe("<later a>");
    expect(await late.ask("b")).toBe("<late b>");
    expect(await new Later().ask("c")).toBe("<later c>");
  });

  test("may call a decorated method in its constructor and in a field", async () => {
    class Eager extends Base {
      readonly first = this.research("field");
      readonly second: Run<string>;
      constructor() {
        super("E");
        this.second = this.research("constructor");
      }
    }
    const eager = new Eager();
    expect(await eager.first).toBe("<E: field>");
    expect(await eager.second).toBe("<E: constructor>");
  });
});

describe("a static method", () => {
  test("is bound to its class", async () => {
    const { about } = Base;
    expect(await about("x")).toBe("<Base about x>");
    expect(await Base.about.stream("x").outcome).toMatchObject({ value: "<Base about x>" });
  });

  test("is inherited, bound to the subclass", async () => {
    const { about } = Heir;
    expect(await about("x")).toBe("<Heir about x>");
    expect(await Heir.about.stream("x").outcome).toMatchObject({ value: "<Heir about x>" });
    expect(await Base.about("x")).toBe("<Base about x>");
  });

  test("is reached by super from a subclass's static method", async () => {
    expect(await Statics.viaSuper("x")).toBe("<Statics about super x>");
    expect(await Statics.streamed("x")).toEqual(["<Statics about x>"]);
  });
});

describe("a method that is read before there is an instance", () => {
  test("works from the prototype with the instance as this", async () => {
    class Fresh {
      readonly house = "F";
      @llmFunction({ model })
      ask(question: string): Run<string> {
        return prompt`${this.house} ${question}`;
      }
    }
    const fresh = new Fresh();
    const made = Object.create(fresh) as Fresh;
    expect(await made.ask("x")).toBe("<F x>");
    expect(await Reflect.apply(Reflect.get(Fresh.prototype, "ask", fresh), undefined, ["y"])).toBe("<F y>");
  });

  test("works on an object that shares the prototype without the constructor", async () => {
    class Unbuilt {
      @llmFunction({ model })
      ask(question: string): Run<string> {
        return prompt`unbuilt ${question}`;
      }
    }
    const unbuilt = Object.create(Unbuilt.prototype) as Unbuilt;
    expect(await unbuilt.ask("x")).toBe("<unbuilt x>");
  });
});
