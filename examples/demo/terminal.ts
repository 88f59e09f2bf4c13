/** Where the demo prints and reads: a terminal with a prompt, or pipes, which get the same without colours. */
import { createInterface, type Interface } from "node:readline";
import type { ReadStream, WriteStream } from "node:tty";

type Input = ReadStream | NodeJS.ReadStream;
type Output = WriteStream | NodeJS.WriteStream;

export class Terminal {
  /** Whether somebody types the questions. */
  readonly isInteractive: boolean;
  /** Called for Ctrl+C at the prompt, where the terminal makes no signal of it. */
  onInterrupt: () => void = () => {};
  readonly #input: Input;
  readonly #output: Output;
  readonly #lines: string[] = [];
  readonly #typed: string[] = [];
  #reader: Interface | undefined;
  #wake: (() => void) | undefined;
  #isAtLineStart = true;
  #hasEnded = false;

  constructor(input: Input = process.stdin, output: Output = process.stdout) {
    this.#input = input;
    this.#output = output;
    this.isInteractive = input.isTTY === true && output.isTTY === true;
  }

  /** Prints a piece of the answer as it comes. */
  text(piece: string): void {
    const safe = visible(piece);
    if (safe === "") return;
    this.#output.write(safe);
    this.#isAtLineStart = safe.endsWith("\n");
  }

  /** Ends the line that was begun, if there is one. */
  endLine(): void {
    if (!this.#isAtLineStart) this.#output.write("\n");
    this.#isAtLineStart = true;
  }

  /** Prints lines of their own; `dim` for what is not the answer. */
  line(text: string, look: "plain" | "dim" = "plain"): void {
    this.endLine();
    const safe = visible(text);
    this.#output.write(look === "dim" && this.#hasColours() ? `\x1b[2m${safe}\x1b[22m\n` : `${safe}\n`);
  }

  /** The next line that is not empty; nothing at the end of the input. */
  async question(): Promise<string | undefined> {
    for (;;) {
      const line = this.#lines.shift() ?? (await this.#nextLine());
      if (line === undefined) return undefined;
      if (line.trim() === "") continue;
      // Somebody who types sees the line; in the output of a pipe the question would be missing.
      if (!this.isInteractive) this.line(`> ${line}`, "dim");
      return line.trim();
    }
  }

  /** Ends the reading; a question that is waited for ends with nothing. */
  close(): void {
    this.#hasEnded = true;
    this.#reader?.close();
    this.#input.pause();
    this.#wake?.();
  }

  async #nextLine(): Promise<string | undefined> {
    if (this.#hasEnded) return undefined;
    this.endLine();
    const reader = this.#reader ?? this.#read();
    if (this.isInteractive) reader.prompt();
    while (this.#lines.length === 0 && !this.#hasEnded) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    // While a run is at work the terminal is left alone, so that Ctrl+C is a signal then.
    if (this.isInteractive && !this.#hasEnded) this.#release(reader);
    return this.#lines.shift();
  }

  #read(): Interface {
    const reader = createInterface({
      input: this.#input,
      ...(this.isInteractive && { output: this.#output, terminal: true, history: this.#typed, prompt: "> " }),
    });
    this.#reader = reader;
    reader.on("line", (line) => {
      this.#lines.push(line);
      this.#wake?.();
    });
    reader.on("history", (history) => this.#typed.splice(0, Number.POSITIVE_INFINITY, ...history));
    reader.on("SIGINT", () => {
      this.#isAtLineStart = false;
      this.onInterrupt();
    });
    reader.on("close", () => {
      if (this.#reader !== reader) return;
      this.#hasEnded = true;
      this.#wake?.();
    });
    return reader;
  }

  #release(reader: Interface): void {
    this.#reader = undefined;
    reader.close();
  }

  #hasColours(): boolean {
    return this.#output.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";
  }
}

/** What tools and models say may hold control characters, which could move the cursor or rename the window. */
function visible(text: string): string {
  return text.replace(/(?![\n\t])\p{Cc}/gu, "");
}
