/** LLM methods on services of a NestJS-like application: legacy decorators and constructor injection. */
import assert from "node:assert/strict";
import {
  type CallOptions,
  type ChatRun,
  llmChat,
  llmFunction,
  type Model,
  prompt,
  type Run,
  tool,
} from "llmethod";
import { z } from "zod";
import { connect } from "../connect.ts";
import { Container, Injectable } from "./container.ts";

/** What an application reads from its environment. */
class Settings {
  readonly house: string;
  readonly model: Model;

  constructor(house: string, model: Model) {
    this.house = house;
    this.model = model;
  }
}

@Injectable()
class StockService {
  // The types of the parameters become the tool's input schema: { article: string, minimum?: number }.
  @tool({ description: "Tell the stock of an article: how many there are" })
  stock(article: string, minimum = 0) {
    const count = article.toLowerCase().startsWith("lamp") ? 12 : 0;
    return { article, count, enough: count >= minimum };
  }
}

const Availability = z.object({ article: z.string(), count: z.number() });
type Availability = z.output<typeof Availability>;

@Injectable()
class ShopService {
  readonly settings: Settings;
  readonly stock: StockService;

  constructor(settings: Settings, stock: StockService) {
    this.settings = settings;
    this.stock = stock;
  }

  @llmFunction({
    model: (self: ShopService) => self.settings.model,
    returns: Availability,
    toolkit: (self: ShopService) => [self.stock],
  })
  availability(question: string, _options?: CallOptions): Run<Availability> {
    return prompt`${question}`;
  }

  @llmChat({
    model: (self: ShopService) => self.settings.model,
    toolkit: (self: ShopService) => [self.stock],
  })
  chat(_message: string, _options?: CallOptions): ChatRun {
    return prompt`You sell for ${this.settings.house}. Look into the stock before you promise anything.`;
  }
}

@Injectable()
class ShopController {
  readonly shop: ShopService;

  constructor(shop: ShopService) {
    this.shop = shop;
  }

  async ask(question: string, abortSignal: AbortSignal): Promise<string> {
    const { text, status } = await this.shop.chat(question, { abortSignal });
    return status === "completed" ? text : `(${status}) ${text}`;
  }
}

await using connection = await connect();
const container = new Container([
  ShopController,
  ShopService,
  StockService,
  { provide: Settings, useValue: new Settings("Lumen & Sons", connection.model) },
]);

const controller = container.get(ShopController);
assert.equal(controller.shop.stock, container.get(StockService), "one instance of each service");

// A request that the client has not left …
const answer = await controller.ask("What is the stock of lamps?", new AbortController().signal);
console.log("answer:", answer);
assert.match(answer, /12/);

const { availability } = controller.shop; // bound to its instance
const typed = await availability("What is the stock of lamps?");
console.log("typed:", typed);
assert.equal(typed.count, 12);

// … and one that it has left.
const left = await controller.ask("What is the stock of lamps?", AbortSignal.abort("the client left"));
console.log("left:", left);
assert.match(left, /^\(cancelled\)/);
