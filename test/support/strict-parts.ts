// Judges what a message's `content` may be, role by role, since the API takes images from users only.

import {
  expectArray,
  expectFields,
  expectKeys,
  expectLength,
  expectOneOf,
  expectPresent,
  expectString,
  type Fields,
  refuse,
  wrongType,
} from "./refusal.ts";

export type Role = "system" | "developer" | "user" | "assistant" | "tool" | "function";

const partsOf: Record<Role, readonly string[]> = {
  system: ["text"],
  developer: ["text"],
  tool: ["text"],
  function: [],
  user: ["text", "image_url", "input_audio", "file"],
  assistant: ["text", "refusal"],
};

/** Content that must be there: a string, or a list of the parts that the role may have. */
export function checkContent(content: unknown, role: Role, at: string): void {
  const path = `${at}.content`;
  if (typeof content === "string") return;
  if (!Array.isArray(content)) wrongType(content, path, "one of a string or array of objects");
  for (const [index, part] of expectArray(content, path).entries()) {
    checkPart(expectFields(part, `${path}[${index}]`), role, at, `${path}[${index}]`);
  }
}

function checkPart(part: Fields, role: Role, at: string, path: string): void {
  const type = expectString(expectPresent(part, "type", path), `${path}.type`);
  if (type === "image_url" && role !== "user") {
    refuse(
      `Invalid '${at}'. Image URLs are only allowed for messages with role 'user', but this message with role '${role}' contains an image URL.`,
      at,
      "invalid_value",
    );
  }
  expectOneOf(type, `${path}.type`, partsOf[role]);
  expectKeys(part, ["type", type, "prompt_cache_breakpoint"], path);
  const inner = expectPresent(part, type, path);
  const innerPath = `${path}.${type}`;
  if (type === "text" || type === "refusal") expectString(inner, innerPath);
  if (type === "image_url") checkImage(expectFields(inner, innerPath), innerPath);
  if (type === "input_audio") checkAudio(expectFields(inner, innerPath), innerPath);
  if (type === "file") checkFile(expectFields(inner, innerPath), innerPath);
}

function checkImage(image: Fields, path: string): void {
  expectKeys(image, ["url", "detail"], path);
  const url = expectString(expectPresent(image, "url", path), `${path}.url`);
  if (!/^(https?:\/\/[^\s/]+|data:image\/[\w.+-]+;base64,[A-Za-z0-9+/]+={0,2}$)/.test(url)) {
    refuse(
      `Invalid '${path}.url'. Expected a valid URL, but got a value with an invalid format.`,
      `${path}.url`,
      "invalid_value",
    );
  }
  if (image.detail !== undefined)
    expectOneOf(image.detail, `${path}.detail`, ["auto", "low", "high", "original"]);
}

function checkAudio(audio: Fields, path: string): void {
  expectKeys(audio, ["data", "format"], path);
  const data = expectLength(expectPresent(audio, "data", path), `${path}.data`, Infinity);
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(data)) {
    refuse(
      `Invalid '${path}.data'. Expected base64-encoded audio, but got a value that is not base64.`,
      `${path}.data`,
      "invalid_value",
    );
  }
  expectOneOf(expectPresent(audio, "format", path), `${path}.format`, ["wav", "mp3"]);
}

function checkFile(file: Fields, path: string): void {
  expectKeys(file, ["file_id", "file_data", "filename"], path);
  if (file.filename !== undefined) expectString(file.filename, `${path}.filename`);
  if (file.file_data === undefined) {
    expectLength(expectPresent(file, "file_id", path), `${path}.file_id`, Infinity);
    return;
  }
  const data = expectString(file.file_data, `${path}.file_data`);
  if (!data.startsWith("data:")) {
    refuse(
      `Invalid '${path}.file_data'. Expected a base64-encoded data URL with an application/pdf MIME type (e.g. 'data:application/pdf;base64,aGVsbG8='), but got a value without the 'data:' prefix.`,
      `${path}.file_data`,
      "invalid_value",
    );
  }
}
