// Every queue against the one suite, with runs in PostgreSQL. A new queue is one more entry.

import { postgresProblem, url } from "./postgres-server.ts";
import { ownPrefix, redisProblem, redisUrl } from "./queue-redis.ts";
import { testQueue } from "./queue-suite.ts";

const noPostgres = await postgresProblem();
const noRedis = await redisProblem();

testQueue({
  name: "pg-boss",
  spec: (name) => ({ kind: "pg-boss", url, schema: `${name}_jobs` }),
  missing: noPostgres,
});

testQueue({
  name: "BullMQ",
  spec: () => ({ kind: "bullmq", url: redisUrl.href, prefix: ownPrefix(), lockMs: 3000 }),
  missing: noPostgres ?? noRedis,
  onOwnServer: (ownUrl) => ({ kind: "bullmq", url: ownUrl, lockMs: 3000 }),
});
