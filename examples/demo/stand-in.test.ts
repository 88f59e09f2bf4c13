// Proves that the stand-in works on questions as a model would: it asks for tools and answers from results.
import type { ChatCompletionMessageParam } from "openai/resources/chat/completions";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AskOptions, ask, demoTools } from "./stand-in/test-agent.ts";
import { type StandIn, startStandIn } from "./stand-in.ts";

let standIn: StandIn;
beforeAll(async () => {
  standIn = await startStandIn({ pace: 0 });
});
afterAll(() => standIn.close());

const say = (question: string, options?: AskOptions) => ask(standIn.url, question, options);
const call = (tool: string, input: object = {}) => ({ tool, input });

describe("one question, one turn of calls", () => {
  const questions: [question: string, calls: object[], said: string[]][] = [
    ["What is (17 + 4) * 3?", [call("calculate", { expression: "(17 + 4) * 3" })], ["63"]],
    [
      "What time is it in Tokyo?",
      [call("current_time", { timeZone: "Asia/Tokyo" })],
      ["Tokyo", "Friday, 12:04"],
    ],
    [
      "Which files mention abort?",
      [call("search_files", { text: "abort" })],
      ["src/abort.ts", "abort comes first"],
    ],
    [
      "What does package.json say the license is?",
      [call("read_file", { path: "package.json" })],
      ['license is "BSD-3-Clause"'],
    ],
    [
      "Read README.md and tell me what this project is",
      [call("read_file", { path: "README.md" })],
      ["Tiny keeps bees in order."],
    ],
    [
      "What is this project about?",
      [call("read_file", { path: "README.md" })],
      ["Tiny keeps bees in order."],
    ],
    [
      "List the files in src",
      [call("list_files", { folder: "src" })],
      ["2 files", "src/abort.ts", "src/run.ts"],
    ],
    ["Survey this project", [call("survey")], ["41 files", "5,120 lines", ".ts: 38"]],
    ["Survey src for 3 seconds", [call("survey", { folder: "src", seconds: 3 })], ["`src`", "41 files"]],
    [
      "What time is it and what is 12*12?",
      [call("current_time"), call("calculate", { expression: "12*12" })],
      ["Friday, 12:04", "144"],
    ],
  ];
  it.each(questions)("is enough for: %s", async (question, calls, said) => {
    const { turns, text } = await say(question);
    expect(turns).toEqual([calls]);
    for (const part of said) expect(text).toContain(part);
  });
});

it("reads the first file only when the search has told which that is", async () => {
  const { turns, text } = await say("Find where 'sleep' is mentioned and read the first file");
  expect(turns).toEqual([
    [call("search_files", { text: "sleep" })],
    [call("read_file", { path: "src/run.ts" })],
  ]);
  expect(text).toContain("await sleep(20);");
});

it("takes 'that' for the last number of the conversation", async () => {
  const { history } = await say("What is (17 + 4) * 3?");
  const { turns, text } = await say("and what is that times 2?", { history });
  expect(turns).toEqual([[call("calculate", { expression: "63 * 2" })]]);
  expect(text).toContain("126");
});

it("follows a question about the time to another place", async () => {
  const { history } = await say("What time is it in Tokyo?");
  expect((await say("And in London?", { history })).turns).toEqual([
    [call("current_time", { timeZone: "Europe/London" })],
  ]);
});

it("reports the error of a tool and asks no second time", async () => {
  const { turns, text } = await say("Read nothere.md");
  expect(turns).toHaveLength(1);
  expect(text).toContain("failed: there is no file nothere.md.");
});

it("says that it is a stand-in without knowledge when no tool fits", async () => {
  const { turns, text } = await say("Who wrote Faust?");
  expect(turns).toEqual([]);
  expect(text).toMatch(/stand-in.*know nothing/);
  expect(text).toContain("Which files mention abort?");
});

it("names the tool that it would need when the request does not offer it", async () => {
  const { text } = await say("What is 12*12?", { tools: {} });
  expect(text).toContain("`calculate`");
  expect(text).not.toContain("144");
});

