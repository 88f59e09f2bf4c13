/**
 * The shortest way to see what llmethod does: a class whose methods are answered by a model with tools.
 *
 * Run it: npx tsx --tsconfig examples/tsconfig.json examples/quickstart.ts
 */
import assert from "node:assert/strict";
import {
  type CallOptions,
  type ChatRun,
  configure,
  llmChat,
  llmFunction,
  prompt,
  type Run,
  type ToolContext,
  tool,
} from "llmethod";
import { z } from "zod";
import { connect } from "./connect.ts";

// A tool is a method. The model chooses it by its description; the input is checked before it runs.
const Place = z.object({ city: z.string() });

class WeatherStation {
  readonly #celsius = new Map([
    ["oslo", 4],
    ["cairo", 31],
  ]);
  readings = 0;

  @tool({ description: "Tell the weather in a city", input: Place })
  async weather({ city }: z.output<typeof Place>, { abortSignal }: ToolContext) {
    abortSignal.throwIfAborted();
    const celsius = this.#celsius.get(city.toLowerCase());
    if (celsius === undefined) throw new Error(`There is no station in ${city}.`);
    this.readings++;
    return { city, celsius };
  }
}

const Report = z.object({ city: z.string(), celsius: z.number() });
type Report = z.output<typeof Report>;

class Forecaster {
  readonly station = new WeatherStation();
  readonly house: string;

  constructor(house: string) {
    this.house = house;
  }

  // The method's body is the prompt, and the model gives the answer, of the type that `returns` says.
  @llmFunction({ returns: Report, toolkit: (self: Forecaster) => [self.station] })
  report(question: string, _options?: CallOptions): Run<Report> {
    return prompt`${question}`;
  }

  // A chat's body is its system prompt; the message comes in as the first argument.
  @llmChat({ toolkit: (self: Forecaster) => [self.station] })
  chat(_message: string, _options?: CallOptions): ChatRun {
    return prompt`You answer for ${this.house}, in one or two sentences. Ask the station, never guess.`;
  }
}

await using connection = await connect();
configure({ model: connection.model });
const forecaster = new Forecaster("the Northern Weather Service");

// 1. Await it: a typed value.
const report = await forecaster.report("How is the weather in Oslo?");
console.log("report:", report);
assert.equal(report.celsius, 4);

// 2. Stream it: events as they come.
process.stdout.write("chat: ");
const stream = forecaster.chat.stream("How is the weather in Cairo?");
for await (const piece of stream.textStream()) process.stdout.write(piece);
console.log();
const { text, history } = await stream.outcome;
assert.match(text, /31/);

// 3. Go on from the history, which is plain JSON.
const reply = await forecaster.chat("And how is the weather in Oslo?", { history });
console.log("and:", reply.text);
assert.match(reply.text, /4/);
assert.ok(forecaster.station.readings >= 2, "the tool was called");
