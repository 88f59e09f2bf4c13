/**
 * Shows runs over HTTP: a server of a few lines, a page that starts a run, watches it and stops it, and the client for
 * programs. A run in the background goes on when the page is closed, and the page finds it again when it is opened.
 *
 * Run it: npx tsx --tsconfig examples/tsconfig.json examples/http-server.ts
 * With the page, until Ctrl+C: … examples/http-server.ts --serve
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type CallOptions, configure, llmFunction, MemoryRunStore, prompt } from "llmethod";
import { createClient } from "llmethod/client";
import { createHandler, toNodeHandler } from "llmethod/server";
import { connect } from "./connect.ts";

await using connection = await connect();
configure({ model: connection.model, store: new MemoryRunStore() });

const tell = llmFunction({ name: "tell" })(
  (subject: string, _options?: CallOptions) => prompt`Tell me a long story about ${subject}`,
);

const token = process.env.RUNS_TOKEN || randomBytes(16).toString("hex");
const runsHandler = toNodeHandler(createHandler({ functions: [tell], token }));
const page = await readFile(new URL("http-server/page.html", import.meta.url));

const server = createServer((request, response) => {
  if (request.url !== "/") return runsHandler(request, response);
  response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(page);
});
server.listen(process.argv.includes("--serve") ? 8080 : 0, "127.0.0.1");
await once(server, "listening");
const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

if (process.argv.includes("--serve")) {
  // What stands behind "#" stays in the browser.
  console.log(`Open ${address}/#${token} (Ctrl+C ends the server)`);
  await once(process, "SIGINT");
} else {
  await tryIt();
}
server.close();
server.closeAllConnections();

/** What the page does, by the client for programs. */
async function tryIt(): Promise<void> {
  const html = await (await fetch(address)).text();
  assert.match(html, /<title>Runs<\/title>/);

  // 1. A run in the background: started, watched, left, found again, stopped.
  const client = createClient({ url: `${address}/runs`, token });
  const run = await client.start<string>("tell", ["bees"]);
  console.log(`started ${run.runId}`);
  let last = 0;
  let text = "";
  for await (const event of run.events()) {
    last = event.seq;
    if (event.type === "text-delta") text += event.delta;
    if (text.length > 80) break; // the tab is closed: the run goes on
  }
  console.log(
    `read ${text.length} characters up to event ${last}, and left; it is ${(await run.get()).status}`,
  );
  assert.equal((await run.get()).status, "running");

  for await (const event of run.events({ after: last })) {
    assert.equal(event.seq, ++last, "nothing is missing and nothing comes twice");
    if (event.type === "text-delta") text += event.delta;
    if (text.length > 300) await run.cancel("the user pressed stop");
    if (event.type === "run-cancelled") {
      console.log(`stopped: ${event.reason}, with ${event.text.length} characters kept`);
      assert.equal(event.text, text);
    }
  }
  assert.equal((await run.wait()).status, "cancelled");

  // 2. A run that belongs to its connection: leaving the loop stops it.
  const runId = "short-lived";
  for await (const event of client.stream("tell", ["owls"], { runId })) {
    if (event.type === "text-delta") break;
  }
  while (await client.cancel(runId)) await new Promise((resolve) => setTimeout(resolve, 10));
  console.log(`${runId} was stopped by leaving it`);

  // 3. What is not known, or not allowed, is said.
  const refused = await fetch(`${address}/runs`);
  console.log(`without the token: ${refused.status} ${JSON.stringify(await refused.json())}`);
  assert.equal(refused.status, 401);
}
