// The program of an Actor: workers that take up stories until the process is ended, or its parent is gone.

import { join } from "node:path";
import { SqliteRunStore } from "../../src/adapters/sqlite.ts";
import { configure, startWorker } from "../../src/index.ts";
import { type ActorSpec, storyOf } from "./actor-story.ts";

const spec = JSON.parse(process.argv[2] ?? "") as ActorSpec;
process.on("disconnect", () => process.exit());
configure({ store: new SqliteRunStore({ path: join(spec.directory, "runs.db") }) });
const functions = spec.names.map((name) => storyOf(name, spec));
for (let count = 0; count < spec.workers; count++) await startWorker({ functions, ...spec.settings });
process.send?.("ready");
