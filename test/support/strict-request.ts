// Judges a whole request body as the Chat Completions API would, so that no test passes on what OpenAI refuses.

import {
  expectArray,
  expectBoolean,
  expectFields,
  expectInteger,
  expectKeys,
  expectLength,
  expectNumber,
  expectOneOf,
  expectString,
  type Fields,
  type Refusal,
  refusalFrom,
  refuse,
} from "./refusal.ts";
import { checkMessages } from "./strict-messages.ts";
import { checkParallel, checkResponseFormat, checkToolChoice, checkTools } from "./strict-tools.ts";

export type { Refusal } from "./refusal.ts";

type Check = (value: unknown, path: string) => unknown;

const text: Check = expectString;
const fields: Check = expectFields;
const anything: Check = () => undefined;
const range =
  (min: number, max: number): Check =>
  (value, path) =>
    expectNumber(value, path, min, max);
const count =
  (min: number, max?: number): Check =>
  (value, path) =>
    expectInteger(value, path, min, max);
const choice =
  (...allowed: string[]): Check =>
  (value, path) =>
    expectOneOf(value, path, allowed);

/** Parameters that may also be null, which is as if they were left out. */
const nullable: Record<string, Check> = {
  audio: fields,
  frequency_penalty: range(-2, 2),
  logit_bias: fields,
  logprobs: expectBoolean,
  max_completion_tokens: count(1),
  max_tokens: count(1),
  metadata: checkMetadata,
  modalities: (value, path) => expectArray(value, path, "strings"),
  moderation: fields,
  n: count(1, 128),
  prediction: fields,
  presence_penalty: range(-2, 2),
  prompt_cache_key: text,
  prompt_cache_retention: choice("in_memory", "24h"),
  reasoning_effort: choice("none", "minimal", "low", "medium", "high", "xhigh"),
  safety_identifier: text,
  seed: count(-Infinity),
  service_tier: choice("auto", "default", "flex", "scale", "priority", "fast"),
  stop: checkStop,
  store: expectBoolean,
  stream: expectBoolean,
  stream_options: anything, // with `stream`, below
  temperature: range(0, 2),
  top_logprobs: count(0, 20),
  top_p: range(0, 1),
  user: text,
  verbosity: choice("low", "medium", "high"),
  web_search_options: fields,
};

/** Parameters that must hold something where they stand; the big ones are checked together, below. */
const plain: Record<string, Check> = {
  model: anything,
  messages: anything,
  tools: anything,
  tool_choice: anything,
  parallel_tool_calls: anything,
  response_format: anything,
  prompt_cache_options: fields,
  function_call: anything,
  functions: (value, path) => expectArray(value, path),
};

const known = [...Object.keys(nullable), ...Object.keys(plain)];

/** Why OpenAI would answer this body with 400, or nothing where it would go ahead. */
export function refusalOf(body: unknown): Refusal | undefined {
  return refusalFrom(() => check(body));
}

function check(value: unknown): void {
  const body = expectFields(value, "body");
  checkUnicode(body);
  checkModel(body.model);
  expectKeys(body, known, "");
  for (const [key, given] of Object.entries(body)) {
    if (given === undefined) continue;
    if (given !== null) (nullable[key] ?? plain[key] ?? anything)(given, key);
  }
  if (body.messages === undefined)
    refuse("Missing required parameter: 'messages'.", "messages", "missing_required_parameter");
  checkMessages(body.messages);
  const { tools, tool_choice: toolChoice, parallel_tool_calls: parallel, response_format: format } = body;
  const names = tools === undefined ? undefined : checkTools(tools);
  if (toolChoice !== undefined) checkToolChoice(toolChoice, names);
  if (parallel !== undefined) checkParallel(parallel, names);
  if (format !== undefined) checkResponseFormat(format, body.messages);
  checkStreamOptions(body);
  checkLimits(body);
}

function checkModel(model: unknown): void {
  if (model === undefined || model === null || model === "") refuse("you must provide a model parameter");
  expectString(model, "model");
}

/** A string cut through an emoji leaves half a surrogate pair, which OpenAI's JSON reader refuses. */
function checkUnicode(body: Fields): void {
  JSON.stringify(body, (_key, value: unknown) => {
    if (typeof value === "string" && /\p{Surrogate}/u.test(value)) {
      refuse(
        "Invalid body: failed to parse JSON value. Please check the value to ensure it is valid JSON. (A string holds a lone surrogate.)",
        null,
        "invalid_json",
      );
    }
    return value;
  });
}

function checkStreamOptions(body: Fields): void {
  const options = body.stream_options ?? undefined;
  if (options === undefined) return;
  if (body.stream !== true)
    refuse("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options");
  const given = expectFields(options, "stream_options");
  expectKeys(given, ["include_usage", "include_obfuscation"], "stream_options");
  for (const [key, value] of Object.entries(given))
    if (value !== undefined) expectBoolean(value, `stream_options.${key}`);
}

/** What reasoning models do not take; the other models take all of it. */
function checkLimits(body: Fields): void {
  const [short, long] = [body.max_tokens ?? undefined, body.max_completion_tokens ?? undefined];
  if (short !== undefined && long !== undefined)
    refuse(
      "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
      "max_tokens",
    );
  if (!/^(o1|o3|o4|gpt-5)(-mini|-nano)?(-\d{4}.*)?$/.test(String(body.model))) return;
  if (short !== undefined) {
    refuse(
      "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
      "max_tokens",
      "unsupported_parameter",
    );
  }
  for (const [key, only] of [
    ["temperature", 1],
    ["top_p", 1],
    ["presence_penalty", 0],
    ["frequency_penalty", 0],
  ] as const) {
    const value = body[key] ?? only;
    if (value !== only) {
      refuse(
        `Unsupported value: '${key}' does not support ${value} with this model. Only the default (${only}) value is supported.`,
        key,
        "unsupported_value",
      );
    }
  }
}

function checkStop(value: unknown, path: string): void {
  if (typeof value === "string") return;
  const stops = expectArray(value, path, "strings");
  for (const [index, stop] of stops.entries()) expectString(stop, `${path}[${index}]`);
  if (stops.length > 4)
    refuse(
      `Invalid '${path}': array too long. Expected an array with maximum length 4, but got an array with length ${stops.length} instead.`,
      path,
      "array_above_max_length",
    );
}

function checkMetadata(value: unknown, path: string): void {
  for (const [key, entry] of Object.entries(expectFields(value, path))) {
    expectLength(key, `${path} key`, 64);
    expectLength(entry, `${path}.${key}`, 512, 0);
  }
}
