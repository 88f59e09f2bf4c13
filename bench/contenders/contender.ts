/** What every contender gives: a way to run an agent, set up once as a program would and run many times. */

export const contenderNames = ["raw", "fetch", "llmethod", "llmethod-stream", "ai", "agents"] as const;
export type ContenderName = (typeof contenderNames)[number];

/** What a run does: text only, text with the tool `lookup`, or a typed `Report`. */
export type Kind = "text" | "tools" | "object";

export interface Job {
  readonly baseURL: string;
  /** The model's name, which tells the server what to do. */
  readonly model: string;
  readonly kind: Kind;
  /** The work of the tool `lookup`. */
  lookup(input: LookupInput, signal: AbortSignal | undefined): Promise<string>;
  /** Called for each delta of text that reaches the user of the contender, where it streams. */
  onDelta(): void;
}

export interface LookupInput {
  readonly query: string;
  readonly limit: number;
}

/** One run to its end: the text, or the typed object; rejects or resolves in its own way where it is stopped. */
export type RunOnce = (signal?: AbortSignal) => Promise<unknown>;

export interface Contender {
  prepare(job: Job): RunOnce;
}

export const apiKey = "sk-bench";
export const question = "What do you know about it?";
export const instructions = "You are a careful assistant.";
export const lookupName = "lookup";
export const lookupDescription = "Looks a question up";
export const maxTurns = 1000;

/** Loads one contender, and nothing of the others. */
export async function loadContender(name: ContenderName): Promise<Contender> {
  switch (name) {
    case "raw":
      return (await import("./raw.ts")).raw;
    case "fetch":
      return (await import("./fetch.ts")).floor;
    case "llmethod":
      return (await import("./llmethod.ts")).awaited;
    case "llmethod-stream":
      return (await import("./llmethod.ts")).streamed;
    case "ai":
      return (await import("./ai.ts")).ai;
    case "agents":
      return (await import("./agents.ts")).agents;
    default:
      return name satisfies never;
  }
}
