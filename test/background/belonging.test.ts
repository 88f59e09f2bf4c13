// What a run belongs to: the object that it was submitted by, the run whose tool has begun it, the worker that has room.

import { setTimeout as sleep } from "node:timers/promises";
import {
  type CallOptions,
  configure,
  llmFunction,
  prompt,
  type Run,
  type RunHandle,
  runs,
  UsageError,
} from "llmethod";
import { describe, expect, test } from "vitest";
import { executorFor } from "./executors.ts";
import { askOf, byTurn, calls, hangs, modelOf, says, taskOf, toolOf, until } from "./models.ts";
import { storeKinds, usePlace } from "./place.ts";

const echo = modelOf((request) => says(taskOf(request)));

class Analyst {
  readonly #house: string;
  constructor(house: string) {
    this.#house = house;
  }
  @llmFunction({ model: echo })
  research(question: string, _options?: CallOptions): Run<string> {
    return prompt`${this.#house}: ${question}`;
  }
}

describe.each(storeKinds)("in the store %s", (kind) => {
  const place = usePlace(kind);

  test("a run has the object whose method was called, however many there are", async () => {
    const houses = ["Acme", "Globex", "Initech"];
    const handles = await Promise.all(
      houses.map((house, index) => new Analyst(house).research.background("Why?", { delayMs: 40 * index })),
    );
    const answers = await Promise.all(handles.map((handle) => handle.result({ timeoutMs: 5000 })));
    expect(answers).toEqual(houses.map((house) => `${house}: Why?`));
  });

  test("two functions of one name do not run as each other", async () => {
    const [one, other] = [
      askOf(
        modelOf(() => says("one")),
        "same",
      ),
      askOf(
        modelOf(() => says("other")),
        "same",
      ),
    ];
    const handles = [await one.background("x", { delayMs: 30 }), await other.background("x")];
    expect(await Promise.all(handles.map((handle) => handle.result({ timeoutMs: 5000 })))).toEqual([
      "one",
      "other",
    ]);
  });

  test("another object than the worker's is refused, and nothing is stored", async () => {
    const analyst = new Analyst("Acme");
    await place.worker([analyst]);
    await expect(new Analyst("Globex").research.background("Why?")).rejects.toThrow(UsageError);
    expect(await runs.list()).toEqual([]);
    expect(await (await analyst.research.background("Why?")).result()).toBe("Acme: Why?");
  });

  test("a call that is stopped stops what its tools have begun, but not what is detached", async () => {
    const leaf = askOf(
      modelOf((request) => hangs("So", request)),
      "leaf",
    );
    const children: RunHandle<string>[] = [];
    const begin = toolOf("begin", async () => {
      children.push(await leaf.background("a"), await leaf.background("b", { detached: true }));
      await sleep(60_000, undefined, { ref: false });
    });
    const parent = askOf(modelOf(byTurn(() => calls("begin"))), "parent", [begin]);
    const run = parent.stream("go", { timeout: { total: 150 } });
    expect((await run.outcome).status).toBe("cancelled");
    const [child, detached] = children;
    expect(await child?.wait({ timeoutMs: 5000 })).toMatchObject({
      status: "cancelled",
      parentRunId: run.runId,
    });
    const record = await detached?.get();
    expect(record?.status).not.toBe("cancelled");
    expect(record?.parentRunId).toBeUndefined();
    await detached?.cancel();
  });

  test("a call that is over is not stopped any more, nor what it has begun", async () => {
    const leaf = askOf(
      modelOf((request) => hangs("So", request)),
      "leaf",
    );
    let child: RunHandle<string> | undefined;
    const begin = toolOf("begin", async () => {
      child = await leaf.background("a");
      return "begun";
    });
    const model = modelOf(
      byTurn(
        () => calls("begin"),
        () => says("Done."),
      ),
    );
    const run = askOf(model, "parent", [begin]).stream("go");
    await run.outcome;
    run.cancel("too late");
    await sleep(50);
    expect((await child?.get())?.status).not.toBe("cancelled");
    await child?.cancel();
  });

  test("parents that wait for their children leave them their room", async () => {
    configure({ worker: { concurrency: 2 } });
    const leaf = askOf(
      modelOf(() => says("leaf")),
      "leaf",
    );
    const ask = toolOf("ask", async () => (await leaf.background("q")).result());
    const parent = askOf(
      modelOf(
        byTurn(
          () => calls("ask"),
          () => says("parent"),
        ),
      ),
      "parent",
      [ask],
    );
    const handles = await Promise.all(Array.from({ length: 6 }, () => parent.background("p")));
    const answers = await Promise.all(handles.map((handle) => handle.result({ timeoutMs: 10_000 })));
    expect(answers).toEqual(Array(6).fill("parent"));
  });

  test("a hook that hangs holds up neither runs nor the worker's leaving", async () => {
    const ask = askOf(echo);
    let told = 0;
    const onRunEnd = () => {
      told++;
      return new Promise<void>(() => {});
    };
    const worker = await place.worker([ask], { concurrency: 1, onRunEnd });
    const handles = await Promise.all(["a", "b", "c"].map((task) => ask.background(task)));
    await Promise.all(handles.map((handle) => handle.wait({ timeoutMs: 5000 })));
    await until(() => told === 3);
    const leftAt = performance.now();
    await worker.stop({ drainMs: 100 });
    expect(performance.now() - leftAt).toBeLessThan(2000);
  });

  test("a tool that runs again finds what it has begun, in whatever order it begins it then", async () => {
    configure({ worker: false });
    const leaf = askOf(echo, "leaf");
    const orders = [
      ["a", "b", "a"],
      ["b", "a", "a"],
    ];
    let runsOfTool = 0;
    const fan = toolOf(
      "fan",
      async () => {
        const order = orders[runsOfTool++] ?? [];
        for (const task of order) await leaf.background(task);
        if (runsOfTool === 1) await new Promise(() => {});
        return "begun";
      },
      true,
    );
    const parent = askOf(
      modelOf(
        byTurn(
          () => calls("fan"),
          () => says("Done."),
        ),
      ),
      "parent",
      [fan],
    );
    const handle = await parent.background("go");
    const first = executorFor(place.store, parent, "first");
    void first.execute(handle.runId);
    await until(async () => (await runs.list({ parentRunId: handle.runId })).length === 3);
    await executorFor(place.store, parent, "second").execute(handle.runId);
    expect(await handle.result()).toBe("Done.");
    const children = await runs.list({ parentRunId: handle.runId });
    expect(children.map(({ input }) => input.args[0]).sort()).toEqual(["a", "a", "b"]);
    await first.drain(0);
  });

  test("a refused submission changes nothing: the run keeps its function and its object", async () => {
    configure({ worker: false });
    const [f, g] = [
      askOf(
        modelOf(() => says("f")),
        "f",
      ),
      askOf(
        modelOf(() => says("g")),
        "g",
      ),
    ];
    await f.background("x", { runId: "job-1" });
    configure({ worker: {} });
    await expect(g.background("y", { runId: "job-1" })).rejects.toThrow(/duplicate|belongs/);
    expect(await (await f.background("x", { runId: "job-1" })).result({ timeoutMs: 5000 })).toBe("f");
    const first = new Analyst("Acme");
    const handle = await first.research.background("Why?", { runId: "job-2", delayMs: 50 });
    await expect(new Analyst("Globex").research.background("Other?", { runId: "job-2" })).rejects.toThrow();
    expect(await handle.result({ timeoutMs: 5000 })).toBe("Acme: Why?");
  });

  test("a resumed run keeps its object in the process that submitted it", async () => {
    let isBroken = true;
    class Clerk {
      readonly house: string;
      constructor(house: string) {
        this.house = house;
      }
      @llmFunction({
        model: modelOf((request) => {
          if (isBroken) throw new Error("broken");
          return byTurn(
            () => calls("look"),
            ({ messages }) => says(String(messages.at(-1)?.content)),
          )(request);
        }),
        toolkit: (self: Clerk) => [toolOf("look", () => `papers of ${self.house}`)],
      })
      work(task: string, _options?: CallOptions): Run<string> {
        return prompt`${task}`;
      }
    }
    const handle = await new Clerk("Acme").work.background("go");
    expect((await handle.wait({ timeoutMs: 5000 })).status).toBe("error");
    isBroken = false;
    await (await new Clerk("Globex").work.background("warm")).wait({ timeoutMs: 5000 });
    await runs.resume(handle.runId);
    expect(await handle.result({ timeoutMs: 5000 })).toBe("papers of Acme");
  });

  test("a call within a run that waits for a run leaves it room as well", async () => {
    configure({ worker: { concurrency: 1 } });
    const turns = (first: string) =>
      modelOf(
        byTurn(
          () => calls(first),
          () => says(`${first} done`),
        ),
      );
    const leaf = askOf(
      modelOf(() => says("leaf")),
      "leaf",
    );
    const middle = askOf(turns("wait"), "middle", [
      toolOf("wait", async () => (await leaf.background("q")).result()),
    ]);
    const outer = askOf(turns("ask"), "outer", [toolOf("ask", () => middle("x"))]);
    expect(await (await outer.background("go")).result({ timeoutMs: 5000 })).toBe("ask done");
  });
});
