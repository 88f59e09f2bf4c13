/** Asks one question after another, prints each run as it goes, and carries the history on, also after a stop. */
import type { ChatMessage, ChatReply, RunEvent, RunOutcome, RunStream } from "llmethod";
import type { ProjectAgent } from "./agent.ts";
import { keptLines, toolLine } from "./show.ts";
import type { Terminal } from "./terminal.ts";

export class Conversation {
  readonly #agent: ProjectAgent;
  readonly #terminal: Terminal;
  #history: readonly ChatMessage[] = [];
  #run: RunStream<ChatReply> | undefined;
  #isStopping = false;

  constructor(agent: ProjectAgent, terminal: Terminal) {
    this.#agent = agent;
    this.#terminal = terminal;
  }

  get isAtWork(): boolean {
    return this.#run !== undefined;
  }

  /** Stops the run at work; `false` where there is none, or where it is being stopped already. */
  stop(reason: string): boolean {
    if (this.#run === undefined || this.#isStopping) return false;
    this.#isStopping = true;
    this.#run.cancel(reason);
    return true;
  }

  async ask(question: string): Promise<RunOutcome<ChatReply>["status"]> {
    const run = this.#agent.chat.stream(question, { history: this.#history });
    this.#run = run;
    this.#isStopping = false;
    try {
      for await (const event of run) this.#show(event);
      const { history, status } = await run.outcome;
      this.#history = history;
      return status;
    } finally {
      this.#run = undefined;
    }
  }

  #show(event: RunEvent<ChatReply>): void {
    const terminal = this.#terminal;
    switch (event.type) {
      case "text-delta":
        terminal.text(event.delta);
        break;
      case "tool-start":
      case "tool-progress":
      case "tool-end":
        terminal.line(toolLine(event), "dim");
        break;
      case "turn-end":
        terminal.endLine();
        break;
      case "run-cancelled":
        terminal.line(`■ Stopped: ${String(event.reason)}. ${keptLines(event.patches).join(" ")}`);
        break;
      case "run-error":
        terminal.line(`✗ ${event.error.name}: ${event.error.message}`);
        terminal.line(keptLines(event.patches).join(" "), "dim");
        break;
      default:
    }
  }
}
