// Proves the judge: what OpenAI takes passes, and what it refuses is refused in its own words.

import { describe, expect, test } from "vitest";
import { z } from "zod";
import { refusalOf } from "./strict-request.ts";

const user = { role: "user", content: "Hello" };
const call = (id: string, args = "{}") => ({
  id,
  type: "function",
  function: { name: "find", arguments: args },
});
const calling = (...ids: string[]) => ({
  role: "assistant",
  content: null,
  tool_calls: ids.map((id) => call(id)),
});
const result = (id: string) => ({ role: "tool", tool_call_id: id, content: "found" });
const asking = (content: unknown, role = "user") => [{ role, content }];
const tool = (fields: object = {}) => ({
  type: "function",
  function: { name: "find", parameters: { type: "object", properties: {} }, ...fields },
});
const format = (schema: unknown, rest: object = { strict: true }) => ({
  response_format: { type: "json_schema", json_schema: { name: "Report", schema, ...rest } },
});
const object = (properties: object, rest: object = {}) => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
  ...rest,
});
const word = { type: "string" };

const ofMessages = (messages: unknown) => refusalOf({ model: "gpt-test", messages })?.message;
const ofParams = (params: object) => refusalOf({ model: "gpt-test", messages: [user], ...params })?.message;

describe("a history is taken", () => {
  test.each<[string, unknown[]]>([
    ["with one message", [user]],
    [
      "with system, developer and named messages",
      [
        { role: "system", content: "s" },
        { role: "developer", content: [{ type: "text", text: "d" }] },
        { ...user, name: "ann" },
      ],
    ],
    [
      "with calls and their results in any order",
      [user, calling("a", "b"), result("b"), result("a"), { role: "assistant", content: "Done" }],
    ],
    ["with text beside the calls", [user, { ...calling("a"), content: "Let me look" }, result("a"), user]],
    ["with the same call id in two turns", [user, calling("a"), result("a"), calling("a"), result("a")]],
    ["with a refusal in place of content", [user, { role: "assistant", content: null, refusal: "No" }]],
    ["with content left out beside calls", [{ role: "assistant", tool_calls: [call("a")] }, result("a")]],
    [
      "with every kind of part",
      asking([
        { type: "text", text: "Look" },
        { type: "image_url", image_url: { url: "https://example.com/a.png", detail: "low" } },
        { type: "image_url", image_url: { url: "data:image/png;base64,aGk=" } },
        { type: "input_audio", input_audio: { data: "aGk=", format: "wav" } },
        { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,aGk=" } },
      ]),
    ],
    ["with whole emoji", asking("👍")],
    ["with keys that are undefined, as they are not sent", [{ ...user, name: undefined }]],
  ])("%s", (_name, messages) => {
    expect(ofMessages(messages)).toBeUndefined();
  });
});

describe("a history is refused", () => {
  test.each<[string, unknown, string]>([
    [
      "that is empty",
      [],
      "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
    ],
    [
      "that is no array",
      {},
      "Invalid type for 'messages': expected an array of objects, but got an object instead.",
    ],
    [
      "with a message that is no object",
      ["hi"],
      "Invalid type for 'messages[0]': expected an object, but got a string instead.",
    ],
    [
      "with an unknown role",
      asking("x", "robot"),
      "Invalid value: 'robot'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.",
    ],
    ["without a role", [{ content: "x" }], "Missing required parameter: 'messages[0].role'."],
    ["with an unknown property", [{ ...user, patches: [] }], "Unknown parameter: 'messages[0].patches'."],
    [
      "with provider data left on it",
      [{ role: "assistant", content: "x", reasoning_content: "r" }],
      "Unknown parameter: 'messages[0].reasoning_content'.",
    ],
    ["with user content left out", [{ role: "user" }], "Missing required parameter: 'messages[0].content'."],
    [
      "with null user content",
      asking(null),
      "Invalid type for 'messages[0].content': expected one of a string or array of objects, but got null instead.",
    ],
    [
      "with a number as content",
      asking(7),
      "Invalid type for 'messages[0].content': expected one of a string or array of objects, but got an integer instead.",
    ],
    ["with no parts", asking([]), "Invalid 'messages[0].content': empty array."],
    [
      "with null tool content",
      [calling("a"), { ...result("a"), content: null }],
      "Invalid type for 'messages[1].content'",
    ],
    [
      "with an empty assistant message",
      [user, { role: "assistant", content: null }],
      "Invalid value for 'content': expected a string, got null.",
    ],
    [
      "with an assistant message that has nothing",
      [user, { role: "assistant" }],
      "Invalid value for 'content': expected a string, got null.",
    ],
    [
      "with a bad name",
      [{ ...user, name: "a b" }],
      "Invalid 'messages[0].name': string does not match pattern. Expected a string that matches the pattern '^[^\\s<|\\\\/>]+$'.",
    ],
    [
      "with an image from the assistant",
      asking([{ type: "image_url", image_url: { url: "https://a.b" } }], "assistant"),
      "Invalid 'messages[0]'. Image URLs are only allowed for messages with role 'user', but this message with role 'assistant' contains an image URL.",
    ],
    [
      "with a file from the system",
      asking([{ type: "file", file: { file_id: "x" } }], "system"),
      "Invalid value: 'file'. Supported values are: 'text'.",
    ],
    ["with an unknown part", asking([{ type: "video" }]), "Invalid value: 'video'."],
    [
      "with a part that lacks its text",
      asking([{ type: "text" }]),
      "Missing required parameter: 'messages[0].content[0].text'.",
    ],
    [
      "with an image that is a string",
      asking([{ type: "image_url", image_url: "https://a.b" }]),
      "Invalid type for 'messages[0].content[0].image_url': expected an object, but got a string instead.",
    ],
    [
      "with an image whose address is none",
      asking([{ type: "image_url", image_url: { url: "a.png" } }]),
      "Invalid 'messages[0].content[0].image_url.url'. Expected a valid URL",
    ],
    [
      "with audio of another format",
      asking([{ type: "input_audio", input_audio: { data: "aGk=", format: "ogg" } }]),
      "Invalid value: 'ogg'. Supported values are: 'wav' and 'mp3'.",
    ],
    [
      "with a file that is no data URL",
      asking([{ type: "file", file: { file_data: "aGk=" } }]),
      "but got a value without the 'data:' prefix.",
    ],
    ["with half an emoji", asking("👍".slice(0, 1)), "Invalid body: failed to parse JSON value."],
    [
      "with an empty list of calls",
      [user, { ...calling(), content: "x" }],
      "Invalid 'messages[1].tool_calls': empty array. Expected an array with minimum length 1, but got an empty array instead.",
    ],
    [
      "with calls that are null",
      [{ role: "assistant", content: "x", tool_calls: null }],
      "Invalid type for 'messages[0].tool_calls': expected an array of objects, but got null instead.",
    ],
    [
      "with an unanswered call",
      [user, calling("call_x"), user],
      "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: call_x",
    ],
    [
      "with one of three calls answered",
      [calling("a", "b", "c"), result("b")],
      "did not have response messages: a, c",
    ],
    [
      "with a result behind another message",
      [calling("a"), user, result("a")],
      "did not have response messages: a",
    ],
    [
      "with a result of nothing",
      [user, result("a")],
      "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
    ],
    [
      "with a result of another call",
      [calling("a"), result("a"), result("b")],
      "Invalid parameter: 'tool_call_id' of 'b' not found in 'tool_calls' of previous message.",
    ],
    [
      "with two results of one call",
      [user, calling("a"), result("a"), result("a")],
      "Invalid parameter: Duplicate value for 'tool_call_id' of 'a', in messages[2] and messages[3].",
    ],
    [
      "with two calls of one id",
      [calling("a", "a"), result("a")],
      "Invalid 'messages[0].tool_calls[1].id': duplicate value 'a'.",
    ],
    ["with an empty id", [calling("")], "Invalid 'messages[0].tool_calls[0].id': empty string."],
    [
      "with an id that is too long",
      [calling("x".repeat(41))],
      "Invalid 'messages[0].tool_calls[0].id': string too long. Expected a string with maximum length 40, but got a string with length 41 instead.",
    ],
    [
      "with a call without a type",
      [{ ...calling(), tool_calls: [{ ...call("a"), type: undefined }] }],
      "Missing required parameter: 'messages[0].tool_calls[0].type'.",
    ],
    [
      "with a call that keeps its stream index",
      [{ ...calling(), tool_calls: [{ ...call("a"), index: 0 }] }],
      "Unknown parameter: 'messages[0].tool_calls[0].index'.",
    ],
    [
      "with a function name of other letters",
      [{ ...calling(), tool_calls: [{ ...call("a"), function: { name: "a.b", arguments: "{}" } }] }],
      "Invalid 'messages[0].tool_calls[0].function.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
    ],
    [
      "with arguments that are an object",
      [{ ...calling(), tool_calls: [{ ...call("a"), function: { name: "f", arguments: {} } }] }],
      "Invalid type for 'messages[0].tool_calls[0].function.arguments': expected a string, but got an object instead.",
    ],
    [
      "with arguments cut off",
      [{ ...calling(), tool_calls: [call("a", '{"q":')] }, result("a")],
      "arguments are not valid JSON",
    ],
    [
      "with a result without its id",
      [calling("a"), { role: "tool", content: "x" }],
      "Missing required parameter: 'messages[1].tool_call_id'.",
    ],
  ])("%s", (_name, messages, message) => {
    expect(ofMessages(messages)).toContain(message);
  });
});

describe("parameters are taken", () => {
  test.each<[string, object]>([
    [
      "with tools and a choice",
      {
        tools: [tool()],
        tool_choice: { type: "function", function: { name: "find" } },
        parallel_tool_calls: false,
      },
    ],
    ["with a tool without parameters", { tools: [{ type: "function", function: { name: "now" } }] }],
    [
      "with the settings of a call",
      {
        temperature: 0.5,
        top_p: 1,
        stop: ["a"],
        seed: 1,
        max_completion_tokens: 9,
        metadata: { a: "b" },
        n: 1,
      },
    ],
    [
      "with nulls where they are allowed",
      { temperature: null, stop: null, stream_options: null, max_tokens: null },
    ],
    ["with usage in the stream", { stream: true, stream_options: { include_usage: true } }],
    [
      "with a JSON object, where JSON is spoken of",
      { messages: asking("as JSON"), response_format: { type: "json_object" } },
    ],
    [
      "with a loose schema",
      format({ type: "object", properties: { a: { type: "string", default: "x" } } }, {}),
    ],
    [
      "with a strict schema as zod writes it",
      format(
        z.toJSONSchema(
          z.strictObject({
            title: z.string().min(1).describe("The title"),
            tags: z.array(z.enum(["a", "b"])),
            by: z.strictObject({ name: z.string().nullable(), age: z.int() }),
          }),
        ),
      ),
    ],
    [
      "with a strict schema that refers to itself",
      format(object({ next: { anyOf: [{ $ref: "#" }, { type: "null" }] } })),
    ],
  ])("%s", (_name, params) => {
    expect(ofParams(params)).toBeUndefined();
  });
});

describe("parameters are refused", () => {
  const strict = "Invalid schema for response_format 'Report': ";
  test.each<[string, object, string]>([
    ["without a model", { model: undefined }, "you must provide a model parameter"],
    [
      "with a model that is no string",
      { model: 4 },
      "Invalid type for 'model': expected a string, but got an integer instead.",
    ],
    ["with an unknown name", { toolkit: [] }, "Unknown parameter: 'toolkit'."],
    [
      "with a temperature too high",
      { temperature: 3 },
      "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 instead.",
    ],
    [
      "with tokens as text",
      { max_tokens: "9" },
      "Invalid type for 'max_tokens': expected an integer, but got a string instead.",
    ],
    [
      "with both limits of tokens",
      { max_tokens: 1, max_completion_tokens: 1 },
      "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
    ],
    [
      "with what reasoning models do not take",
      { model: "gpt-5-mini", max_tokens: 9 },
      "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    ],
    [
      "with a temperature for reasoning models",
      { model: "gpt-5-mini", temperature: 0 },
      "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.",
    ],
    [
      "with stream options and no stream",
      { stream_options: { include_usage: true } },
      "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
    ],
    ["with an empty list of tools", { tools: [] }, "Invalid 'tools': empty array."],
    [
      "with a choice and no tools",
      { tool_choice: "auto" },
      "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
    ],
    [
      "with parallel calls and no tools",
      { parallel_tool_calls: true },
      "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when 'tools' are specified.",
    ],
    [
      "with the choice of a tool that is not there",
      { tools: [tool()], tool_choice: { type: "function", function: { name: "read" } } },
      "Tool choice 'read' not found in 'tools' parameter.",
    ],
    ["with two tools of one name", { tools: [tool(), tool()] }, "tool names must be unique"],
    [
      "with a tool name of other letters",
      { tools: [tool({ name: "a b" })] },
      "Invalid 'tools[0].function.name': string does not match pattern.",
    ],
    [
      "with a tool name too long",
      { tools: [tool({ name: "a".repeat(65) })] },
      "Expected a string with maximum length 64, but got a string with length 65 instead.",
    ],
    [
      "with an unknown key of a tool",
      { tools: [tool({ execute: 1 })] },
      "Unknown parameter: 'tools[0].function.execute'.",
    ],
    [
      "with tool parameters of no object",
      { tools: [tool({ parameters: { type: "array", items: word } })] },
      "Invalid schema for function 'find': schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'.",
    ],
    ["with tool parameters without a type", { tools: [tool({ parameters: {} })] }, "got 'type: \"None\"'."],
    [
      "with tool parameters without properties",
      { tools: [tool({ parameters: { type: "object" } })] },
      "Invalid schema for function 'find': In context=(), object schema missing properties.",
    ],
    [
      "with an array of nothing in a tool",
      { tools: [tool({ parameters: { type: "object", properties: { a: { type: "array" } } } })] },
      "In context=('properties', 'a'), array schema missing items.",
    ],
    [
      "with a strict tool that is loose",
      { tools: [tool({ strict: true })] },
      "Invalid schema for function 'find': In context=(), 'additionalProperties' is required to be supplied and to be false.",
    ],
    ["with an unknown format", { response_format: { type: "yaml" } }, "Invalid value: 'yaml'."],
    [
      "with a JSON object nobody speaks of",
      { response_format: { type: "json_object" } },
      "'messages' must contain the word 'json' in some form",
    ],
    [
      "with a schema without a name",
      format(object({}), { name: undefined }),
      "Missing required parameter: 'response_format.json_schema.name'.",
    ],
    [
      "with a schema name of other letters",
      format(object({}), { name: "a b" }),
      "Invalid 'response_format.json_schema.name': string does not match pattern.",
    ],
    [
      "with a root that is an array",
      format({ type: "array", items: word }),
      `${strict}schema must be a JSON Schema of 'type: "object"', got 'type: "array"'.`,
    ],
    [
      "with a root union",
      format(object({}, { anyOf: [word] })),
      `${strict}schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level.`,
    ],
    [
      "with a strict object left open",
      format(object({ a: { type: "object", properties: {} } })),
      `${strict}In context=('properties', 'a'), 'additionalProperties' is required to be supplied and to be false.`,
    ],
    [
      "with an optional key",
      format(object({ a: word, b: word }, { required: ["a"] })),
      `${strict}In context=(), 'required' is required to be supplied and to be an array including every key in properties. Missing 'b'.`,
    ],
    [
      "with a required key that is not there",
      format(object({ a: word }, { required: ["a", "b"] })),
      "Extra required key 'b' supplied.",
    ],
    [
      "with an open object in a list",
      format(object({ a: { type: "array", items: object({ b: word }, { required: [] }) } })),
      "In context=('properties', 'a', 'items'), 'required' is required",
    ],
    [
      "with an open object in a union",
      format(object({ a: { anyOf: [word, { type: "object", properties: {} }] } })),
      "In context=('properties', 'a', 'anyOf', '1'), 'additionalProperties'",
    ],
    [
      "with an open object in $defs",
      format(object({ a: { $ref: "#/$defs/b" } }, { $defs: { b: { type: "object" } } })),
      "In context=('$defs', 'b'), 'additionalProperties'",
    ],
    [
      "with a lost reference",
      format(object({ a: { $ref: "#/$defs/b" } })),
      "reference to component '#/$defs/b' which was not found in the schema.",
    ],
    [
      "with words beside a reference",
      format(object({ a: { $ref: "#", description: "x" } })),
      "$ref cannot have keywords {'description'}.",
    ],
    [
      "with a schema without a type",
      format(object({ a: {} })),
      "In context=('properties', 'a'), schema must have a 'type' key.",
    ],
    [
      "with an unknown string format",
      format(object({ a: { type: "string", format: "uri" } })),
      "'uri' is not a valid format.",
    ],
    ...["allOf", "oneOf", "not", "if", "then", "else", "patternProperties", "propertyNames", "default"].map(
      (key): [string, object, string] => [
        `with ${key} in a strict schema`,
        format(object({ a: { type: "string", [key]: [word] } })),
        `${strict}In context=('properties', 'a'), '${key}' is not permitted.`,
      ],
    ),
  ])("%s", (_name, params, message) => {
    expect(ofParams(params)).toContain(message);
  });
});

test("a refusal names the parameter and a code, as OpenAI's error body does", () => {
  expect(refusalOf({ model: "gpt-test", messages: [user], tools: [] })).toEqual({
    message:
      "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.",
    type: "invalid_request_error",
    param: "tools",
    code: "empty_array",
  });
  expect(refusalOf("hello")?.message).toContain("expected an object");
});
