// Counts tokens as plausibly as four characters a token can, so that no script has to name them.

import type { CompletionUsage } from "openai/resources/completions";
import type { ChatRequest } from "./exchange.ts";

/** Overrides of the counted numbers; `null` sends no usage at all. */
export type UsageOverride = Partial<CompletionUsage> | null;

/** For `finish("stop", noUsage)`: a server that never tells its usage. */
export const noUsage = null;

/** How much has been said in an answer so far, in characters. */
export interface Tally {
  answer: number;
  reasoning: number;
}

export function usageOf(
  request: ChatRequest,
  said: Tally,
  override: Partial<CompletionUsage>,
): CompletionUsage {
  const reasoning = tokens(said.reasoning);
  const prompt = override.prompt_tokens ?? Math.max(1, tokens(JSON.stringify(request.messages).length));
  const completion = override.completion_tokens ?? Math.max(1, tokens(said.answer) + reasoning);
  return {
    total_tokens: prompt + completion,
    ...override,
    prompt_tokens: prompt,
    completion_tokens: completion,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0, ...override.prompt_tokens_details },
    completion_tokens_details: {
      reasoning_tokens: reasoning,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
      ...override.completion_tokens_details,
    },
  };
}

function tokens(characters: number): number {
  return Math.ceil(characters / 4);
}
