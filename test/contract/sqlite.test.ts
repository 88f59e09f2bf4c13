// What only the SQLite store has: a file, which may be damaged, full, foreign or of another version.

import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SqliteRunStore, SqliteStoreError } from "../../src/adapters/sqlite.ts";
import { SqliteDatabase } from "../../src/adapters/sqlite-database.ts";
import { median, SqliteStage } from "./sqlite-stage.ts";
import { claimed, delta, deltas, newRun, until } from "./store-runs.ts";

let stage: SqliteStage;
beforeEach(() => {
  stage = new SqliteStage();
});
afterEach(() => stage.close());

describe("a file", () => {
  const refusal = async (store: SqliteRunStore): Promise<SqliteStoreError> => {
    const error: unknown = await store.list().catch((reason: unknown) => reason);
    if (!(error instanceof SqliteStoreError)) throw new Error(`not refused: ${error}`);
    return error;
  };

  test("is made with its directories, in WAL mode, when it is first needed", async () => {
    const store = stage.store({ path: join(stage.directory, "a/b/runs.db") });
    expect(readdirSync(stage.directory)).toEqual([]);
    await store.create(newRun("r"));
    const database = new DatabaseSync(join(stage.directory, "a/b/runs.db"));
    expect(database.prepare("pragma journal_mode").get()).toMatchObject({ journal_mode: "wal" });
    database.close();
  });

  test("keeps its runs when the store is opened again", async () => {
    const first = stage.store({ durability: "full" });
    await first.create(newRun("r"));
    await first.close();
    expect(await stage.store().get("r")).toMatchObject({ runId: "r", status: "pending" });
  });

  test("of a newer version is refused, and left as it is", async () => {
    const first = stage.store();
    await first.create(newRun("r"));
    await first.close();
    const database = new DatabaseSync(stage.path);
    database.exec("pragma user_version = 99");
    database.close();
    const error = await refusal(stage.store());
    expect(error).toMatchObject({ code: "newer_version", message: expect.stringContaining(stage.path) });
    expect(error.message).toMatch(/Update llmethod/);
  });

  test("of another program is refused, and left as it is", async () => {
    const database = new DatabaseSync(stage.path);
    database.exec("create table run (mine text)");
    database.close();
    expect(await refusal(stage.store())).toMatchObject({ code: "foreign_file" });
    const again = new DatabaseSync(stage.path);
    expect(again.prepare("select name from sqlite_schema").all()).toHaveLength(1);
    expect(again.prepare("pragma journal_mode").get()).toMatchObject({ journal_mode: "delete" });
    again.close();
  });

  test("that is no database is refused by its path, and left as it is", async () => {
    const text = "These are my notes. ".repeat(500);
    writeFileSync(stage.path, text);
    const error = await refusal(stage.store());
    expect(error).toMatchObject({ code: "corrupt", message: expect.stringContaining(stage.path) });
    expect(error.cause).toBeInstanceOf(Error);
    expect(readFileSync(stage.path, "utf8")).toBe(text);
  });

  test("that is damaged within is refused by its path", async () => {
    const store = stage.store();
    for (let index = 0; index < 200; index += 1) await store.create(newRun(`r${index}`));
    await store.close();
    const bytes = readFileSync(stage.path);
    bytes.fill(0x55, 4096);
    writeFileSync(stage.path, bytes);
    expect(await refusal(stage.store())).toMatchObject({
      code: "corrupt",
      message: expect.stringContaining(stage.path),
    });
  });

  test("that cannot be made is refused by its path", async () => {
    mkdirSync(stage.path);
    expect(await refusal(stage.store())).toMatchObject({
      code: "unwritable",
      message: expect.stringContaining(stage.path),
    });
    writeFileSync(join(stage.directory, "file"), "");
    const below = join(stage.directory, "file", "runs.db");
    const error = await refusal(stage.store({ path: below }));
    expect(error).toMatchObject({ code: "unwritable", message: expect.stringContaining(below) });
  });

  test("can be used as soon as what was in its way is gone", async () => {
    mkdirSync(stage.path);
    const store = stage.store();
    await refusal(store);
    rmSync(stage.path, { recursive: true });
    expect((await store.create(newRun("r"))).created).toBe(true);
  });

  test("on a full disk refuses the write and loses nothing", async () => {
    const store = stage.store();
    await store.create(newRun("r"));
    const claim = claimed(await store.claim("r", "w"));
    await store.save(claim, { events: deltas("r", 3) });
    const database = SqliteDatabase.open(stage.path, "normal");
    const pages = database.get<{ page_count: number }>("pragma page_count")?.page_count ?? 0;
    const limit = (count: number) => database.get(`pragma max_page_count = ${count}`);
    limit(pages + 2);
    const large = Array.from({ length: 50 }, () => delta("r", "x".repeat(5000)));
    await expect(store.save(claim, { events: large })).rejects.toMatchObject({
      code: "full",
      message: expect.stringContaining(stage.path),
    });
    expect(await store.events("r", 0)).toHaveLength(3);
    expect(await store.get("r")).toMatchObject({ status: "running", lastSeq: 3 });
    limit(1_000_000);
    expect(await store.save(claim, { events: large })).toBe(53);
    expect(database.all("pragma integrity_check")).toEqual([{ integrity_check: "ok" }]);
    database.close();
  });

  test("does not keep a large log behind when a long reader has left", async () => {
    const store = stage.store();
    await store.create(newRun("r"));
    const claim = claimed(await store.claim("r", "w"));
    const reader = new DatabaseSync(stage.path);
    reader.exec("begin; select * from run");
    const large = Array.from({ length: 100 }, () => delta("r", "x".repeat(5000)));
    for (let index = 0; index < 60; index += 1) await store.save(claim, { events: large });
    expect(statSync(`${stage.path}-wal`).size).toBeGreaterThan(25_000_000);
    reader.exec("commit");
    reader.close();
    for (let index = 0; index < 5; index += 1) await store.save(claim, { events: large });
    expect(statSync(`${stage.path}-wal`).size).toBeLessThan(20_000_000);
  });
});

