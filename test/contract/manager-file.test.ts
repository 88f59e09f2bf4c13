// What only the file manager has: files that anybody can write, name and delete, and processes that die.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FileCancellationManager } from "../../src/adapters/file.ts";
import { fileNameOf } from "../../src/adapters/file-names.ts";
import { until } from "../stop/stage.ts";

let parent: string;
let directory: string;
let manager: FileCancellationManager;
let other: FileCancellationManager;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "llmethod-file-"));
  directory = join(parent, "cancellation");
  manager = new FileCancellationManager({ directory });
  other = new FileCancellationManager({ directory });
});

afterEach(async () => {
  await Promise.allSettled([manager.close(), other.close()]);
  await rm(parent, { recursive: true, force: true });
});

const requestFile = (runId: string) => join(directory, "requests", `${fileNameOf(runId)}.json`);
const countOf = async (folder: string) => (await readdir(join(directory, folder))).length;

describe("the options", () => {
  const wrong: Record<string, unknown> = {
    "an empty directory": { directory: "" },
    "a directory that is no string": { directory: 3 },
    "a lifetime of nothing": { intentLifetimeMs: 0 },
    "a lifetime that is no number": { intentLifetimeMs: "1d" },
    "an unknown key": { dir: "x" },
    "no object": "x",
  };
  test.each(Object.keys(wrong))("refuse %s at once", (what) => {
    expect(() => new FileCancellationManager(wrong[what] as object)).toThrow(
      expect.objectContaining({ name: "UsageError", code: "invalid_option" }),
    );
  });

  test("make no directory before it is needed", async () => {
    expect(await readdir(parent)).toEqual([]);
    await manager.isCancelled("a");
    await manager.activeRuns();
    expect(await readdir(parent)).toEqual([]);
  });
});

describe("names of files", () => {
  test("are safe and differ where the ids differ", () => {
    const long = "y".repeat(400);
    const ids = ["a", "A", "", ".", "..", "/", "a/b", "%2f", "\0", "\ud800", "\udfff", "é", "~", "nul", long];
    ids.push(`${long}A`, `${long}a`, "%u00e9", "ü".repeat(100), "run-~");
    const names = ids.map(fileNameOf);
    expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(ids.length);
    for (const name of names) {
      expect(name).toMatch(/^run-[a-z0-9_%~-]*$/);
      expect(name.length).toBeLessThan(150);
    }
  });

  test("tell apart ids that hold half a character", async () => {
    await manager.cancel("\ud800", "one");
    await manager.cancel("\ud801", "two");
    expect((await other.isCancelled("\ud800"))?.reason).toBe("one");
    expect((await other.isCancelled("\ud801"))?.reason).toBe("two");
  });
});

describe("a file that is broken", () => {
  const broken = ["", "{", '{"runId":"a","rea', "null", "[]", '{"runId":"a"}', "\0\0\0"];

  test.each(broken)("%j: is a fault that names it, is told once, and stops nothing", async (text) => {
    const heard: unknown[] = [];
    const faults: unknown[] = [];
    await manager.register("a");
    manager.watch(
      "a",
      (request) => heard.push(request),
      (fault) => faults.push(fault),
    );
    manager.watch("b", (request) => heard.push(request));
    await writeFile(requestFile("a"), text);
    await until(() => faults.length > 0);
    await sleep(500);
    expect(faults).toEqual([expect.objectContaining({ message: expect.stringContaining(requestFile("a")) })]);
    await expect(other.isCancelled("a")).rejects.toThrow("holds no stop request");
    expect(heard).toEqual([]);
    expect(await other.cancel("a", "whole again")).toBe(true);
    await until(() => heard.length > 0);
    expect(heard).toMatchObject([{ runId: "a", reason: "whole again" }]);
  });

  test("is no request for the run whose name it bears, where it holds that of another", async () => {
    await manager.cancel("b", "for b");
    await writeFile(requestFile("a"), await readFile(requestFile("b")));
    await expect(manager.isCancelled("a")).rejects.toThrow('of another run, "b"');
    await manager.cancel("a", "for a");
    expect((await manager.isCancelled("a"))?.reason).toBe("for a");
  });

  test("among the entries hides no other run, and is told to the watches", async () => {
    const faults: unknown[] = [];
    await manager.register("a");
    manager.watch(
      "a",
      () => {},
      (fault) => faults.push(fault),
    );
    await writeFile(join(directory, "runs", "run-broken.x.json"), "{");
    await manager.activeRuns();
    expect([...(await manager.activeRuns()).keys()]).toEqual(["a"]);
    expect(faults).toEqual([
      expect.objectContaining({ message: expect.stringContaining("holds no entry of a run") }),
    ]);
  });
});

