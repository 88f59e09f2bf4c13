/** Reads the demo's command line. */
import { parseArgs } from "node:util";

export interface Arguments {
  /** The question, where one was given. */
  readonly question: string | undefined;
  /** Answer the question and end, also where somebody sits at the terminal. */
  readonly isOnce: boolean;
  readonly folder: string;
}

export const help = `npm start -- [options] [question]

An agent that answers questions about the files of a folder, calculates and tells the time.
With a question it answers that one, and goes on at a prompt where there is a terminal.
Without one it asks for questions; from a pipe it takes each line as one.
Ctrl+C stops the answer at work and keeps what was said; at rest, or once more, it leaves.

  --once         answer the question and end
  --folder DIR   the folder to look into (default: the current one)
  --help         show this

OPENAI_API_KEY    talk to OpenAI, or to the server at OPENAI_BASE_URL
OPENAI_BASE_URL   a server that speaks the same, which may need no key
LLMETHOD_MODEL    the model's name (default: gpt-5-mini)
Without the first two a local stand-in answers, which is no language model.

npm start -- --once "Which files mention abort?"`;

/** @throws Error for an unknown option, or `--once` without a question */
export function readArguments(args: readonly string[]): Arguments | "help" {
  const { values, positionals } = parsed(args);
  if (values.help) return "help";
  const question = positionals.join(" ").trim() || undefined;
  if (values.once && question === undefined) {
    throw new Error('--once needs a question: npm start -- --once "What is (17 + 4) * 3?"');
  }
  return { question, isOnce: values.once ?? false, folder: values.folder ?? "." };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        once: { type: "boolean" },
        folder: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const [problem] = message.split(". To specify");
    throw new Error(`${problem}. The options are --once, --folder DIR and --help.`, { cause: error });
  }
}