describe("the store object", () => {
  test.each([
    [{ path: "" }, /"path" must be the path of a file/],
    [{ path: ":memory:" }, /MemoryRunStore/],
    [{ path: 5 }, /a number \(5\)/],
    [{ file: "runs.db" }, /does not know file. It knows path, durability/],
    [{ durability: "most" }, /"durability" must be "normal" or "full"/],
  ])("refuses the options %j at once", (options, message) => {
    const make = () => new SqliteRunStore(options as never);
    expect(make).toThrow(message);
    expect(make).toThrow(expect.objectContaining({ code: "invalid_option" }));
  });

  test("says that it was closed", async () => {
    const store = stage.store();
    await store.create(newRun("r"));
    await store.close();
    await expect(store.get("r")).rejects.toMatchObject({ code: "closed" });
  });

  test("leaves other warnings alone when it loads SQLite", async () => {
    const child = stage.process();
    await child.ready();
    await child.store.list();
    await child.job.warn?.();
    await until(() => child.stderr.includes("mine"));
    expect(child.stderr).toContain("ExperimentalWarning: mine");
    expect(child.stderr).not.toMatch(/SQLite/);
  });

  test("holds up timers no longer than a batch of 500 events takes", async () => {
    const store = stage.store();
    await store.create(newRun("r"));
    const claim = claimed(await store.claim("r", "w"));
    const batch = Array.from({ length: 500 }, () => delta("r", "x".repeat(150)));
    const waits: number[] = [];
    for (let index = 0; index < 50; index += 1) {
      const begin = performance.now();
      const timer = new Promise((resolve) => setTimeout(resolve, 1));
      await store.save(claim, { events: batch });
      await timer;
      waits.push(performance.now() - begin);
    }
    expect(median(waits)).toBeLessThan(500);
  });
});
