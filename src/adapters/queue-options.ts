/** What the queues share beside the pump: names and ids that every engine takes, and who hears of faults. */
import { createHash } from "node:crypto";
import { UsageError } from "../errors.ts";
import { shown, textOf } from "../json.ts";

/** Hears of faults that end no run: an engine that is down, a job that could not be renewed. */
export type FaultListener = (error: Error) => void;

const longestName = 120;

/** A name or id in letters that every engine takes: others become `/` and their bytes, what is too long ends in a hash. */
export function plainName(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9_.-]/gu, (letter) => `/${Buffer.from(letter).toString("hex")}`);
  if (plain.length <= longestName) return plain;
  return `${plain.slice(0, longestName - 65)}/${createHash("sha256").update(name).digest("hex")}`;
}

/** One UUID for each run id. */
export function uuidOf(runId: string): string {
  const hex = createHash("sha256").update(`llmethod\0${runId}`).digest("hex");
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`];
  return [...parts, hex.slice(20, 32)].join("-");
}

const mostTold = 100;

/** Tells of each fault once: an engine that is down fails at every look. */
export function reporter(onFault: FaultListener | undefined): (what: string, cause: unknown) => void {
  const told = new Set<string>();
  return (what, cause) => {
    const error = new Error(`${what}: ${textOf(cause)}`, { cause });
    if (told.has(error.message)) return;
    if (told.size >= mostTold) told.clear();
    told.add(error.message);
    try {
      (onFault ?? process.emitWarning)(error);
    } catch (failure) {
      process.emitWarning(new Error("onFault threw an error", { cause: failure }));
    }
  };
}

export function checkFaultListener(
  owner: string,
  onFault: unknown,
): asserts onFault is FaultListener | undefined {
  if (onFault === undefined || typeof onFault === "function") return;
  throw new UsageError("invalid_option", `${owner}: "onFault" must be a function, not ${shown(onFault)}.`);
}

/** Loads a package when it is first needed. @throws UsageError that names the command which installs it */
export async function peer<T>(
  load: () => Promise<T>,
  owner: string,
  packages: readonly string[],
): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND")) throw error;
    const names = `npm package${packages.length > 1 ? "s" : ""} ${packages.join(" and ")}`;
    const command = `npm install ${packages.join(" ")}`;
    throw new UsageError("invalid_option", `${owner} needs the ${names}: run \`${command}\`.`, {
      cause: error,
    });
  }
}
