/** Runs the demo as the program that it is, for tests: a child process with pipes or with a pseudo-terminal. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

const here = import.meta.dirname;
const root = `${here}/../..`;
const PATIENCE_MS = 15_000;

export const hasPseudoTerminal = spawnSync("script", ["--version"]).status === 0;

export interface StartOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export class Program {
  output = "";
  errors = "";
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #exit: Promise<number | null>;
  #seen = 0;

  private constructor(command: readonly [string, ...string[]], { env, cwd }: StartOptions) {
    const [file, ...args] = command;
    const { OPENAI_API_KEY: _key, OPENAI_BASE_URL: _url, LLMETHOD_MODEL: _model, ...rest } = process.env;
    this.#child = spawn(file, args, {
      cwd: cwd ?? root,
      env: { ...rest, NO_COLOR: "", TERM: "xterm", TSX_TSCONFIG_PATH: `${here}/../tsconfig.json`, ...env },
    });
    this.#child.stdin.on("error", () => {}); // the program may have ended before a line arrives
    this.#child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.output += text;
    });
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.errors += text;
    });
    this.#exit = new Promise((resolve) => {
      this.#child.on("close", (code) => resolve(code));
    });
  }

  /** With pipes: `interrupt` is a signal. */
  static start(options: StartOptions = {}): Program {
    return new Program([process.execPath, ...programArgs(options)], options);
  }

  /** With a terminal: `interrupt` is the key. */
  static startInTerminal(options: StartOptions = {}): Program {
    const command = [process.execPath, ...programArgs(options)].map((part) => `'${part}'`).join(" ");
    return new Program(["script", "-qfec", command, "/dev/null"], options);
  }

  /** Waits until this stands in the output behind what was waited for before. */
  async sees(text: string): Promise<void> {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      const at = this.output.indexOf(text, this.#seen);
      if (at >= 0) {
        this.#seen = at + text.length;
        return;
      }
      if (Date.now() > end || this.#child.exitCode !== null) {
        this.#child.kill("SIGKILL");
        throw new Error(`"${text}" did not come:\n${this.output.slice(this.#seen)}\n${this.errors}`);
      }
      await sleep(5);
    }
  }

  types(text: string): void {
    this.#child.stdin.write(text);
  }

  endsInput(): void {
    this.#child.stdin.end();
  }

  interrupts(): void {
    this.#child.kill("SIGINT");
  }

  /** The exit code, once the program has ended by itself. */
  async exit(): Promise<number | null> {
    const code = await Promise.race([this.#exit, sleep(PATIENCE_MS, "late" as const, { ref: false })]);
    if (code !== "late") return code;
    this.#child.kill("SIGKILL");
    throw new Error(`The program does not end:\n${this.output}\n${this.errors}`);
  }
}

function programArgs({ args = [] }: StartOptions): string[] {
  return ["--import", import.meta.resolve("tsx"), `${here}/main.ts`, ...args];
}
