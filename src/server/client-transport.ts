/** Sends the client's requests, and makes errors of what comes back as a problem. */
import { UsageError } from "../errors.ts";
import { isPlainObject, type Json, parseJson, textOf } from "../json.ts";

/**
 * The server refused, or could not be reached: then `status` is 0 and `code` `"connection"`. Otherwise `code` is the
 * server's, as `"unknown_run"`, or `"http_502"` where something between here and there has answered.
 */
export class RequestError extends Error {
  override readonly name = "RequestError";
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.code = code;
  }

  /** Whether the same request may succeed a little later. */
  get isTransient(): boolean {
    return this.status === 0 || [408, 429, 502, 503, 504].includes(this.status);
  }
}

export interface TransportOptions {
  /** The address of the server's runs: `"https://api.example.com/runs"`; in a browser `"/runs"` will do. */
  readonly url: string | URL;
  /** The bearer token, or what gives it for each request. */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /** Sends the requests; default the global one. */
  readonly fetch?: typeof globalThis.fetch;
}

export type Body = { readonly [key: string]: Json | undefined };

export interface RequestOptions {
  /** Makes it a POST. */
  readonly body?: Body;
  readonly abortSignal?: AbortSignal | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

export class Transport {
  readonly #url: string;
  readonly #token: TransportOptions["token"];
  readonly #fetch: typeof globalThis.fetch;

  constructor({ url, token, fetch }: TransportOptions) {
    if ((typeof url !== "string" && !(url instanceof URL)) || String(url) === "") {
      throw new UsageError(
        "invalid_option",
        'createClient({ url }) takes the address of the runs: "https://api.example.com/runs".',
      );
    }
    this.#url = String(url).replace(/\/+$/, "");
    this.#token = token;
    // Browsers want their fetch to be called as the global's own.
    this.#fetch = fetch ?? ((...given) => globalThis.fetch(...given));
  }

  /** @throws RequestError; the reason of `abortSignal` */
  async json<T>(path: string, options: RequestOptions = {}): Promise<T> {
    const response = await this.send(path, options);
    const value = parseJson(await textIn(response, options.abortSignal));
    if (value === undefined) throw strange(response.status, "The answer is no JSON.");
    return value as T;
  }

  /**
   * The response, once its head has come, if it is none of a problem.
   *
   * @throws RequestError; the reason of `abortSignal`
   */
  async send(path: string, { body, abortSignal, headers }: RequestOptions): Promise<Response> {
    const token = typeof this.#token === "function" ? await this.#token() : this.#token;
    const init: RequestInit = {
      method: body === undefined ? "GET" : "POST",
      headers: {
        ...headers,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(abortSignal === undefined ? {} : { signal: abortSignal }),
    };
    let response: Response;
    try {
      response = await this.#fetch(this.#url + path, init);
    } catch (error) {
      abortSignal?.throwIfAborted();
      throw connectionError(`The server at ${this.#url} could not be reached`, error);
    }
    if (response.ok) return response;
    throw problemIn(response.status, await textIn(response, abortSignal));
  }
}

export function connectionError(what: string, cause: unknown): RequestError {
  const inner = cause instanceof Error && cause.cause !== undefined ? `: ${textOf(cause.cause)}` : "";
  return new RequestError(0, "connection", `${what}: ${textOf(cause)}${inner}`, { cause });
}

async function textIn(response: Response, abortSignal: AbortSignal | undefined): Promise<string> {
  try {
    return await response.text();
  } catch (error) {
    abortSignal?.throwIfAborted();
    throw connectionError("The answer broke off", error);
  }
}

function problemIn(status: number, text: string): RequestError {
  const problem = parseJson(text);
  if (!isPlainObject(problem)) return strange(status, text.slice(0, 200));
  const { code, detail } = problem;
  if (typeof code !== "string" || typeof detail !== "string") return strange(status, text.slice(0, 200));
  return new RequestError(status, code, detail);
}

function strange(status: number, text: string): RequestError {
  return new RequestError(
    status,
    `http_${status}`,
    `The answer (${status}) is none of a run server: does createClient({ url }) name the place of its runs? It said: ${text}`,
  );
}
