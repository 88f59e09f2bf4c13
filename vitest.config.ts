import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: {
    alias: {
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
