/** The model behind `openai(…)`: Chat Completions of OpenAI and of every server that speaks the same. */
import type { ClientOptions, OpenAI } from "openai";
import { ModelError, UsageError } from "../errors.ts";
import { isPlainObject, kindOf, parseJson, shown } from "../json.ts";
import { batchedStream, type Model, type ModelEvent, type ModelRequest } from "../model.ts";
import { ChunkReader } from "./openai-chunks.ts";
import { streamError, translateError } from "./openai-errors.ts";
import { type Abilities, type RequestSettings, requestBody } from "./openai-request.ts";
import { type RetryOptions, withRetry } from "./retry.ts";
import { endMark, sseData } from "./sse.ts";

/** How a model is reached and asked. What is left out is left to the server. */
export interface OpenAIOptions extends Omit<RequestSettings, "model"> {
  /** Default: `OPENAI_API_KEY`; a server at another base URL may need none. */
  readonly apiKey?: string;
  /** Default: `OPENAI_BASE_URL`, else OpenAI's. */
  readonly baseURL?: string;
  /** Retries after the first failure; default 2. `{ maxRetries, baseDelayMs, maxDelayMs }` says more. */
  readonly maxRetries?: number | RetryOptions;
  /** `prompt` puts the schema into an instruction at once, for servers that ignore `response_format`. */
  readonly structuredOutput?: "json_schema" | "prompt";
  /** A client of one's own (Azure, a proxy, other headers). */
  readonly client?: OpenAI;
}

/**
 * A model of OpenAI, or of a compatible server (Ollama, vLLM, llama.cpp, DeepSeek, OpenRouter). Always streams.
 * The client is made at the first request, so the environment may be set until then.
 *
 * @throws UsageError `invalid_option` where `name` is no string
 * @example
 * const model = openai("gpt-5-mini");
 * const local = openai("qwen3", { baseURL: "http://127.0.0.1:11434/v1" });
 */
export function openai(name: string, options: OpenAIOptions = {}): Model {
  if (typeof name !== "string" || name === "") {
    throw new UsageError(
      "invalid_option",
      `openai takes a model's name, such as "gpt-5-mini", not ${kindOf(name)}.`,
    );
  }
  checkOptions(options);
  const { apiKey, baseURL, maxRetries = 2, structuredOutput, client, ...settings } = options;
  const model = new ChatCompletionsModel(
    { ...settings, model: name },
    { usage: true, jsonSchema: structuredOutput !== "prompt" },
    () => client ?? makeClient(apiKey, baseURL),
  );
  return withRetry(model, typeof maxRetries === "number" ? { maxRetries } : maxRetries);
}

const optionKeys = [
  ...["apiKey", "baseURL", "maxRetries", "structuredOutput", "client", "temperature", "maxOutputTokens"],
  ...["reasoningEffort", "parallelToolCalls", "extraBody"],
];

function checkOptions(options: OpenAIOptions): void {
  const fail = (what: string): never => {
    throw new UsageError("invalid_option", `openai(name, { … }): ${what}`);
  };
  if (!isPlainObject(options)) throw fail(`takes an object, not ${kindOf(options)}.`);
  const unknown = Object.keys(options).filter((key) => !optionKeys.includes(key));
  if (unknown.length > 0) fail(`does not know ${unknown.join(", ")}. It knows ${optionKeys.join(", ")}.`);
  for (const key of ["temperature", "maxOutputTokens"] as const) {
    const value: unknown = options[key];
    if (value !== undefined && !Number.isFinite(value))
      fail(`"${key}" must be a number, not ${shown(value)}.`);
  }
  for (const key of ["apiKey", "baseURL"] as const) {
    const value: unknown = options[key];
    if (value !== undefined && typeof value !== "string")
      fail(`"${key}" must be a string, not ${kindOf(value)}.`);
  }
}

