/** Tells what a tool message says: a result, an error, or that the tool was stopped. */

export type Outcome =
  | { readonly kind: "ok"; readonly value: unknown }
  | { readonly kind: "error"; readonly message: string }
  /** `unknown`: the tool may have finished after it was stopped. */
  | { readonly kind: "stopped"; readonly unknown: boolean };

const STOPPED =
  /\bnot started\b|\bnever started\b|\bdid not run\b|\b(?:was|were|been) (?:stopped|cancelled|canceled|interrupted)\b|^\W*(?:stopped|cancelled|canceled)\b/i;
const UNKNOWN = /\bunknown\b|\bmay (?:still )?have (?:taken effect|finished|run)\b/i;

/** A notice of a stop is short and no JSON; a long text that merely talks of stops is a result. */
const LONGEST_NOTICE = 600;

export function outcomeOf(content: string): Outcome {
  const value = parsed(content);
  if (typeof value !== "string") return { kind: "ok", value };
  if (value.startsWith("Error")) return { kind: "error", message: value };
  if (value.length <= LONGEST_NOTICE) {
    const unknown = UNKNOWN.test(value) && /\b(?:outcome|effect|stop\w*|cancel\w*)\b/i.test(value);
    if (unknown || STOPPED.test(value)) return { kind: "stopped", unknown };
  }
  return { kind: "ok", value };
}

/** The values of the exchanges with this tool which came to a result. */
export function resultsOf(
  exchanges: readonly { tool: string; outcome: Outcome }[],
  tool: string,
): readonly unknown[] {
  return exchanges.flatMap((exchange) =>
    exchange.tool === tool && exchange.outcome.kind === "ok" ? [exchange.outcome.value] : [],
  );
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `value[key]` where that is a string, else an empty string. */
export function textAt(value: unknown, key: string): string {
  const found = isRecord(value) ? value[key] : undefined;
  return typeof found === "string" ? found : "";
}

function parsed(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    return content;
  }
}
