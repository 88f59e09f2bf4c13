/** A toolkit made flat: every tool under its own name. */
import { UsageError } from "./errors.ts";
import { kindOf } from "./json.ts";
import type { ToolSpec } from "./model.ts";
import { type Tool, type Toolkit, toolsOf } from "./tool.ts";

/** The tools by name, and as a model sees them. */
export interface ResolvedToolkit {
  readonly tools: ReadonlyMap<string, Tool>;
  readonly specs: readonly ToolSpec[];
}

/** @throws UsageError `duplicate_tool` for two tools with one name, `invalid_tool` for what holds no tool */
export function resolveToolkit(toolkit: Toolkit | undefined): ResolvedToolkit {
  const tools = new Map<string, Tool>();
  for (const tool of flatten(toolkit ?? [], new Set())) {
    if (tools.has(tool.name)) {
      throw new UsageError(
        "duplicate_tool",
        `Two tools of the toolkit have the name "${tool.name}". Give one of them another "name".`,
      );
    }
    tools.set(tool.name, tool);
  }
  const specs = [...tools.values()].map(({ name, description, inputSchema }) => ({
    name,
    description,
    inputSchema,
  }));
  return { tools, specs };
}

function flatten(item: unknown, seen: Set<unknown>): Tool[] {
  if (Array.isArray(item)) {
    if (seen.has(item)) return [];
    seen.add(item);
    return item.flatMap((inner) => flatten(inner, seen));
  }
  if ((typeof item !== "object" || item === null) && typeof item !== "function") {
    throw new UsageError(
      "invalid_tool",
      `A toolkit holds tools, objects with @tool methods, or lists of these, not ${kindOf(item)}.`,
    );
  }
  // The same object twice is one set of tools: nested lists may well share it.
  if (seen.has(item)) return [];
  seen.add(item);
  if (isTool(item)) return [item];
  const tools = toolsOf(item);
  if (tools.length === 0) {
    throw new UsageError(
      "invalid_tool",
      `The toolkit holds ${kindOf(item)} without any @tool method. Decorate one with @tool({ … }), ` +
        "or make a tool with tool({ name, description, input, execute }).",
    );
  }
  return tools;
}

function isTool(item: object): item is Tool {
  return "kind" in item && item.kind === "tool" && "execute" in item && typeof item.execute === "function";
}
