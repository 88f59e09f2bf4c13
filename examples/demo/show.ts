/** How the demo shows a run: one line for each step of a tool, and what a stop has left. */
import type { Patch, RunEvent } from "llmethod";

const WIDTH = 110;

type ToolEvent = Extract<RunEvent, { type: "tool-start" | "tool-progress" | "tool-end" }>;

/** One line for one event of a tool. */
export function toolLine(event: ToolEvent): string {
  switch (event.type) {
    case "tool-start":
      return short(`→ ${event.toolName} ${parts(event.input)}`);
    case "tool-progress":
      return short(`  ${event.toolName}: ${parts(event.data)}`);
    case "tool-end":
      return short(endLine(event));
    default:
      return event satisfies never;
  }
}

function endLine({ toolName, status, output, error, durationMs }: ToolEvent & { type: "tool-end" }): string {
  const time = durationMs < 1000 ? `${Math.round(durationMs)} ms` : `${(durationMs / 1000).toFixed(1)} s`;
  switch (status) {
    case "ok":
      return `✓ ${toolName} (${time}): ${resultText(output)}`;
    case "error":
      return `✗ ${toolName} (${time}): ${error ?? "failed"}`;
    case "cancelled":
      return `■ ${toolName} was stopped (${time})`;
    case "unknown":
      return `? ${toolName} did not stop in time (${time}): it may still take effect`;
    default:
      return status satisfies never;
  }
}

/** What a stop or an error has left, in one line for each thing. */
export function keptLines(patches: readonly Patch[]): string[] {
  const lines = patches.map(keptLine);
  return lines.length > 0 ? lines : ["Your question is kept."];
}

function keptLine(patch: Patch): string {
  switch (patch.kind) {
    case "text-truncated":
      return `The text so far is kept (${patch.partialText.length} characters).`;
    case "call-dropped":
      return `${patch.toolName} was not asked for completely and is left out.`;
    case "call-cancelled": {
      const states = {
        "not-started": "was not started",
        stopped: "was stopped before it had finished",
        unknown: "did not stop in time: its outcome is unknown, it may have taken effect",
      };
      return `${patch.toolName} ${states[patch.state]}.`;
    }
    default:
      return `The history was repaired (${patch.kind}): ${patch.reason}.`;
  }
}

function resultText(output: unknown): string {
  if (Array.isArray(output)) {
    const first: unknown = output[0];
    return output.length === 0 ? "nothing" : `${output.length} found, the first: ${parts(first)}`;
  }
  return parts(output);
}

/** `{ path: "a.ts", line: 3 }` as `path=a.ts line=3`. */
function parts(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value ?? "");
  return Object.entries(value)
    .map(([key, part]) => `${key}=${typeof part === "string" ? part : JSON.stringify(part)}`)
    .join(" ");
}

function short(text: string): string {
  const line = text.slice(0, 4 * WIDTH).replace(/\s+/g, (space) => (space.includes("\n") ? " " : space));
  const trimmed = line.trimEnd();
  return trimmed.length <= WIDTH ? trimmed : `${trimmed.slice(0, WIDTH - 1)}…`;
}
