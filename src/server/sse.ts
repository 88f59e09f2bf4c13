/** Events as a server-sent event stream: written when the reader asks for them, kept alive while nothing happens. */
import type { RunEvent } from "../events.ts";
import { errorToJson, jsonText, textOf } from "../json.ts";
import type { GapEvent } from "../run-handle.ts";
import { runtime } from "../runtime.ts";
import type { StoredEvent } from "../store.ts";

/** What is sent: of a run at work here, or of a stored one. */
export type SentEvent = RunEvent | StoredEvent | GapEvent;

interface StreamOptions {
  readonly heartbeatMs: number;
  /** Called once, where the reader leaves before the end. */
  readonly leave: () => void;
  /** The request's: aborted when its sender is gone. */
  readonly signal: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
}

const encoder = new TextEncoder();
/** How long a browser's `EventSource` waits before it connects again, in ms. */
const opening = encoder.encode("retry: 1000\n\n");
const heartbeat = encoder.encode(":\n\n");

/**
 * The answer that sends these events. One event is fetched ahead, and no more before the reader takes it: a slow reader
 * costs no memory here.
 */
export function eventResponse(events: AsyncIterator<SentEvent>, options: StreamOptions): Response {
  const { heartbeatMs, leave, signal, headers } = options;
  let pending: Promise<IteratorResult<SentEvent>> | undefined;
  let isOver = false;
  let controlled: ReadableStreamDefaultController<Uint8Array> | undefined;
  const next = () => {
    pending ??= events.next();
    pending.catch(() => {}); // it is looked at when the reader asks, if it ever does
    return pending;
  };
  const end = () => {
    isOver = true;
    signal.removeEventListener("abort", abort);
  };
  const abandon = () => {
    if (isOver) return;
    end();
    leave();
  };
  const abort = () => {
    if (isOver) return;
    abandon();
    // Whoever still reads, though the client is gone, is not left waiting.
    controlled?.close();
  };
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        controlled = controller;
        controller.enqueue(opening);
      },
      async pull(controller) {
        try {
          const result = await within(heartbeatMs, next());
          if (isOver) return;
          if (result === undefined) return controller.enqueue(heartbeat);
          pending = undefined;
          if (result.done !== true) return controller.enqueue(encoder.encode(textFor(result.value)));
          end();
          controller.close();
        } catch (error) {
          if (isOver) return;
          end();
          leave();
          runtime.report("A stream of events broke off", error);
          // The connection is cut: the reader must not take this for the end.
          controller.error(new Error("The stream of events broke off."));
        }
      },
      cancel: abandon,
    },
    { highWaterMark: 0 },
  );
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  next();
  return new Response(body, {
    headers: {
      ...headers,
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache, no-transform",
      // Else nginx would collect the events before it passes them on.
      "x-accel-buffering": "no",
    },
  });
}

/** The event's number is its id, by which a reader goes on after it. */
function textFor(event: SentEvent): string {
  return `id: ${event.seq}\ndata: ${eventText(event)}\n\n`;
}

/** Tools may be given and give what JSON has not: that is sent as text. */
export function eventText(event: SentEvent): string {
  const { error, ...rest } = { error: undefined, ...event };
  const plain = event.type === "run-error" ? { ...rest, error: errorToJson(error) } : event;
  const text = jsonText(plain);
  if (text !== undefined) return text;
  const entries = Object.entries(plain).map(([key, value]) => [
    key,
    value === undefined || jsonText(value) !== undefined ? value : textOf(value),
  ]);
  return JSON.stringify(Object.fromEntries(entries));
}

/** What the promise gives, or nothing where it takes longer. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
    timer.unref();
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
