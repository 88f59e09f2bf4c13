/**
 * Shows answers with a type, from plain functions: an enum, an object with what may be missing, a list, and
 * an object that grows while it streams.
 *
 * Run it: npx tsx --tsconfig examples/tsconfig.json examples/typed-function.ts
 */
import assert from "node:assert/strict";
import { type CallOptions, configure, llmFunction, prompt } from "llmethod";
import { z } from "zod";
import { connect } from "./connect.ts";

const Mood = z.enum(["negative", "neutral", "positive"]);

const judge = llmFunction({ name: "judge", returns: Mood })(
  (review: string, _options?: CallOptions) => prompt`Judge this review: ${review}`,
);

const Person = z.object({
  name: z.string(),
  age: z.int().nullable().describe("In years; null where the text does not say it"),
  email: z.email().nullable(),
});

const extract = llmFunction({
  name: "extract",
  returns: Person,
  instructions: "You take out what a text says of a person. You add nothing.",
})((text: string, _options?: CallOptions) => prompt`Extract the person: ${text}`);

const keywords = llmFunction({
  name: "keywords",
  returns: z.object({ keywords: z.array(z.string()).min(1) }),
})((text: string, _options?: CallOptions) => prompt`Give the keywords of this text: ${text}`);

const Summary = z.object({
  title: z.string(),
  points: z.array(z.string()),
  language: z.literal("English"),
});

const summarise = llmFunction({ name: "summarise", returns: Summary })(
  (text: string, _options?: CallOptions) => prompt`Summarise in points: ${text}`,
);

await using connection = await connect();
configure({ model: connection.model });

// The type of each answer comes from its schema: this is "negative" | "neutral" | "positive".
const mood: "negative" | "neutral" | "positive" = await judge("I love it, great work!");
console.log("judge:", mood);
assert.equal(mood, "positive");

const person = await extract("Ada Lovelace, 36 years old, wrote from ada@example.org.");
console.log("extract:", person);
assert.deepEqual(person, { name: "Ada Lovelace", age: 36, email: "ada@example.org" });

const found = await keywords("Tides are pulled by the moon and the sun.");
console.log("keywords:", found.keywords);
assert.ok(found.keywords.length > 0);

// Calls of one function are independent of each other, also at the same time.
const moods = await Promise.all([judge("It is slow and broken."), judge("Wonderful, I love it!")]);
console.log("at once:", moods);
assert.deepEqual(moods, ["negative", "positive"]);

// While it streams, every part of the object may still be missing: { title?: string, points?: string[] … }.
const stream = summarise.stream("Rivers carry sand. Sand makes deltas. Deltas feed people.");
let growth = 0;
for await (const partial of stream.objectStream()) {
  growth++;
  if (growth % 10 === 1) console.log("so far:", partial);
}
const outcome = await stream.outcome;
assert.equal(outcome.status, "completed");
console.log("summarise:", outcome.status === "completed" ? outcome.value : undefined);
assert.ok(growth > 1, "the object was seen while it grew");
