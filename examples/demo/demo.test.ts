// Drives the real demo program as its user does: questions, Ctrl+C, exit codes.
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startStandIn } from "./stand-in.ts";
import { hasPseudoTerminal, Program } from "./test-program.ts";

const STAND_IN = /^Talking to a local stand-in at http:\/\/127\.0\.0\.1:\d+\/v1, which is no language model/;

let folder: string;
beforeAll(async () => {
  const base = await mkdtemp(join(tmpdir(), "llmethod-demo-"));
  folder = join(base, "project");
  await mkdir(join(folder, "src"), { recursive: true });
  await mkdir(join(folder, "node_modules"));
  await writeFile(join(base, "secret.txt"), "the password is swordfish");
  await symlink(join(base, "secret.txt"), join(folder, "link.txt"));
  await writeFile(join(folder, "node_modules/deep.ts"), "abort");
  await writeFile(join(folder, "src/one.ts"), "export const one = 1;\n// abort here\n");
  await writeFile(join(folder, "picture.bin"), Buffer.from([0, 1, 2]));
});
afterAll(() => rm(join(folder, ".."), { recursive: true, force: true }));

describe("with --once", () => {
  it("says in its first line that it talks to a stand-in, answers and ends", async () => {
    const program = Program.start({ args: ["--once", "What is (17 + 4) * 3?"] });
    expect(await program.exit()).toBe(0);
    expect(program.output).toMatch(STAND_IN);
    expect(program.output).toContain("→ calculate expression=(17 + 4) * 3\n");
    expect(program.output.trimEnd()).toMatch(/\n\(17 \+ 4\) \* 3 is 63\.$/);
    expect(program.errors).toBe("");
  });

  it("keeps what was said at Ctrl+C and ends with 130", async () => {
    const program = Program.start({ args: ["--once", "Tell me a long story"] });
    await program.sees("Once there was");
    program.interrupts();
    expect(await program.exit()).toBe(130);
    expect(program.output).toMatch(/■ Stopped: Ctrl\+C\. The text so far is kept \(\d+ characters\)\./);
  });

  it("looks into the folder that was named, and nowhere else", async () => {
    const ask = async (question: string) => {
      const program = Program.start({ args: ["--folder", folder, "--once", question] });
      expect(await program.exit()).toBe(0);
      return program.output;
    };
    const [found, list, outside, linked] = await Promise.all([
      ask("Which files mention abort?"),
      ask("List the files"),
      ask("Read ../secret.txt"),
      ask("Read link.txt"),
    ]);
    expect(found).toContain("1 file mentions “abort”, on 1 line:\n- src/one.ts");
    expect(list).toContain("- picture.bin\n- src/one.ts\n");
    expect(list).not.toMatch(/deep|link/);
    for (const refused of [outside, linked]) {
      expect(refused).toContain("is outside of the folder");
      expect(refused).not.toContain("swordfish");
    }
  });
});

describe("with questions from a pipe", () => {
  it("takes each line as a question of one conversation, and ends with the input", async () => {
    const program = Program.start();
    program.types("What is (17 + 4) * 3?\n\nand what is that times 2?\n");
    program.endsInput();
    expect(await program.exit()).toBe(0);
    expect(program.output).toContain("> What is (17 + 4) * 3?\n");
    expect(program.output).toContain("63 * 2 is 126.");
    expect(program.output).not.toContain("\x1b");
  });

  it("stops a text at Ctrl+C and goes on with it at the very letter", async () => {
    const program = Program.start();
    program.types("Tell me a long story\n");
    await program.sees("loopback");
    program.interrupts();
    await program.sees("■ Stopped: Ctrl+C. The text so far is kept");
    program.types("continue\n");
    await program.sees("People asked it questions");
    program.interrupts();
    await program.sees("■ Stopped");
    program.types("What is 12*12?\n");
    await program.sees("144");
    program.endsInput();
    expect(await program.exit()).toBe(0);
    const story = program.output
      .split("\n")
      .filter((line) => !/^(?:Talking|>|■|Ask|I see|→|✓)/.test(line))
      .join("\n")
      .replace(/\n+…/, "");
    expect(story).toMatch(
      /^Once there was a small program that had to stand in for a large language model\. It lived on the loopback interface, at a port that nobody had chosen, and it had never read a book\.\n\nPeople asked it questions/,
    );
  });

  it("stops a slow tool at Ctrl+C, and runs it again when asked to go on", async () => {
    const program = Program.start({ args: ["--folder", folder] });
    program.types("Survey this project for 2 seconds\n");
    await program.sees("survey: files=");
    program.interrupts();
    await program.sees("■ survey was stopped");
    await program.sees("■ Stopped: Ctrl+C. survey was stopped before it had finished.");
    program.types("continue\n");
    await program.sees("found 2 files and");
    program.endsInput();
    expect(await program.exit()).toBe(0);
  });

  it("leaves with 130 at Ctrl+C while it waits for a question", async () => {
    const program = Program.start();
    program.types("What is 12*12?\n");
    await program.sees("12*12 is 144.\n");
    program.interrupts();
    expect(await program.exit()).toBe(130);
  });
});

