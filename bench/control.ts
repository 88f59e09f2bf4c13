/** Asks the local server what it saw, beside the connections that are measured. */
import { get } from "node:http";

interface Seen {
  /** Requests so far. */
  readonly requests: number;
  /** Sockets that clients closed before their answer was complete. */
  readonly closes: number;
  /** When the close that was asked for was seen, on the machine's clock in ms; `null` where it was not. */
  readonly at: number | null;
}

export function seen(baseURL: string): Promise<Seen> {
  return ask(baseURL, "counts");
}

/** Waits for the n-th early close, for 3 s at most. */
export function seenClose(baseURL: string, number: number): Promise<Seen> {
  return ask(baseURL, `close/${number}`);
}

function ask(baseURL: string, what: string): Promise<Seen> {
  const url = `${new URL(baseURL).origin}/control/${what}`;
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false }, async (response) => {
      let text = "";
      for await (const part of response) text += String(part);
      resolve(JSON.parse(text) as Seen);
    });
    request.on("error", reject);
  });
}
