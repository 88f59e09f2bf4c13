/** Reads the events that a server sends: of a run of one's own to its end, of a watched one over broken connections. */
import { createParser } from "eventsource-parser";
import type { RunEvent, StoredEvent } from "../events.ts";
import { parseJson } from "../json.ts";
import type { GapEvent } from "../run-handle.ts";
import { revivedEvent } from "../stored-outcome.ts";
import { Patience } from "./client-patience.ts";
import { type Body, connectionError, type Transport } from "./client-transport.ts";

interface ReadOptions {
  readonly abortSignal: AbortSignal | undefined;
  readonly silenceMs: number;
}

type SentEvent = StoredEvent | GapEvent;

/** Starts a run and gives its events. Leaving closes the connection, which stops the run. */
export async function* streamedEvents<T>(
  transport: Transport,
  body: Body,
  { abortSignal, silenceMs }: ReadOptions,
): AsyncGenerator<RunEvent<T>, void> {
  const response = await transport.send("", { body, abortSignal });
  for await (const batch of batches(response, { abortSignal, silenceMs })) {
    for (const event of batch) {
      yield event as RunEvent<T>;
      if (isTerminal(event)) return;
    }
  }
  throw connectionError("The events broke off", "the stream has ended before its run");
}

/** Every event of a stored run behind `after`, once, until its end: from as many connections as it takes. */
export async function* watchedEvents(
  transport: Transport,
  path: string,
  { after, abortSignal, silenceMs }: ReadOptions & { after: number },
): AsyncGenerator<SentEvent, void> {
  const patience = new Patience();
  let seq = after;
  for (;;) {
    const reading = connection(transport, path, { seq, abortSignal, silenceMs });
    try {
      for (;;) {
        const batch = await next(reading, patience, abortSignal);
        if (batch === "ended") return;
        if (batch === "broken") break;
        for (const event of batch) {
          if (event.seq <= seq) continue;
          seq = event.seq;
          yield event;
          if (isTerminal(event)) return;
        }
      }
    } finally {
      await reading.return("ended");
    }
  }
}

type Ending = "ended" | "broken";
/** The next batch, or why there is none; after a connection that broke, when it is time for another one. */
async function next(
  reading: AsyncGenerator<readonly SentEvent[], Ending>,
  patience: Patience,
  abortSignal: AbortSignal | undefined,
): Promise<readonly SentEvent[] | Ending> {
  try {
    const result = await reading.next();
    if (result.done !== true) {
      patience.restore();
      return result.value;
    }
    if (result.value === "ended") return "ended";
    throw connectionError("The events broke off", "the stream has ended before its run");
  } catch (error) {
    await patience.after(error, { abortSignal });
    return "broken";
  }
}

/** The events of one connection. The server answers without any where the run has ended and all is known. */
async function* connection(
  transport: Transport,
  path: string,
  { seq, abortSignal, silenceMs }: ReadOptions & { seq: number },
): AsyncGenerator<readonly SentEvent[], Ending> {
  const headers = { accept: "text/event-stream", "last-event-id": String(seq) };
  const response = await transport.send(path, { abortSignal, headers });
  if (response.status === 204) return "ended";
  yield* batches(response, { abortSignal, silenceMs });
  return "broken";
}

/** What each piece of the body completes. Leaving cancels the body, which closes the connection. */
async function* batches(
  { body }: Response,
  { abortSignal, silenceMs }: ReadOptions,
): AsyncGenerator<readonly SentEvent[], void> {
  if (body === null) return;
  let batch: SentEvent[] = [];
  const parser = createParser({ onEvent: ({ data }) => batch.push(revived(data)) });
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let isOver = false;
  try {
    for (;;) {
      const { done, value } = await withinSilence(reader.read(), silenceMs);
      if (done) return;
      parser.feed(decoder.decode(value, { stream: true }));
      if (batch.length === 0) continue;
      const ready = batch;
      batch = [];
      isOver = ready.some(isTerminal);
      yield ready;
    }
  } catch (error) {
    abortSignal?.throwIfAborted();
    throw connectionError("The events broke off", error);
  } finally {
    void leave(reader, isOver);
  }
}

/** A body that has nothing more to say is read to its end, so that its connection can be used again; others are cut. */
async function leave(reader: ReadableStreamDefaultReader<Uint8Array>, isOver: boolean): Promise<void> {
  try {
    if (isOver) await withinSilence(finish(reader), 100);
  } catch {
    // It goes on, or has failed: it is cut as well.
  }
  reader.cancel().catch(() => {}); // a body that has failed rejects once more, which says nothing new
}

async function finish(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  for (;;) if ((await reader.read()).done) return;
}

async function withinSilence<T>(reading: Promise<T>, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing has come for ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([reading, silence]);
  } finally {
    clearTimeout(timer);
  }
}

function revived(data: string): SentEvent {
  const event = parseJson(data) as SentEvent | undefined;
  if (event === undefined) throw new Error(`an event is no JSON: ${data.slice(0, 100)}`);
  return event.type === "gap" ? event : revivedEvent(event);
}

function isTerminal({ type }: SentEvent): boolean {
  return type === "run-completed" || type === "run-cancelled" || type === "run-error";
}
