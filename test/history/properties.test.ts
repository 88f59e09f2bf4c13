// What holds for every history: valid ones come back equal, broken ones come back valid, and no text is lost.

import fc from "fast-check";
import { type ChatMessage, repairHistory } from "llmethod";
import { describe, expect, it } from "vitest";
import { refusalOf } from "../support/server.ts";
import { anyHistories, brokenHistories, frozen, textsOf, validHistories } from "./histories.ts";

const numRuns = 1000;
const refused = (messages: readonly ChatMessage[]) =>
  messages.length === 0 ? undefined : refusalOf({ model: "m", messages })?.message;

const kinds = [
  ["broken histories", brokenHistories],
  ["arrays of any messages", anyHistories],
] as const;

describe("the histories of these tests", () => {
  it("that are called valid are valid", () => {
    fc.assert(
      fc.property(validHistories, (history) => {
        expect(refused(history)).toBeUndefined();
      }),
      { numRuns },
    );
  });

  it("that are called broken mostly are", () => {
    const sample = fc.sample(brokenHistories, 300);
    expect(sample.filter((history) => refused(history) !== undefined).length).toBeGreaterThan(60);
  });
});

describe("a valid history", () => {
  it("comes back equal, without a patch", () => {
    const check = fc.property(validHistories, (history) => {
      expect(repairHistory(frozen(history))).toEqual({ history, patches: [] });
    });
    fc.assert(check, { numRuns });
  });

  it("comes back as a copy that its owner may change", () => {
    const check = fc.property(validHistories, (history) => {
      const before = structuredClone(history);
      const { history: copy } = repairHistory(history);
      for (const message of copy) {
        if (Array.isArray(message.content)) message.content.length = 0;
        message.content = "changed";
        if (message.role === "assistant") for (const call of message.tool_calls ?? []) call.id = "changed";
      }
      expect(history).toEqual(before);
    });
    fc.assert(check, { numRuns: 200 });
  });
});

describe.each(kinds)("%s", (_name, histories) => {
  it("come back valid, and are not changed", () => {
    const check = fc.property(histories, (messages) => {
      expect(refused(repairHistory(frozen(messages)).history)).toBeUndefined();
    });
    fc.assert(check, { numRuns });
  });

  it("need no second repair", () => {
    const check = fc.property(histories, (messages) => {
      const { history } = repairHistory(messages);
      expect(repairHistory(history)).toEqual({ history, patches: [] });
    });
    fc.assert(check, { numRuns });
  });

  it("are repaired with patches that are JSON, point into the array and say why", () => {
    const check = fc.property(histories, (messages) => {
      const { patches } = repairHistory(messages);
      expect(JSON.parse(JSON.stringify(patches))).toEqual(patches);
      for (const { index, reason } of patches) {
        expect(messages[index]).toBeDefined();
        expect(reason).not.toBe("");
      }
    });
    fc.assert(check, { numRuns });
  });

  it("lose no text but what a patch names", () => {
    const check = fc.property(histories, (messages) => {
      const { history, patches } = repairHistory(messages);
      const told = JSON.stringify(patches);
      const kept = textsOf(history);
      for (const text of textsOf(messages)) {
        const named = told.includes(JSON.stringify(text)) || told.includes(JSON.stringify(text).slice(1, -1));
        const isThere = kept.some(
          (have) => have.includes(text) || have.includes(JSON.stringify(text).slice(1, -1)),
        );
        expect(isThere || named, `lost ${JSON.stringify(text)}`).toBe(true);
      }
    });
    fc.assert(check, { numRuns });
  });

  it("keep the order of what is no tool result", () => {
    const check = fc.property(histories, (messages) => {
      const { history } = repairHistory(messages);
      const roles = (list: readonly ChatMessage[]) =>
        list.filter(({ role }) => role === "user" || role === "system" || role === "developer");
      const [before, after] = [roles(messages), roles(history)];
      let from = 0;
      for (const message of after) {
        from = before.findIndex(
          (other, at) => at >= from && JSON.stringify(other) === JSON.stringify(message),
        );
        expect(from).toBeGreaterThanOrEqual(0);
        from++;
      }
    });
    fc.assert(check, { numRuns });
  });
});
