/** The body of a `node:http` request as a stream that is read at the reader's pace, and can be left without harm. */
import type { IncomingMessage } from "node:http";
import { jsonText } from "../json.ts";

/** Nothing where the request has no body. */
export function bodyOf(
  incoming: IncomingMessage & { body?: unknown },
): ReadableStream<Uint8Array> | string | undefined {
  const { method, headers, body, httpVersionMajor } = incoming;
  if (method === "GET" || method === "HEAD") return undefined;
  // Somebody before us has read and parsed it.
  if (incoming.readableEnded || incoming.readableDidRead)
    return body === undefined ? undefined : jsonText(body);
  const isTold = headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
  // HTTP/2 need not say beforehand that there is a body.
  if (httpVersionMajor === 1 && !isTold) return undefined;
  return streamOf(incoming);
}

/** `Readable.toWeb` would, when it is cancelled, destroy the socket, and with it the answer that is still to be sent. */
function streamOf(incoming: IncomingMessage): ReadableStream<Uint8Array> {
  let isOver = false;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const end = (tell: () => void) => {
          if (isOver) return;
          isOver = true;
          tell();
        };
        incoming.on("data", (part: Buffer) => {
          if (isOver) return;
          incoming.pause();
          controller.enqueue(new Uint8Array(part));
        });
        incoming.once("end", () => end(() => controller.close()));
        incoming.once("error", (error) => end(() => controller.error(error)));
        incoming.once("close", () =>
          end(() => controller.error(new Error("The client left while it was sending."))),
        );
        incoming.pause();
      },
      pull() {
        incoming.resume();
      },
      /** The rest is thrown away, so that the client comes to the point where it reads the answer. */
      cancel() {
        isOver = true;
        incoming.resume();
      },
    },
    { highWaterMark: 0 },
  );
}
