/** Names of files that stand for run ids: any string, on any file system. */
import { createHash } from "node:crypto";

const longest = 120;

/**
 * A name for a run id; different ids have different names, also where the file system knows no upper case. Long ids
 * become a hash behind "~", which no other name holds.
 */
export function fileNameOf(runId: string): string {
  let name = "";
  for (let i = 0; i < runId.length && name.length <= longest; i++) name += encoded(runId, i);
  if (name.length <= longest) return `run-${name}`;
  return `run-~${createHash("sha256").update(Buffer.from(runId, "utf16le")).digest("hex")}`;
}

/** By UTF-16 unit, as an id may hold half a surrogate pair. */
function encoded(text: string, index: number): string {
  const unit = text.charCodeAt(index);
  const char = text.charAt(index);
  if (/[a-z0-9_-]/.test(char)) return char;
  return unit < 256 ? `%${unit.toString(16).padStart(2, "0")}` : `%u${unit.toString(16).padStart(4, "0")}`;
}
