/** One connection that hears of changes for a whole process, made again whenever it breaks. */
import type { Client } from "pg";

/** Rung with the run that changed, or with none where any may have. `isStop`: a stop may have been asked for. */
export type Bell = (runId: string | undefined, isStop: boolean) => void;

/** How often everybody looks while nothing can be heard. */
const floorMs = 1000;
const probeMs = 3000;
const firstPauseMs = 20;
const closeMs = 500;

/** The longest payload of a notification is 7,999 bytes. */
const payloadBytes = 7900;

/** What to tell of a change: the kind, and the id where it fits. */
export function noteOf(kind: "change" | "stop", runId: string): string {
  const sign = kind === "stop" ? "!" : "~";
  return Buffer.byteLength(runId) > payloadBytes ? sign : sign + runId;
}

export class Listener {
  readonly #connect: (() => Client) | undefined;
  readonly #channel: string;
  readonly #bells = new Set<Bell>();
  #loop: Promise<void> | undefined;
  #floor: NodeJS.Timeout | undefined;
  #isListening = false;
  #hasEnded = false;
  #leave = () => {};
  readonly #settled: Promise<void>;
  #settle = () => {};

  /** Without `connect` it only rings once a second. */
  constructor(connect: (() => Client) | undefined, channel: string) {
    this.#connect = connect;
    this.#channel = channel;
    this.#settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** Begins to listen, and goes on until `end`. All bells are rung whenever it begins to hear. */
  subscribe(bell: Bell): () => void {
    // A bell of its own for each subscription, so that one function may subscribe twice.
    const own: Bell = (runId, isStop) => bell(runId, isStop);
    this.#bells.add(own);
    this.#start();
    return () => {
      this.#bells.delete(own);
    };
  }

  /** Begins to listen; resolves when the first attempt has come off, or has failed. */
  settled(): Promise<void> {
    this.#start();
    return this.#settled;
  }

  async end(): Promise<void> {
    this.#hasEnded = true;
    clearInterval(this.#floor);
    this.#bells.clear();
    this.#leave();
    this.#settle();
    await this.#loop;
  }

  #start(): void {
    if (this.#floor !== undefined || this.#hasEnded) return;
    this.#floor = setInterval(() => {
      if (!this.#isListening) this.#ring(undefined, true);
    }, floorMs).unref();
    if (this.#connect === undefined) this.#settle();
    else this.#loop = this.#listen(this.#connect);
  }

  async #listen(connect: () => Client): Promise<void> {
    let pauseMs = firstPauseMs;
    while (!this.#hasEnded) {
      const client = connect();
      const lost = new Promise<void>((resolve) => {
        this.#leave = resolve;
        client.on("error", () => resolve());
        client.on("end", resolve);
      });
      const probe = setInterval(() => this.#probe(client), probeMs).unref();
      try {
        await this.#hear(client);
        pauseMs = firstPauseMs;
        await lost;
      } catch {
        // Who looks by itself, once a second from now on, meets the same fault and reports it.
        this.#settle();
      }
      clearInterval(probe);
      this.#isListening = false;
      await close(client);
      if (this.#hasEnded) return;
      this.#ring(undefined, true);
      await this.#pause(pauseMs);
      pauseMs = Math.min(pauseMs * 2, floorMs);
    }
  }

  async #hear(client: Client): Promise<void> {
    client.on("notification", ({ payload = "" }) => {
      const runId = payload.length > 1 ? payload.slice(1) : undefined;
      this.#ring(runId, payload.startsWith("!"));
    });
    await client.connect();
    await client.query(`listen "${this.#channel}"`);
    holdOpen(client, false);
    this.#isListening = true;
    this.#settle();
    this.#ring(undefined, true);
  }

  /** A connection that broke without a word is found by asking. */
  #probe(client: Client): void {
    if (!this.#isListening) return;
    client.query("select 1").catch(() => this.#leave());
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#leave = resolve;
      setTimeout(resolve, ms).unref();
    });
  }

  #ring(runId: string | undefined, isStop: boolean): void {
    for (const bell of [...this.#bells]) bell(runId, isStop);
  }
}

/** Ends a connection, also one that is broken or hangs. */
function close(client: Client): Promise<void> {
  holdOpen(client, true);
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      client.connection.stream.destroy();
      resolve();
    }, closeMs);
    client.end(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Whether the connection keeps the process alive: not while it waits for news, but while it is ended. */
function holdOpen(client: Client, isHeld: boolean): void {
  const { stream } = client.connection;
  const name = isHeld ? "ref" : "unref";
  const method = name in stream ? Reflect.get(stream, name) : undefined;
  if (typeof method === "function") method.call(stream);
}