describe("with a server of one's own", () => {
  it("names the server and the model in its first line, with a key and without", async () => {
    const server = await startStandIn({ pace: 0 });
    const args = ["--once", "What is 12*12?"];
    const open = Program.start({ args, env: { OPENAI_BASE_URL: server.url } });
    const keyed = Program.start({
      args,
      env: { OPENAI_BASE_URL: server.url, OPENAI_API_KEY: "sk-any", LLMETHOD_MODEL: "qwen" },
    });
    expect(await Promise.all([open.exit(), keyed.exit()])).toEqual([0, 0]);
    await server.close();
    expect(open.output).toContain(`Talking to gpt-5-mini at ${server.url} (OPENAI_API_KEY is not set).\n`);
    expect(keyed.output).toContain(`Talking to qwen at ${server.url}.\n`);
    expect(keyed.output).toContain("144");
  });

  it("shows the error of a server that refuses, goes on, and ends with 1 under --once", async () => {
    const server = createServer((request, response) => {
      request.resume();
      response.writeHead(401, { "content-type": "application/json" });
      response.end(
        JSON.stringify({ error: { message: "Incorrect API key provided", code: "invalid_api_key" } }),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const env = { OPENAI_BASE_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1` };
    const once = Program.start({ args: ["--once", "Hello"], env });
    const piped = Program.start({ env });
    piped.types("Hello\nHello again\n");
    piped.endsInput();
    expect(await Promise.all([once.exit(), piped.exit()])).toEqual([1, 0]);
    server.close();
    expect(once.output).toMatch(/✗ ModelError: .*Incorrect API key provided/);
    expect(piped.output.match(/✗ ModelError/g)).toHaveLength(2);
    expect(piped.output).not.toContain("    at ");
  });
});

describe("the command line", () => {
  const wrong: [args: string[], said: string][] = [
    [["--onec", "x"], "Unknown option '--onec'. The options are --once, --folder DIR and --help."],
    [["--once"], "--once needs a question"],
    [["--folder", "/nowhere/at/all", "--once", "x"], "There is no folder /nowhere/at/all."],
  ];
  it.each(wrong)("is refused in one line: %j", async (args, said) => {
    const program = Program.start({ args });
    expect(await program.exit()).toBe(1);
    expect(program.errors).toContain(said);
    expect(program.errors.trim().split("\n")).toHaveLength(1);
    expect(program.output).toBe("");
  });

  it("is explained by --help", async () => {
    const program = Program.start({ args: ["--help"] });
    expect(await program.exit()).toBe(0);
    for (const word of ["--once", "--folder", "OPENAI_API_KEY", "LLMETHOD_MODEL"]) {
      expect(program.output).toContain(word);
    }
  });
});

if (!hasPseudoTerminal)
  console.warn("SKIPPED: the demo in a terminal, as there is no `script` (util-linux) here.");

describe.skipIf(!hasPseudoTerminal)("in a terminal (by `script`)", () => {
  it("prompts, stops at Ctrl+C, goes on at the prompt, and leaves with 130 at Ctrl+C there", async () => {
    const program = Program.startInTerminal({ args: ["--folder", folder, "Tell me a long story"] });
    await program.sees("Once there was");
    program.types("\x03");
    await program.sees("■ Stopped: Ctrl+C. The text so far is kept");
    await program.sees("> ");
    program.types("Survey this project for 2 seconds\r");
    await program.sees("\x1b[2m  survey: files=");
    program.types("\x03");
    await program.sees("survey was stopped before it had finished");
    await program.sees("> ");
    program.types("What is 12*12?\rWhat is 2^10?\r");
    await program.sees("12*12 is 144.");
    await program.sees("2^10 is 1024.");
    await program.sees("> ");
    program.types("\x03");
    expect(await program.exit()).toBe(130);
  });

  it("leaves with 0 at Ctrl+D, and shows no colours under NO_COLOR", async () => {
    const program = Program.startInTerminal({ env: { NO_COLOR: "1" } });
    await program.sees("> ");
    program.types("What is 12*12?\r");
    await program.sees("12*12 is 144.");
    await program.sees("> ");
    program.types("\x04");
    expect(await program.exit()).toBe(0);
    expect(program.output).not.toContain("\x1b[2m");
  });
});
