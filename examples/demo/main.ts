/** The program behind `npm start`: wires the arguments, the terminal, the model and the agent together. */
import { connect } from "../connect.ts";
import { ProjectAgent } from "./agent.ts";
import { type Arguments, help, readArguments } from "./arguments.ts";
import { Conversation } from "./conversation.ts";
import { Terminal } from "./terminal.ts";
import { Folder } from "./tools/folder.ts";

const INTERRUPTED = 130;
/** `npm` passes on a Ctrl+C that the terminal has sent to us as well: one key press, two signals. */
const SAME_PRESS_MS = 80;

const goOn = "Ask something else, or say “continue”.";
const exitCodes = { completed: 0, cancelled: INTERRUPTED, error: 1 } as const;

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // Whoever read the output has left, as `| head` does.
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

try {
  const args = readArguments(process.argv.slice(2));
  if (args === "help") console.log(help);
  else process.exitCode = await demo(args, await Folder.open(args.folder));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

async function demo(args: Arguments, folder: Folder): Promise<number> {
  await using connection = await connect();
  const terminal = new Terminal();
  const conversation = new Conversation(new ProjectAgent(folder, connection.model), terminal);
  let left = false;
  const interrupt = onePress(() => {
    if (conversation.stop("Ctrl+C")) return;
    // The second press does not wait until a tool has stopped.
    if (conversation.isAtWork) process.exit(INTERRUPTED);
    left = true;
    terminal.close();
  });
  process.on("SIGINT", interrupt);
  terminal.onInterrupt = interrupt;
  try {
    const code = await talk(args, conversation, terminal);
    return left ? INTERRUPTED : code;
  } finally {
    terminal.close();
    process.off("SIGINT", interrupt);
  }
}

/** Answers the given question, and those that come by the terminal or a pipe. Returns the exit code. */
async function talk(args: Arguments, conversation: Conversation, terminal: Terminal): Promise<number> {
  if (args.question !== undefined) {
    const status = await conversation.ask(args.question);
    if (args.isOnce || !terminal.isInteractive) return exitCodes[status];
    if (status === "cancelled") terminal.line(goOn, "dim");
  }
  for (;;) {
    const question = await terminal.question();
    if (question === undefined) return 0;
    if ((await conversation.ask(question)) === "cancelled") terminal.line(goOn, "dim");
  }
}

function onePress(act: () => void): () => void {
  let last = Number.NEGATIVE_INFINITY;
  return () => {
    const now = performance.now();
    const isEcho = now - last < SAME_PRESS_MS;
    last = now;
    if (!isEcho) act();
  };
}