it("finds a tool that it does not know by its name, and fills its input from the question", async () => {
  const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
  const described = { weather: { type: "function" as const, function: { name: "weather", parameters } } };
  const { turns, text } = await say("How is the weather in Oslo?", {
    tools: { weather: () => "4 degrees, rain" },
    described,
  });
  expect(turns).toEqual([[call("weather", { city: "Oslo" })]]);
  expect(text).toContain("4 degrees, rain");
});

it("remembers what the history holds", async () => {
  const { history } = await say("My name is Ada.");
  expect((await say("What is my name?", { history })).text).toContain("Ada");
});

describe("'Continue' after a stop", () => {
  const stopped = (question: string, ...rest: ChatCompletionMessageParam[]): ChatCompletionMessageParam[] => [
    { role: "user", content: question },
    ...rest,
  ];

  it("goes on with a text at the very letter where it was cut off, also the second time", async () => {
    const story = (await say("Tell me a long story")).text;
    const history = stopped("Tell me a long story", {
      role: "assistant",
      content: `${story.slice(0, 333)}\n\n[stopped: Ctrl+C]`,
    });
    const second = await say("Continue", { history });
    expect(second.text).toBe(
      `I see that my earlier answer was cut off (Ctrl+C), so I go on from there.\n\n…${story.slice(333)}`,
    );
    const cut = second.text.slice(0, 500);
    const again: ChatCompletionMessageParam[] = [
      ...history,
      { role: "user", content: "Continue" },
      { role: "assistant", content: `${cut}\n\n[stopped: Ctrl+C]` },
    ];
    const third = await say("please go on", { history: again });
    expect(cut + third.text.split("…").slice(1).join("…")).toBe(second.text);
  });

  const survey = { id: "c1", type: "function" as const, function: { name: "survey", arguments: "{}" } };
  it.each([
    ["[stopped: Ctrl+C] The tool was stopped before it finished.", "stopped before it had a result"],
    ["[stopped: Ctrl+C] The tool was not started.", "stopped before it had a result"],
    [
      "[stopped: Ctrl+C] The tool did not stop in time: outcome unknown, it may have taken effect.",
      "its outcome is unknown",
    ],
  ])("runs a tool again whose result says: %s", async (content, seen) => {
    const history = stopped(
      "Survey this project",
      { role: "assistant", content: null, tool_calls: [survey] },
      { role: "tool", tool_call_id: "c1", content },
    );
    const { turns, text } = await say("Continue", { history });
    expect(turns).toEqual([[call("survey")]]);
    expect(text).toContain(seen);
    expect(text).toContain("41 files");
  });

  it("keeps the results which were there before the stop", async () => {
    const time = { id: "c2", type: "function" as const, function: { name: "current_time", arguments: "{}" } };
    const sum = {
      id: "c3",
      type: "function" as const,
      function: { name: "calculate", arguments: '{"expression":"12*12"}' },
    };
    const history = stopped(
      "What time is it and what is 12*12?",
      { role: "assistant", content: null, tool_calls: [time, sum] },
      { role: "tool", tool_call_id: "c2", content: JSON.stringify({ local: "noon", timeZone: "UTC" }) },
      {
        role: "tool",
        tool_call_id: "c3",
        content: "[stopped: Ctrl+C] The tool was stopped before it finished.",
      },
    );
    const { turns, text } = await say("Continue", { history });
    expect(turns).toEqual([[call("calculate", { expression: "12*12" })]]);
    expect(text).toContain("noon");
    expect(text).toContain("144");
  });

  it("takes up a question that has no answer at all", async () => {
    const { text } = await say("continue", { history: stopped("What is 12*12?") });
    expect(text).toContain("no answer yet");
    expect(text).toContain("144");
  });

  it("says so when nothing was cut off", async () => {
    const { history } = await say("What is 12*12?", { tools: demoTools });
    expect((await say("Continue", { history })).text).toContain("nothing to continue");
  });
});
