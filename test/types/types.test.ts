// What must and must not compile, judged by the real tsc in both decorator forms, on the source and on the build.
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = new URL("../..", import.meta.url).pathname;
const here = join(root, "test", "types");
const forms = ["legacy", "standard"] as const;
let scratch = "";

beforeAll(async () => {
  const cache = join(root, "node_modules", ".cache");
  await mkdir(cache, { recursive: true });
  scratch = await mkdtemp(join(cache, "llmethod-types-"));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

/** The compiler's complaints; none means that everything compiles and every `@ts-expect-error` was needed. */
async function compile(...args: readonly string[]): Promise<string> {
  try {
    await promisify(execFile)(join(root, "node_modules", ".bin", "tsc"), [...args, "--pretty", "false"]);
    return "";
  } catch (error) {
    return (error as { stdout?: string }).stdout || String(error);
  }
}

describe.each(forms)("with %s decorators", (form) => {
  test("what must compile does, and what must not does not", async () => {
    expect(await compile("-p", join(here, `tsconfig.${form}.json`))).toBe("");
  });

  test("a method of the wrong type is refused with the type that it must have", async () => {
    const folder = join(scratch, form);
    await mkdir(folder, { recursive: true });
    const source = `
      import { llmChat, llmFunction, prompt, type Run } from "llmethod";
      import { z } from "zod";
      export class Analyst {
        @llmFunction({ returns: z.number() })
        research(question: string): Run<string> { return prompt\`\${question}\`; }
        @llmChat()
        chat(_message: string): Promise<string> { return prompt\`Be kind.\`; }
      }`;
    await writeFile(join(folder, "wrong.ts"), source);
    await writeFile(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        extends: join(here, `tsconfig.${form}.json`),
        include: ["wrong.ts"],
        compilerOptions: { paths: { llmethod: [join(root, "src", "index.ts")] } },
      }),
    );
    const [research, chat, ...more] = (await compile("-p", folder)).split(/^(?=\S)/m);
    expect(research).toMatch(/wrong\.ts\(5,[\s\S]*must (be declared to )?return[\s\S]*Run<number>/);
    expect(chat).toMatch(/wrong\.ts\(7,[\s\S]*must (be declared to )?return[\s\S]*(Chat)?Run/);
    expect(more).toEqual([]);
  });
});

describe("the built declarations", () => {
  test.each(forms)("type the same things, checked in full, with %s decorators", async (form) => {
    const folder = join(scratch, `built-${form}`);
    await mkdir(folder, { recursive: true });
    expect(await compile("-p", join(root, "tsconfig.build.json"), "--outDir", join(folder, "dist"))).toBe("");
    const types = { ".": { types: "./dist/index.d.ts", default: "./dist/index.js" } };
    const manifest = { name: "llmethod", type: "module", exports: types };
    await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
    await cp(join(here, "fixtures"), join(folder, "fixtures"), { recursive: true });
    await writeFile(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        extends: join(here, `tsconfig.${form}.json`),
        include: ["fixtures"],
        compilerOptions: { paths: {} },
      }),
    );
    expect(await compile("-p", folder)).toBe("");
  });

  test("ask neither for exactOptionalPropertyTypes nor for our other settings", async () => {
    const folder = join(scratch, "loose");
    await mkdir(folder, { recursive: true });
    const settings = { exactOptionalPropertyTypes: false, noUncheckedIndexedAccess: false, paths: {} };
    const paths = { llmethod: [join(root, "src", "index.ts")] };
    await cp(join(here, "fixtures", "sample.ts"), join(folder, "sample.ts"));
    await cp(join(here, "fixtures", "equal.ts"), join(folder, "equal.ts"));
    await writeFile(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        extends: join(here, "tsconfig.legacy.json"),
        include: ["."],
        compilerOptions: {
          ...settings,
          paths,
          module: "ESNext",
          moduleResolution: "bundler",
          rewriteRelativeImportExtensions: false,
        },
      }),
    );
    expect(await compile("-p", folder)).toBe("");
  });
});
