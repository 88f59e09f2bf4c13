/**
 * Shows a conversation that is kept as plain JSON between two calls, as a web service keeps it in a database,
 * and how a history that something has damaged is made whole again.
 *
 * Run it: npx tsx --tsconfig examples/tsconfig.json examples/chat-with-history.ts
 */
import assert from "node:assert/strict";
import {
  type CallOptions,
  type ChatMessage,
  type ChatRun,
  llmChat,
  type Model,
  prompt,
  repairHistory,
} from "llmethod";
import { connect } from "./connect.ts";

class Concierge {
  readonly house: string;
  readonly model: Model;

  constructor(house: string, model: Model) {
    this.house = house;
    this.model = model;
  }

  @llmChat({ model: (self: Concierge) => self.model })
  chat(_message: string, _options?: CallOptions): ChatRun {
    return prompt`You are the concierge of ${this.house}. Be short.`;
  }
}

/** What a database would be: it holds text. */
const database = new Map<string, string>();

await using connection = await connect();
const concierge = new Concierge("Hotel Paradis", connection.model);

async function say(guest: string, message: string): Promise<string> {
  const saved = database.get(guest);
  const history = saved === undefined ? [] : (JSON.parse(saved) as ChatMessage[]);
  const reply = await concierge.chat(message, { history });
  database.set(guest, JSON.stringify(reply.history));
  console.log(`${guest}: ${message}\n  ${reply.text.split("\n")[0]}`);
  return reply.text;
}

await say("room 1", "My name is Ada.");
await say("room 2", "My name is Grace.");
// Each guest has a history, and the object has none: it can serve both at once.
const [ada, grace] = await Promise.all([
  say("room 1", "What is my name?"),
  say("room 2", "What is my name?"),
]);
assert.match(ada, /Ada/);
assert.match(grace, /Grace/);

const saved = JSON.parse(database.get("room 1") ?? "[]") as ChatMessage[];
console.log("kept for room 1:", saved.map(({ role }) => role).join(", "));
assert.deepEqual(
  saved.map(({ role }) => role),
  ["user", "assistant", "user", "assistant"],
);

// A process that dies while a tool runs may leave a call without a result, which every provider refuses.
const damaged: ChatMessage[] = [
  { role: "user", content: "My name is Ada. Is the sauna open?" },
  {
    role: "assistant",
    content: null,
    tool_calls: [{ id: "call-1", type: "function", function: { name: "opening_hours", arguments: "{}" } }],
  },
];
const { history, patches } = repairHistory(damaged);
for (const { kind, reason } of patches) console.log(`repaired: ${kind}, ${reason}`);
assert.equal(patches[0]?.kind, "result-added");
assert.equal(history.at(-1)?.role, "tool");

// A chat repairs what it is given in the same way, so this is accepted as it is.
const reply = await concierge.chat("What is my name?", { history: damaged });
console.log(`after the repair: ${reply.text.split("\n")[0]}`);
assert.equal(reply.status, "completed");
assert.match(reply.text, /Ada/);
