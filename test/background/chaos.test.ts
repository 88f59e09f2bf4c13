// Workers that die every few seconds: every run ends once, whole and right. CHAOS_SEED repeats a run of it.

import { expect, test } from "vitest";
import { chaos } from "../../chaos/chaos.ts";

const seed = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000);

test(`150 runs end exactly once while their workers are killed (CHAOS_SEED=${seed})`, {
  timeout: 180_000,
}, async () => {
  const report = await chaos({ kind: "sqlite", runs: 150, seconds: 40, seed });
  const { states, kills, freezes, resumed, needed, made, unknownCalls, problems } = report;
  console.log(
    `seed ${seed}: ${kills} kills, ${freezes} freezes, ${resumed} resumptions, ${JSON.stringify(states)}, ` +
      `requests ${needed} needed -> ${made} made, ${unknownCalls} calls cut off`,
  );
  expect(problems).toEqual([]);
  expect(kills).toBeGreaterThan(5);
  expect(resumed).toBeGreaterThan(5);
  expect((states.completed ?? 0) + (states.cancelled ?? 0)).toBe(150);
  expect(states.completed).toBeGreaterThanOrEqual(120);
  expect(states.cancelled).toBeGreaterThan(5);
  // Only what was in flight at a kill is asked for again: at most what ten slots hold.
  expect(made - needed).toBeLessThanOrEqual(kills * 10);
});
