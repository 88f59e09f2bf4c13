import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: {
    alias: {
      "llmethod/bullmq": new URL("src/adapters/bullmq.ts", import.meta.url).pathname,
      "llmethod/client": new URL("src/server/client.ts", import.meta.url).pathname,
      "llmethod/file": new URL("src/adapters/file.ts", import.meta.url).pathname,
      "llmethod/pg-boss": new URL("src/adapters/pg-boss.ts", import.meta.url).pathname,
      "llmethod/postgres": new URL("src/adapters/postgres.ts", import.meta.url).pathname,
      "llmethod/redis": new URL("src/adapters/redis.ts", import.meta.url).pathname,
      "llmethod/server": new URL("src/server/server.ts", import.meta.url).pathname,
      "llmethod/sqlite": new URL("src/adapters/sqlite.ts", import.meta.url).pathname,
      "llmethod/testing": new URL("src/testing.ts", import.meta.url).pathname,
      llmethod: new URL("src/index.ts", import.meta.url).pathname,
    },
  },
  test: {
    include: ["test/**/*.test.ts", "examples/**/*.test.ts"],
    pool: "forks",
    execArgv: ["--expose-gc"],
    testTimeout: 20_000,
    typecheck: { enabled: false },
  },
});
