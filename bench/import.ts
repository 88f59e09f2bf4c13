/** Loads modules in this process, which is a fresh one, and prints how many ms it took or how many came. */
import { registerHooks } from "node:module";

const [what, from, ...modules] = process.argv.slice(2);
let count = 0;
if (what === "count") {
  registerHooks({
    load(url, context, next) {
      if (!url.startsWith("node:")) count++;
      return next(url, context);
    },
  });
}
// As a program in the directory `from` would find them.
const urls = modules.map((module) => import.meta.resolve(module, from));
const start = performance.now();
for (const url of urls) await import(url);
console.log(what === "count" ? count : performance.now() - start);
