/** The smallest agent there is, on the `openai` SDK with false tools, so that tests can talk to the stand-in. */
import OpenAI from "openai";
import type {
  ChatCompletionFunctionTool,
  ChatCompletionMessageParam,
} from "openai/resources/chat/completions";

export type FakeTools = Readonly<Record<string, (input: Record<string, unknown>) => unknown>>;

/** What the demo's tools would say of a tiny project. */
export const demoTools: FakeTools = {
  list_files: ({ folder }) =>
    ["README.md", "src/abort.ts", "src/run.ts"].filter((path) => path.startsWith(String(folder ?? ""))),
  read_file: ({ path }) => {
    const text = FILES[String(path)];
    return text === undefined ? `Error: there is no file ${path}.` : { path, text, truncated: false };
  },
  search_files: ({ text }) =>
    Object.entries(FILES).flatMap(([path, content]) =>
      content
        .split("\n")
        .flatMap((line, index) =>
          line.includes(String(text)) ? [{ path, line: index + 1, text: line }] : [],
        ),
    ),
  calculate: ({ expression }) => ({ expression, result: RESULTS[String(expression)] ?? "?" }),
  current_time: ({ timeZone }) => ({
    iso: "2026-01-02T03:04:05Z",
    local: "Friday, 12:04",
    timeZone: timeZone ?? "Europe/Berlin",
  }),
  survey: () => ({ files: 41, lines: 5120, byExtension: { ".ts": 38, ".md": 3 } }),
};

const FILES: Readonly<Record<string, string>> = {
  "package.json": `{ "name": "tiny", "license": "BSD-3-Clause", "version": "4.5.6" }`,
  "README.md": "# Tiny\n\nTiny keeps bees in order.\n\n## Use\n\nRun it.",
  "src/run.ts": "import { sleep } from './sleep';\nawait sleep(20);\n",
  "src/abort.ts": "// abort comes first\nexport const sleep = 1;\n",
};
const RESULTS: Readonly<Record<string, number>> = { "(17 + 4) * 3": 63, "63 * 2": 126, "12*12": 144 };

export interface Asked {
  readonly text: string;
  /** The calls of each turn, in order. */
  readonly turns: readonly (readonly { tool: string; input: unknown }[])[];
  readonly history: ChatCompletionMessageParam[];
}

/** Asks one question and runs the tools until there is an answer. */
export async function ask(url: string, question: string, options: AskOptions = {}): Promise<Asked> {
  const client = new OpenAI({ baseURL: url, apiKey: "any", maxRetries: 0 });
  const fakes = options.tools ?? demoTools;
  const tools = Object.keys(fakes).map((name) => options.described?.[name] ?? described(name));
  const history: ChatCompletionMessageParam[] = [
    ...(options.history ?? []),
    { role: "user", content: question },
  ];
  const turns: { tool: string; input: unknown }[][] = [];
  for (let turn = 0; turn < 6; turn++) {
    const stream = client.chat.completions.stream({
      model: "stand-in",
      messages: history,
      ...(tools.length > 0 && { tools }),
      ...(options.schema && {
        response_format: { type: "json_schema", json_schema: { name: "answer", schema: options.schema } },
      }),
    });
    const { content, tool_calls } = await stream.finalMessage();
    const calls = (tool_calls ?? []).flatMap((call) => (call.type === "function" ? [call] : []));
    history.push({ role: "assistant", content, ...(calls.length > 0 && { tool_calls: calls }) });
    if (calls.length === 0) return { text: content ?? "", turns, history };
    turns.push(
      calls.map((call) => ({ tool: call.function.name, input: JSON.parse(call.function.arguments) })),
    );
    for (const call of calls) {
      const result = await fakes[call.function.name]?.(JSON.parse(call.function.arguments));
      const text = typeof result === "string" ? result : JSON.stringify(result);
      history.push({ role: "tool", tool_call_id: call.id, content: text });
    }
  }
  throw new Error(`No answer after ${turns.length} turns: ${JSON.stringify(turns)}`);
}

export interface AskOptions {
  readonly history?: readonly ChatCompletionMessageParam[];
  readonly tools?: FakeTools;
  readonly described?: Readonly<Record<string, ChatCompletionFunctionTool>>;
  readonly schema?: Record<string, unknown>;
}

function described(name: string): ChatCompletionFunctionTool {
  return {
    type: "function",
    function: { name, description: "", parameters: { type: "object", properties: {} } },
  };
}
