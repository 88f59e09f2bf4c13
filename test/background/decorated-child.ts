// A program with decorated methods that run in the background; it is run with either form of decorators.

import {
  type CallOptions,
  type ChatRun,
  configure,
  llmChat,
  llmFunction,
  MemoryRunStore,
  type ModelEvent,
  type ModelRequest,
  prompt,
  type Run,
  startWorker,
} from "../../src/index.ts";

let form = "";
/** Standard decorators are given an object as their second argument, legacy ones a name. */
function probe(_target: unknown, place: unknown): void {
  form = typeof place === "object" ? "standard" : "legacy";
}

configure({
  store: new MemoryRunStore(),
  model: {
    name: "own",
    async *stream({ messages }: ModelRequest): AsyncGenerator<ModelEvent> {
      yield { type: "text-delta", delta: messages.map(({ content }) => content).join(" / ") };
      yield { type: "finish", finishReason: "stop" };
    },
  },
});

class Analyst {
  readonly house: string;

  constructor(house: string) {
    this.house = house;
  }

  @probe
  @llmFunction()
  research(question: string, _options?: CallOptions): Run<string> {
    return prompt`${this.house}: ${question}`;
  }

  @llmChat()
  chat(_message: string, _options?: CallOptions): ChatRun {
    return prompt`You work for ${this.house}.`;
  }

  @llmFunction()
  static summarise(text: string, _options?: CallOptions): Run<string> {
    return prompt`Summarise ${text}`;
  }
}

class Junior extends Analyst {}

const analyst = new Analyst("Acme");
const junior = new Junior("Sub");
const worker = await startWorker({ functions: [analyst, Analyst, junior] });
const { research } = analyst;
const handles = [
  await research.background("Why?"),
  await analyst.chat.background("Hello"),
  await Analyst.summarise.background("a text"),
  await junior.research.background("How?"),
];
const refused = await new Junior("Other").research.background("How?").catch(({ code }) => code);
const names = await Promise.all(handles.map(async (handle) => (await handle.get()).functionName));
const results = await Promise.all(handles.map((handle): Promise<unknown> => handle.result()));
await worker.stop();
console.log(JSON.stringify({ form, names, results, refused, served: worker.functionNames }));
