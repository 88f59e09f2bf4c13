/** Which process an entry belongs to, and whether that process is still alive. */
import { readlinkSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";

/**
 * A process. The pid alone would not do, as it is given again; the start (Linux: in clock ticks since the boot)
 * tells a later process with the same pid apart. `host` names the machine, or the container, that knows the pid.
 */
export interface Owner {
  readonly pid: number;
  readonly start?: string;
  readonly host: string;
}

export function thisProcess(): Promise<Owner> {
  self ??= describeSelf();
  return self;
}

/** `undefined` where this host cannot know: the process is one of another host. */
export async function isAlive(owner: Owner): Promise<boolean | undefined> {
  if (owner.host !== thisHost()) return undefined;
  if (owner.pid === process.pid) return owner.start === (await thisProcess()).start;
  if (!isThere(owner.pid)) return false;
  const proc = await procOf(owner.pid);
  if (proc === undefined) return true;
  return proc.state !== "Z" && (owner.start === undefined || owner.start === proc.start);
}

let self: Promise<Owner> | undefined;

async function describeSelf(): Promise<Owner> {
  const { pid } = process;
  const start = (await procOf(pid))?.start;
  return { pid, host: thisHost(), ...(start === undefined ? {} : { start }) };
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of another user may not be signalled, but is there.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

let host: string | undefined;

function thisHost(): string {
  host ??= `${hostname()} ${pidNamespace()}`;
  return host;
}

function pidNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return process.platform;
  }
}

/** State and start of a process, from Linux's /proc; the name between brackets may hold anything. */
async function procOf(pid: number): Promise<{ state: string; start: string } | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "latin1");
    const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const start = fields[18];
    return state === undefined || start === undefined ? undefined : { state, start };
  } catch {
    return undefined;
  }
}
