// Runs the tests of the surface, and those of what only standard decorators have, compiled by tsc.
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe } from "vitest";
import { compileStandardForm } from "./compile.ts";

const compiled = await compileStandardForm();
afterAll(() => rm(compiled, { recursive: true, force: true }));

for (const folder of ["surface", "standard"]) {
  const names = await readdir(join(compiled, "test", folder));
  const suites = names.filter((name) => /\.(test|standard)\.js$/.test(name) && name !== "surface.test.js");
  for (const name of suites.sort()) {
    // The tests register themselves here when their module is loaded.
    describe(`with standard decorators, ${name.replace(/\.\w+\.js$/, "")}`, async () => {
      await import(join(compiled, "test", folder, name));
    });
  }
}