describe("the directory", () => {
  test("is made again where it was deleted, with the entries of the runs at work", async () => {
    const heard: unknown[] = [];
    const faults: unknown[] = [];
    await manager.register("a");
    manager.watch(
      "a",
      (request) => heard.push(request),
      (fault) => faults.push(fault),
    );
    await sleep(100);
    await rm(directory, { recursive: true });
    await sleep(800);
    expect([...(await other.activeRuns()).keys()]).toEqual(["a"]);
    expect(await other.cancel("a", "after all")).toBe(true);
    await until(() => heard.length > 0);
    expect(faults).toEqual([]);
  });

  test("may be a link, and holds no drafts after the work", async () => {
    await mkdir(join(parent, "real"));
    await symlink(join(parent, "real"), directory);
    await Promise.all(Array.from({ length: 30 }, (_, index) => manager.register(`run-${index}`)));
    await Promise.all(Array.from({ length: 30 }, (_, index) => other.cancel(`run-${index}`)));
    expect([await countOf("drafts"), await countOf("runs"), await countOf("requests")]).toEqual([0, 30, 30]);
    await Promise.all(Array.from({ length: 30 }, (_, index) => manager.cleanup(`run-${index}`)));
    expect([await countOf("drafts"), await countOf("runs"), await countOf("requests")]).toEqual([0, 0, 0]);
  });

  test("keeps nothing of a run whose cleanup failed, once it is back", async () => {
    await manager.register("a");
    await manager.cancel("a");
    await rm(join(directory, "drafts"), { recursive: true });
    await writeFile(join(directory, "drafts"), "no directory");
    await expect(manager.cleanup("a")).rejects.toThrow();
    await rm(join(directory, "drafts"));
    await manager.register("b");
    await manager.cleanup("b");
    expect([await countOf("runs"), await countOf("requests")]).toEqual([0, 0]);
  });
});

describe("what processes leave behind", () => {
  const entry = (owner: object, at = Date.now()) => JSON.stringify({ runId: "lost", owner, at });

  test("is not believed where the pid was given to another process since", async () => {
    await manager.register("live");
    const [own = ""] = await readdir(join(directory, "runs"));
    const { owner } = JSON.parse(await readFile(join(directory, "runs", own), "utf8"));
    const path = join(directory, "runs", `${fileNameOf("lost")}.x.json`);
    await writeFile(path, entry(owner));
    expect([...(await manager.activeRuns()).keys()].sort()).toEqual(["live", "lost"]);
    if (owner.start === undefined) return;
    await writeFile(path, entry({ ...owner, start: "1" }));
    expect([...(await manager.activeRuns()).keys()]).toEqual(["live"]);
    expect(await readdir(join(directory, "runs"))).toEqual([own]);
  });

  test("is not believed where its process has ended", async () => {
    await manager.register("live");
    const [own = ""] = await readdir(join(directory, "runs"));
    const { owner } = JSON.parse(await readFile(join(directory, "runs", own), "utf8"));
    const child = spawn(process.execPath, ["-e", ""]);
    await once(child, "exit");
    await writeFile(
      join(directory, "runs", `${fileNameOf("lost")}.x.json`),
      entry({ pid: child.pid, host: owner.host }),
    );
    expect(await manager.cancel("lost")).toBe(false);
    expect([...(await manager.activeRuns()).keys()]).toEqual(["live"]);
  });

  test("is believed for the lifetime of a request where it comes from another machine", async () => {
    await manager.register("live");
    const path = join(directory, "runs", `${fileNameOf("lost")}.x.json`);
    const owner = { pid: 1, host: `not-${hostname()}` };
    await writeFile(path, entry(owner));
    expect(await manager.cancel("lost")).toBe(true);
    await writeFile(path, entry(owner, Date.now() - 25 * 60 * 60 * 1000));
    expect(await manager.cancel("lost")).toBe(false);
  });

  test("is swept away: old requests and old drafts", async () => {
    const brief = new FileCancellationManager({ directory, intentLifetimeMs: 100 });
    await brief.cancel("old", "nobody came");
    await writeFile(join(directory, "drafts", "left.json"), "{");
    await utimes(join(directory, "drafts", "left.json"), new Date(0), new Date(0));
    await sleep(250);
    await brief.cancel("new");
    expect(await readdir(join(directory, "requests"))).toEqual([`${fileNameOf("new")}.json`]);
    expect(await countOf("drafts")).toBe(0);
    await brief.close();
  });
});

test("an older run of the same manager takes away its own entry only", async () => {
  await manager.register("again");
  await manager.register("again");
  await manager.cancel("again", "stay");
  await manager.cleanup("again");
  expect([...(await manager.activeRuns())]).toEqual([["again", true]]);
  await manager.cleanup("again");
  expect((await manager.activeRuns()).size).toBe(0);
  expect(await manager.isCancelled("again")).toBeUndefined();
});
