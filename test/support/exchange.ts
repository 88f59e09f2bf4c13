// Holds one request and its answer: every write and every wait ends the moment the client is gone.

import type { ServerResponse } from "node:http";
import type { ChatCompletionCreateParams } from "openai/resources/chat/completions";

export type ChatRequest = ChatCompletionCreateParams;

export interface Closing {
  /** `performance.now()` of the moment when the response was over, or its socket closed. */
  readonly at: number;
  /** The client went away before the answer was whole. */
  readonly early: boolean;
}

/** What ends a script whose client has left; the server swallows it. */
export class ClientGone extends Error {
  override name = "ClientGone";
}

export class Exchange {
  readonly request: ChatRequest;
  readonly response: ServerResponse;
  readonly closed: Promise<Closing>;
  /** Aborts when the response is over, whoever ended it. */
  readonly gone: AbortSignal;
  /** Many small writes become one; flushed before every wait and at the end. */
  coalesce: boolean;
  #whole = false;
  #held = "";

  constructor(request: ChatRequest, response: ServerResponse, coalesce: boolean) {
    this.request = request;
    this.response = response;
    this.coalesce = coalesce;
    const gone = new AbortController();
    this.gone = gone.signal;
    this.closed = new Promise((resolve) => {
      const close = () => {
        resolve({ at: performance.now(), early: !this.#whole });
        gone.abort(new ClientGone());
      };
      if (response.destroyed) close();
      else response.once("close", close);
    });
  }

  /** From here on it is no longer early to leave. */
  complete(): void {
    this.#whole = true;
  }

  async write(text: string): Promise<void> {
    this.#held += text;
    if (!this.coalesce || this.#held.length > 65_536) await this.flush();
  }

  async flush(): Promise<void> {
    const text = this.#held;
    this.#held = "";
    if (text !== "") await this.#sent((done) => this.response.write(text, done));
  }

  async end(text = ""): Promise<void> {
    this.complete();
    const last = this.#held + text;
    this.#held = "";
    if (!this.response.writableEnded) await this.#sent((done) => this.response.end(last, done));
  }

  /** The server itself cuts the connection. */
  drop(): void {
    this.complete();
    this.response.destroy();
  }

  async wait<T>(work: Promise<T>): Promise<T> {
    await this.flush();
    return this.#orGone(work);
  }

  async pause(ms: number): Promise<void> {
    await this.flush();
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    await this.#orGone(over).finally(() => clearTimeout(timer));
  }

  async #sent(send: (done: () => void) => void): Promise<void> {
    this.gone.throwIfAborted();
    await this.#orGone(new Promise<void>((resolve) => send(resolve)));
  }

  async #orGone<T>(work: Promise<T>): Promise<T> {
    this.gone.throwIfAborted();
    let leave = () => {};
    const left = new Promise<never>((_resolve, reject) => {
      leave = () => reject(this.gone.reason);
      this.gone.addEventListener("abort", leave, { once: true });
    });
    return Promise.race([work, left]).finally(() => this.gone.removeEventListener("abort", leave));
  }
}
