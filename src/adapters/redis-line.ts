/** The two connections of whoever uses Redis: one for commands, one that hears what is published. */
import type { Redis } from "ioredis";
import { asError, UsageError } from "../errors.ts";
import { Connection, connectionOptions, inTime } from "./redis-connection.ts";

export interface LineListener {
  /** Whose connections they are, as its errors say it; default `RedisCancellationManager`. */
  readonly owner?: string;
  heard(message: string): void;
  /** A connection is down; said at each failure. */
  down(error: Error): void;
  /** Commands can be sent again, perhaps to a server that has forgotten everything. */
  back(): void;
  /** The channel is heard from now on: what was published before was missed. */
  listening(): void;
}

interface Parts {
  readonly commands: Redis;
  /** Absent where the commands go through a client of the user's, who looks after it. */
  readonly connection: Connection | undefined;
  readonly subscriber: Connection;
  readonly channel: string;
  close(): void;
}

export class RedisLine {
  readonly #server: Redis | string;
  readonly #channel: string;
  readonly #listener: LineListener;
  #parts: Promise<Parts> | undefined;
  #isListening = false;
  #isClosed = false;
  /** What the outage began with: said by each call until it is over, so that it can be told from a new one. */
  #outage: Error | undefined;

  /** Connects when first used. */
  constructor(server: Redis | string, channel: string, listener: LineListener) {
    this.#server = server;
    this.#channel = channel;
    this.#listener = listener;
  }

  /** Sends a command. While the server is down it fails at once, and never later than after half a second. */
  async ask<T>(command: (client: Redis, channel: string) => Promise<T>): Promise<T> {
    const { commands, connection, channel } = await this.#open();
    const ready = connection === undefined ? Promise.resolve(commands) : connection.ready();
    let isReady = false;
    const answer = ready.then((client) => {
      isReady = true;
      return command(client, channel);
    });
    try {
      const value = await inTime(answer);
      this.#outage = undefined;
      return value;
    } catch (error) {
      if (this.#isClosed) throw this.#closed();
      // A server that is there and says no to a command is no outage.
      throw isReady && isReplyError(error) ? error : this.#failed(commands, error);
    }
  }

  /** Hears the channel from now on, also after each reconnection. */
  listen(): void {
    if (this.#isListening) return;
    this.#isListening = true;
    this.#open().then(
      // Its failure is told by the connection, which tries again.
      ({ subscriber }) => subscriber.open().catch(() => {}),
      (error) => this.#listener.down(asError(error)),
    );
  }

  /** Commands that were sent before are not waited for. */
  close(): void {
    this.#isClosed = true;
    this.#parts?.then(
      (parts) => parts.close(),
      // What could not be opened needs no closing; whoever opened it was told.
      () => {},
    );
  }

  #open(): Promise<Parts> {
    if (this.#isClosed) return Promise.reject(this.#closed());
    this.#parts ??= this.#connect();
    return this.#parts;
  }

  async #connect(): Promise<Parts> {
    const server = this.#server;
    const commands = typeof server === "string" ? await newClient(server, this.#owner) : server;
    const ears = commands.duplicate({ ...connectionOptions, keyPrefix: "" });
    const { keyPrefix = "", db = 0 } = commands.options;
    // Channels know neither databases nor key prefixes: managers that share no keys must share no channel.
    const channel = `${keyPrefix}${this.#channel}:${db}`;
    ears.on("message", (_channel, message) => this.#listener.heard(message));
    const subscriber = new Connection(ears, {
      up: () => void this.#subscribe(ears, channel),
      down: (error) => this.#listener.down(this.#failed(commands, error)),
    });
    if (typeof server === "string") return this.#ours(commands, subscriber, channel);
    const back = () => this.#listener.back();
    commands.on("ready", back);
    const close = () => {
      commands.off("ready", back);
      subscriber.close();
    };
    return { commands, connection: undefined, subscriber, channel, close };
  }

  #ours(commands: Redis, subscriber: Connection, channel: string): Parts {
    let hasFailed = false;
    const connection = new Connection(commands, {
      up: () => {
        if (hasFailed) this.#listener.back();
        hasFailed = false;
      },
      down: (error) => {
        hasFailed = true;
        this.#listener.down(this.#failed(commands, error));
      },
    });
    const close = () => {
      connection.close();
      subscriber.close();
    };
    return { commands, connection, subscriber, channel, close };
  }

  async #subscribe(ears: Redis, channel: string): Promise<void> {
    try {
      await ears.subscribe(channel);
      this.#listener.listening();
    } catch (error) {
      if (!this.#isClosed) this.#listener.down(this.#failed(ears, error));
    }
  }

  get #owner(): string {
    return this.#listener.owner ?? "RedisCancellationManager";
  }

  #closed(): Error {
    return new Error(`This ${this.#owner} was closed.`);
  }

  /** Says which server it is, without the password that a URL may hold. */
  #failed(client: Redis, cause: unknown): Error {
    const { host, port, path } = client.options;
    const where = path ?? `${host}:${port}`;
    this.#outage ??= new Error(`Redis at ${where} cannot be used: ${asError(cause).message}`, { cause });
    return this.#outage;
  }
}

async function newClient(url: string, owner: string): Promise<Redis> {
  try {
    const { Redis } = await import("ioredis");
    return new Redis(url, connectionOptions);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND")) throw error;
    throw new UsageError(
      "invalid_option",
      `${owner} needs the package ioredis: run \`npm install ioredis\`.`,
      { cause: error },
    );
  }
}

const isReplyError = (error: unknown): boolean => error instanceof Error && error.name === "ReplyError";
