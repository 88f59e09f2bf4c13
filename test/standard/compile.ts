// Compiles the tests of the surface with standard decorators, as Vite's own transform cannot lower these.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const root = new URL("../..", import.meta.url).pathname;

/**
 * Compiles what `test/standard/tsconfig.json` names, and all of `src/` that it imports, into a new folder below
 * `node_modules`, where it finds the dependencies. Gives the folder.
 */
export async function compileStandardForm(): Promise<string> {
  const cache = join(root, "node_modules", ".cache");
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, "llmethod-standard-"));
  // `import "llmethod"` is the compiled source: a package may import itself by its name.
  const manifest = { name: "llmethod", type: "module", exports: { ".": "./src/index.js" } };
  await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
  const config = join(root, "test", "standard", "tsconfig.json");
  const options = ["--noEmit", "false", "--noCheck", "--outDir", folder, "--rootDir", root];
  await promisify(execFile)(join(root, "node_modules", ".bin", "tsc"), ["-p", config, ...options]);
  return folder;
}
