/** The `data:` fields of a server-sent event stream, as they arrive, from the body of a fetch response. */
import { StringDecoder } from "node:string_decoder";
import { createParser } from "eventsource-parser";

/** What marks the end of a stream. */
export const endMark = "[DONE]";

/**
 * Every chunk of the network gives the data of the events that it completes, in one array. Leaving early
 * cancels the body, which closes the socket.
 */
export async function* sseData(body: ReadableStream<Uint8Array>): AsyncGenerator<string[], void> {
  let batch: string[] = [];
  const parser = createParser({ onEvent: ({ data }) => batch.push(data) });
  const decoder = new StringDecoder("utf8");
  const reader = body.getReader();
  let isDone = false;
  let isMarkedDone = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        isDone = true;
        // A last event without its blank line is told too: some servers end so.
        parser.feed(`${decoder.end()}\n\n`);
        if (batch.length > 0) yield batch;
        return;
      }
      parser.feed(decoder.write(Buffer.from(value.buffer, value.byteOffset, value.byteLength)));
      if (batch.length === 0) continue;
      const ready = batch;
      batch = [];
      isMarkedDone = ready.at(-1) === endMark;
      yield ready;
    }
  } finally {
    if (isMarkedDone && !isDone) await finishReading(reader);
    else if (!isDone) await reader.cancel();
  }
}

/**
 * Reads the end of a body that has nothing more to say, so that its connection can be used again; a server
 * that keeps it open is left after a moment. A body whose request was aborted rejects at once.
 */
async function finishReading(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  const timer = setTimeout(() => reader.cancel().catch(() => {}), 100);
  try {
    for (;;) if ((await reader.read()).done) return;
  } catch {
    // The request was aborted: its socket is closed already, which is what was wanted.
  } finally {
    clearTimeout(timer);
  }
}