async function makeClient(apiKey: string | undefined, baseURL: string | undefined): Promise<OpenAI> {
  const { OpenAI } = await import("openai");
  const key = apiKey ?? process.env.OPENAI_API_KEY;
  const url = baseURL ?? process.env.OPENAI_BASE_URL;
  if (!key && !url) {
    throw new ModelError(
      "authentication",
      "No API key is set. Set OPENAI_API_KEY, or apiKey in openai(…); for a local server set OPENAI_BASE_URL " +
        "or baseURL.",
    );
  }
  // The SDK insists on a key; a server of one's own takes any.
  if (url && !URL.canParse(url)) {
    const where = baseURL === undefined ? "OPENAI_BASE_URL" : "baseURL in openai(…)";
    throw new UsageError(
      "invalid_option",
      `${where} is no URL: ${url}. Write for example http://127.0.0.1:11434/v1.`,
    );
  }
  const settings: ClientOptions = { apiKey: key || "none", maxRetries: 0 };
  return new OpenAI(url ? { ...settings, baseURL: url } : settings);
}

class ChatCompletionsModel implements Model {
  readonly name: string;
  readonly #settings: RequestSettings;
  readonly #makeClient: () => OpenAI | Promise<OpenAI>;
  #abilities: Abilities;
  #client: OpenAI | undefined;

  constructor(settings: RequestSettings, abilities: Abilities, client: () => OpenAI | Promise<OpenAI>) {
    this.name = settings.model;
    this.#settings = settings;
    this.#abilities = abilities;
    this.#makeClient = client;
  }

  stream(request: ModelRequest): AsyncIterable<ModelEvent> {
    return batchedStream(() => this.#answer(request));
  }

  async *#answer(request: ModelRequest): AsyncGenerator<readonly ModelEvent[], void> {
    const chunks = new ChunkReader(this.name);
    try {
      for await (const batch of batches(await this.#request(request), this.name)) {
        const events = chunks.read(batch);
        if (events.length > 0) yield events;
        if (chunks.failure !== undefined) throw chunks.failure;
        if (chunks.isDone) return;
      }
      yield chunks.end();
    } catch (error) {
      throw request.abortSignal.aborted ? error : await translateError(error, this.name, chunks);
    }
  }

  /**
   * Sends the request, and once more without what the server refuses. What it does not know at all is left out of
   * later requests too; a schema that it does not like is sent as an instruction in this request only.
   */
  async #request(request: ModelRequest): Promise<Response> {
    this.#client ??= await this.#makeClient();
    for (let abilities = this.#abilities; ; ) {
      try {
        return await this.#client.chat.completions
          .create(requestBody(request, this.#settings, abilities), {
            signal: request.abortSignal,
            maxRetries: 0,
          })
          .asResponse();
      } catch (error) {
        const fewer = withoutRefused(error, abilities, request);
        if (fewer === undefined) throw error;
        abilities = fewer;
        if (isUnknown.test(String(error))) this.#abilities = fewer;
      }
    }
  }
}

const isUnknown =
  /unknown|unrecogni[sz]ed|unsupported|not support|not permitted|extra|unexpected|additional/i;

/** The abilities less the one that a 400 speaks of; nothing where it speaks of none that was used. */
function withoutRefused(
  error: unknown,
  abilities: Abilities,
  { output, abortSignal }: ModelRequest,
): Abilities | undefined {
  if (abortSignal.aborted || !isRefusal(error)) return undefined;
  const said = `${error.message} ${"param" in error ? String(error.param) : ""}`;
  if (abilities.usage && /stream_options|include_usage/.test(said)) return { ...abilities, usage: false };
  const isFormat = /response_format|json_schema|structured output|guided/i.test(said);
  if (abilities.jsonSchema && output !== undefined && isFormat) return { ...abilities, jsonSchema: false };
  return undefined;
}

function isRefusal(error: unknown): error is Error {
  return error instanceof Error && "status" in error && (error.status === 400 || error.status === 422);
}

/** The data of the response, as it comes; a server that does not stream answers with one JSON body. */
function batches(response: Response, modelName: string): AsyncGenerator<string[], void> {
  if (response.headers.get("content-type")?.includes("text/html") === true) {
    const hint = "Check the base URL (OPENAI_BASE_URL, or baseURL in openai(…)): it often ends with /v1.";
    throw new ModelError("not_found", `${modelName}: the server answered with a web page. ${hint}`);
  }
  const isWhole = response.headers.get("content-type")?.includes("application/json") === true;
  return isWhole || response.body === null ? whole(response, modelName) : sseData(response.body);
}

async function* whole(response: Response, modelName: string): AsyncGenerator<string[], void> {
  const body = await response.text();
  if (!isPlainObject(parseJson(body))) throw streamError(body, modelName, "");
  yield [body, endMark];
}
