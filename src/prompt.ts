/** Prompts: the template tag whose value stands for a method's answer, and the parts that go into it. */
import { UsageError } from "./errors.ts";
import { jsonText, kindOf, shown } from "./json.ts";
import type { ContentPart } from "./transcript.ts";

/** What a prompt tag really gives; users see `never`, so that the method's declared type stands. */
export class Prompt {
  readonly parts: readonly ContentPart[];

  constructor(parts: readonly ContentPart[]) {
    this.parts = parts;
  }

  /** Plain text where there is nothing else, else content parts. */
  get content(): string | readonly ContentPart[] {
    return this.parts.every((part) => part.type === "text") ? this.text : this.parts;
  }

  get text(): string {
    return this.parts.map((part) => (part.type === "text" ? part.text : "")).join("");
  }
}

/** A prompt that must be awaited first. */
export class DeferredPrompt {
  readonly make: () => unknown;

  constructor(make: () => unknown) {
    this.make = make;
  }
}

/**
 * The body of an LLM function or chat. As a template tag it takes text, numbers, JSON values (written as
 * JSON), content parts (`image(…)`) and other prompts; `null` and `undefined` are left out. Common
 * indentation and blank lines at both ends are removed. With a function it is a prompt that must be awaited;
 * a stop of the run ends that wait too.
 *
 * @throws UsageError `invalid_prompt` for a promise or a function among the values
 * @example
 * return prompt`You work for ${this.house}. Research the question: ${question}`;
 * return prompt(async () => prompt`Known facts: ${await this.facts.load()}`);
 */
export function prompt(strings: TemplateStringsArray, ...values: readonly unknown[]): never;
export function prompt(make: () => PromiseLike<unknown>): never;
export function prompt(
  first: TemplateStringsArray | (() => PromiseLike<unknown>),
  ...values: readonly unknown[]
): never {
  // The type is a promise to the compiler, not to the run: what is returned is read by the decorator.
  if (typeof first !== "function" && !Array.isArray(first)) {
    throw new UsageError(
      "invalid_prompt",
      `prompt is a template tag: prompt\`…\`, not prompt(${shown(first)}).`,
    );
  }
  return (typeof first === "function" ? new DeferredPrompt(first) : template(first, values)) as never;
}

function template(strings: TemplateStringsArray, values: readonly unknown[]): Prompt {
  const parts: ContentPart[] = [];
  const add = (text: string) => {
    const last = parts.at(-1);
    if (last?.type === "text") parts[parts.length - 1] = { type: "text", text: last.text + text };
    else if (text !== "") parts.push({ type: "text", text });
  };
  const texts = dedent(strings);
  for (const [index, text] of texts.entries()) {
    add(text);
    if (index >= values.length) continue;
    const value = values[index];
    const items = Array.isArray(value) && value.length > 0 && value.every(isPart) ? value : [value];
    for (const item of items) {
      if (item instanceof Prompt) for (const part of item.parts) addPart(part);
      else if (isPart(item)) addPart(item);
      else add(textOf(item));
    }
  }
  return new Prompt(parts);

  function addPart(part: ContentPart): void {
    if (part.type === "text") add(part.text);
    else parts.push(part);
  }
}

function textOf(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value;
  if (value instanceof Error) return value.message;
  const isPromise = typeof value === "object" && "then" in value && typeof value.then === "function";
  if (isPromise || value instanceof DeferredPrompt || typeof value === "function") {
    throw new UsageError(
      "invalid_prompt",
      `A prompt holds ${isPromise ? "a promise" : kindOf(value)}. Await it first: ` +
        `return prompt(async () => prompt\`… \${await value} …\`).`,
    );
  }
  if (typeof value === "object") return jsonText(value) ?? String(value);
  return String(value);
}

/** The template's own text without the indentation of the source; values keep theirs. */
function dedent(strings: readonly string[]): string[] {
  const indents = strings.flatMap((text) =>
    [...text.matchAll(/\n([ \t]*)(?=\S|$(?![\s\S]))/g)].map((match) => match[1] ?? ""),
  );
  const isLastBlank = /\n[ \t]*$/.test(strings.at(-1) ?? "");
  const counted = isLastBlank ? indents.slice(0, -1) : indents;
  const width = Math.min(...counted.map((indent) => indent.length));
  const cut = Number.isFinite(width) && width > 0 ? new RegExp(`\\n[ \\t]{1,${width}}`, "g") : undefined;
  return strings.map((text, index) => {
    let result = cut === undefined ? text : text.replace(cut, "\n");
    if (index === 0) result = result.replace(/^[ \t]*\n/, "");
    if (index === strings.length - 1) result = result.replace(/\n[ \t]*$/, "");
    return result;
  });
}

const partTypes: ReadonlySet<unknown> = new Set(["text", "image_url", "input_audio", "file"]);

function isPart(value: unknown): value is ContentPart {
  return (
    typeof value === "object" &&
    value !== null &&
    "type" in value &&
    partTypes.has(value.type) &&
    String(value.type) in value
  );
}

/**
 * An image for a prompt, a message or a tool's result: a URL, or bytes with their media type.
 *
 * @example
 * prompt`What is on this picture? ${image("https://example.com/cat.png")}`
 */
export function image(
  source: string | Uint8Array,
  options: { mediaType?: string; detail?: "auto" | "low" | "high" } = {},
): ContentPart {
  const { mediaType = "image/png", detail } = options;
  const url = typeof source === "string" ? source : `data:${mediaType};base64,${base64(source)}`;
  return { type: "image_url", image_url: detail === undefined ? { url } : { url, detail } };
}

/** Sound for a prompt or a message: bytes, or base64 text. Default format: `wav`. */
export function audio(
  source: string | Uint8Array,
  { format = "wav" }: { format?: "wav" | "mp3" } = {},
): ContentPart {
  const data = typeof source === "string" ? source : base64(source);
  return { type: "input_audio", input_audio: { data, format } };
}

/** A file for a prompt or a message: bytes with a name, or the id of a file that the provider holds. */
export function file(
  source: { fileId: string } | { filename: string; data: Uint8Array; mediaType?: string },
): ContentPart {
  if ("fileId" in source) return { type: "file", file: { file_id: source.fileId } };
  const { filename, data, mediaType = "application/pdf" } = source;
  return {
    type: "file",
    file: { filename, file_data: `data:${mediaType};base64,${base64(data)}` },
  };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
