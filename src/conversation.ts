/** What a loop has so far: the whole turns, the turn at work, usage, and what would remain of it right now. */
import { describeStop } from "./abort.ts";
import type { RunEnd, RunView } from "./engine.ts";
import { addUsage, noUsage, type Patch, type Usage } from "./events.ts";
import type { JournalEntry, LoopState } from "./journal.ts";
import { type Cut, PartialTurn } from "./partial-turn.ts";
import { runtime } from "./runtime.ts";
import {
  append,
  type ChatMessage,
  type Entry,
  type Transcript,
  toHistory,
  toMessages,
} from "./transcript.ts";

/** A whole turn, as it is written down. */
export type CommittedTurn = Omit<
  Extract<JournalEntry, { kind: "turn" }>,
  "kind" | "finishReason" | "corrections"
>;

export class Conversation {
  #transcript: Transcript;
  #system: ChatMessage | undefined;
  #partial: PartialTurn | undefined;
  #patches: readonly Patch[];
  #usage = noUsage;
  #text = "";
  #turns = 0;
  readonly #callIds = new Set<string>();

  constructor(transcript: Transcript, patches: readonly Patch[]) {
    this.#transcript = transcript;
    this.#patches = patches;
    this.#noteCallIds();
  }

  #noteCallIds(): void {
    for (const entry of this.#transcript) {
      if (entry.kind === "turn") for (const { call } of entry.exchanges) this.#callIds.add(call.id);
    }
  }

  /** The system message of this run's requests; it belongs to the definition, not to the history. */
  instruct(system: string): void {
    this.#system = system === "" ? undefined : { role: "system", content: system };
  }

  add(...entries: readonly Entry[]): void {
    this.#transcript = append(this.#transcript, ...entries);
  }

  /** Goes on where an earlier attempt stood; gives the turn that it had left open. */
  takeUp(state: LoopState): PartialTurn | undefined {
    this.instruct(state.system);
    this.#transcript = state.transcript;
    this.#patches = state.patches;
    this.#usage = state.usage;
    this.#text = state.text;
    this.#turns = state.turns;
    this.#noteCallIds();
    if (state.open !== undefined) this.#partial = PartialTurn.takenUp(state.open, this.#callIds);
    return this.#partial;
  }

  /** What stands before the first turn, as it is written down. */
  opening(): JournalEntry {
    const system = typeof this.#system?.content === "string" ? this.#system.content : "";
    return { kind: "opening", system, transcript: this.#transcript, patches: this.#patches };
  }

  /** The turn at work. */
  get open(): PartialTurn | undefined {
    return this.#partial;
  }

  get isOpen(): boolean {
    return this.#partial !== undefined;
  }

  get turns(): number {
    return this.#turns;
  }

  /** What is sent to the model. */
  messages(): ChatMessage[] {
    const messages = toMessages(this.#transcript);
    if (this.#system !== undefined) messages.unshift(this.#system);
    return messages;
  }

  begin(): PartialTurn {
    this.#turns++;
    this.#partial = new PartialTurn(this.#callIds);
    return this.#partial;
  }

  /** The turn is whole: it becomes part of the transcript, and `next` behind it. Gives what became of it. */
  commit(partial: PartialTurn, next: readonly Entry[] = []): CommittedTurn {
    const isEmpty = partial.text === "" && partial.calls.length === 0;
    const entries = isEmpty ? next : [partial.whole(), ...next];
    const patches = partial.lostCalls();
    this.add(...entries);
    this.#patches = [...this.#patches, ...patches];
    return { turn: this.#turns, entries, patches, text: partial.text, usage: this.#close(partial) };
  }

  /** The turn ends here: what can be kept of it becomes part of the transcript. Gives its usage. */
  cut(partial: PartialTurn, end: RunEnd<unknown>): Usage {
    const { turn, patches } = partial.cut(cutOf(end));
    if (turn !== undefined) this.add(turn);
    this.#patches = [...this.#patches, ...patches];
    return this.#close(partial);
  }

  /** What remains if the run ends now: for a run at work, as if it were stopped this instant. */
  view(end?: RunEnd<unknown>): RunView {
    const partial = this.#partial;
    const base = { turns: this.#turns, usage: this.#usage };
    if (partial === undefined) {
      return { ...base, history: toHistory(this.#transcript), patches: this.#patches, text: this.#text };
    }
    const { turn, patches } = partial.cut(cutOf(end));
    const transcript = turn === undefined ? this.#transcript : append(this.#transcript, turn);
    return {
      ...base,
      usage: addUsage(this.#usage, this.#usageOf(partial)),
      history: toHistory(transcript),
      patches: [...this.#patches, ...patches],
      text: this.#text + partial.text,
    };
  }

  #close(partial: PartialTurn): Usage {
    const usage = this.#usageOf(partial);
    this.#usage = addUsage(this.#usage, usage);
    this.#text += partial.text;
    this.#partial = undefined;
    return usage;
  }

  /** The provider's figures, or an estimate marked as such: about four characters a token. */
  #usageOf(partial: PartialTurn): Usage {
    if (partial.usage !== undefined) return partial.usage;
    if (!partial.isRequested) return noUsage;
    const written = partial.calls.reduce(
      (sum, { input, toolName }) => sum + input.length + toolName.length,
      0,
    );
    const outputTokens = Math.ceil((partial.text.length + partial.reasoningLength + written) / 4);
    const inputTokens = Math.ceil(JSON.stringify(this.messages()).length / 4);
    return { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens, estimated: true };
  }
}

function cutOf(end: RunEnd<unknown> | undefined): Cut {
  const reason = reasonOf(end);
  return { reason, note: runtime.stopNote(reason) };
}

function reasonOf(end: RunEnd<unknown> | undefined): string {
  if (end?.status === "cancelled") return describeStop(end);
  if (end?.status === "error") return end.error.message || end.error.name;
  return "the run is still at work";
}
