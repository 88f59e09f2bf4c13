/** One connection to Redis that comes back by itself, fails at once while it is down and holds no process open. */
import type { Redis, RedisOptions } from "ioredis";
import { asError } from "../errors.ts";

/** How long a connection, or a command, may take, in ms. */
const answerMs = 500;
const firstRetryMs = 50;
const longestRetryMs = 1000;

/** For our own connections: how often and when to try again is decided here, not there. */
export const connectionOptions: RedisOptions = {
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  connectTimeout: answerMs - 100,
  disconnectTimeout: 100,
  keepAlive: 10_000,
  retryStrategy: () => null,
};

export interface ConnectionListener {
  /** The connection is there: for the first time, or again. */
  up(client: Redis): void;
  down(error: Error): void;
}

export class Connection {
  readonly #client: Redis;
  readonly #listener: ConnectionListener;
  #opening: Promise<Redis> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = firstRetryMs;
  #lastError: Error | undefined;
  #isClosed = false;

  constructor(client: Redis, listener: ConnectionListener) {
    this.#client = client;
    this.#listener = listener;
    // A socket without work holds no process open; while a command is out, its time limit does.
    client.on("connect", () => client.stream.unref());
    client.on("error", (error) => {
      this.#lastError = error;
    });
    client.on("end", () => this.#ended());
  }

  /**
   * The client, ready for commands. Between two attempts it fails at once.
   *
   * @throws Error with the cause for which the server cannot be reached
   */
  async ready(): Promise<Redis> {
    if (this.#client.status === "ready") return this.#client;
    if (this.#retry !== undefined) throw this.#fault();
    return this.open();
  }

  open(): Promise<Redis> {
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    this.#client.disconnect();
  }

  async #open(): Promise<Redis> {
    this.#endRetry();
    try {
      await this.#client.connect();
    } catch (error) {
      this.#lastError ??= asError(error);
      throw this.#lastError;
    }
    this.#retryMs = firstRetryMs;
    this.#lastError = undefined;
    this.#listener.up(this.#client);
    return this.#client;
  }

  #ended(): void {
    if (this.#isClosed) return;
    this.#listener.down(this.#fault());
    this.#endRetry();
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      // A failure ends in "end" again, which plans the next attempt.
      this.open().catch(() => {});
    }, this.#retryMs).unref();
    this.#retryMs = Math.min(2 * this.#retryMs, longestRetryMs);
  }

  #endRetry(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
  }

  #fault(): Error {
    return this.#lastError ?? new Error("the connection was closed");
  }
}

/** The answer, or an error where it does not come in time. Holds the process open until then. */
export function inTime<T>(answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new Error(`no answer within ${answerMs} ms`));
    const timer = setTimeout(late, answerMs);
    answer.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
