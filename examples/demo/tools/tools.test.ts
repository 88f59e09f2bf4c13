// Proves that the demo's tools stay in their folder, and that sums are worked out as one reads them.
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { evaluate } from "./arithmetic.ts";
import { Folder } from "./folder.ts";

const LIMIT = 1_000;
const never = new AbortController().signal;

let base: string;
let folder: Folder;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "llmethod-tools-"));
  const root = join(base, "root");
  for (const name of ["src/deep", ".git", "node_modules", "dist", "empty"]) {
    await mkdir(join(root, name), { recursive: true });
  }
  await mkdir(join(base, "root-2"));
  const files = ["secret.txt", "root-2/secret.txt", "root/.git/config", "root/.env", "root/.env.local"];
  for (const path of [
    ...files,
    "root/node_modules/a.js",
    "root/dist/a.js",
    "root/src/b.ts",
    "root/src/deep/a.ts",
  ]) {
    await writeFile(join(base, path), `text of ${path}`);
  }
  await writeFile(join(root, "long.txt"), "é".repeat(LIMIT));
  await writeFile(join(root, "binary.png"), Buffer.from([137, 80, 0, 71]));
  await symlink(base, join(root, "up"));
  await symlink(join(base, "secret.txt"), join(root, "out.txt"));
  await symlink(join(root, "src/b.ts"), join(root, "in.txt"));
  folder = await Folder.open(root);
});
afterAll(() => rm(base, { recursive: true, force: true }));

describe("a folder", () => {
  it("lists its own files in order, without links and what is hidden or made", async () => {
    const paths = await Array.fromAsync(folder.files(undefined, never));
    expect(paths).toEqual(["binary.png", "long.txt", "src/b.ts", "src/deep/a.ts"]);
    expect(await Array.fromAsync(folder.files("src/deep/", never))).toEqual(["src/deep/a.ts"]);
    expect(await Array.fromAsync(folder.files("empty", never))).toEqual([]);
  });

  it.each([
    "../secret.txt",
    "/etc/passwd",
    "out.txt",
    "up/secret.txt",
    "src/../../secret.txt",
    "../root-2/secret.txt",
  ])("does not read what lies outside: %s", async (path) => {
    await expect(folder.read(path, LIMIT)).rejects.toThrow("is outside of the folder");
  });

  it.each([".git/config", ".env", ".env.local", "src/../.env", "node_modules/a.js"])(
    "does not read what is hidden: %s",
    async (path) => {
      await expect(folder.read(path, LIMIT)).rejects.toThrow("is not shown");
    },
  );

  it.each(["..", "up", "/"])("does not list what lies outside: %s", async (path) => {
    await expect(Array.fromAsync(folder.files(path, never))).rejects.toThrow("is outside of the folder");
  });

  it("reads a link that leads to a file within, and its own files by their absolute path", async () => {
    expect((await folder.read("in.txt", LIMIT))?.text).toBe("text of root/src/b.ts");
    expect((await folder.read(join(folder.root, "src/b.ts"), LIMIT))?.truncated).toBe(false);
  });

  it("cuts a long file between two characters, and gives nothing for a binary one", async () => {
    expect(await folder.read("long.txt", LIMIT - 1)).toEqual({ text: "é".repeat(499), truncated: true });
    expect(await folder.read("binary.png", LIMIT)).toBeUndefined();
  });

  it("says what is wrong with a path", async () => {
    await expect(folder.read("none.txt", LIMIT)).rejects.toThrow("There is no file or folder none.txt.");
    await expect(folder.read("src", LIMIT)).rejects.toThrow("src is a folder");
    await expect(Array.fromAsync(folder.files("src/b.ts", never))).rejects.toThrow("is a file, not a folder");
  });

  it("ends its walk when the signal is aborted", async () => {
    const stopped = AbortSignal.abort(new Error("enough"));
    await expect(Array.fromAsync(folder.files(undefined, stopped))).rejects.toThrow("enough");
  });
});

describe("a sum", () => {
  const sums: [expression: string, result: number][] = [
    ["(17 + 4) * 3", 63],
    ["2 + 3 * 4", 14],
    ["2 ^ 3 ^ 2", 512],
    ["-2 ^ 2", -4],
    ["2 ^ -1", 0.5],
    ["8 / 4 / 2", 1],
    ["10 - 4 - 3", 3],
    ["7 % 4", 3],
    ["--3", 3],
    ["0.1 + 0.2", 0.3],
    [".5 * 1e3", 500],
    ["1,234,567 + 1", 1_234_568],
    ["6 × 7 ÷ 2 − 1", 20],
    ["2 ** 10", 1024],
    ["2 ^ 53 + 1", 2 ** 53],
  ];
  it.each(sums)("is worked out: %s", (expression, result) => {
    expect(evaluate(expression)).toBe(result);
  });

  const wrong: [expression: string, problem: string][] = [
    ["", "ends where a number is expected"],
    ["1 +", "ends where a number is expected"],
    ["(1 + 2", "bracket at position 1 is not closed"],
    ["1 + 2)", '")" at position 6'],
    ["1 / 0", "division by zero"],
    ["5 % 0", "division by zero"],
    ["2 ^ 5000", "no number"],
    ["(-1) ^ 0.5", "no number"],
    ["process.exit()", 'not "p"'],
    ["1 2", '"2" at position 3'],
    ["1.2.3", "does not belong there"],
    ["(".repeat(501), "longer than 500"],
    ["(".repeat(500), "ends where"],
  ];
  it.each(wrong)("is refused with what is wrong: %s", (expression, problem) => {
    expect(() => evaluate(expression)).toThrow(problem);
  });
});
