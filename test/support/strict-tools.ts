// Judges tools, the choice among them, and the format of the answer.

import {
  expectArray,
  expectBoolean,
  expectFields,
  expectKeys,
  expectName,
  expectOneOf,
  expectPresent,
  expectString,
  type Fields,
  refuse,
} from "./refusal.ts";
import { checkSchema } from "./strict-schema.ts";

/** Gives the names of the tools, which `tool_choice` may name. */
export function checkTools(value: unknown): ReadonlySet<string> {
  const names = new Set<string>();
  const tools = expectArray(value, "tools");
  if (tools.length > 128)
    refuse(
      `Invalid 'tools': array too long. Expected an array with maximum length 128, but got an array with length ${tools.length} instead.`,
      "tools",
      "array_above_max_length",
    );
  for (const [index, entry] of tools.entries()) {
    const at = `tools[${index}]`;
    const tool = expectFields(entry, at);
    const type = expectOneOf(expectPresent(tool, "type", at), `${at}.type`, ["function", "custom"]);
    expectKeys(tool, ["type", type], at);
    const inner = expectFields(expectPresent(tool, type, at), `${at}.${type}`);
    const name = expectName(expectPresent(inner, "name", `${at}.${type}`), `${at}.${type}.name`);
    if (names.has(name))
      refuse(`Invalid '${at}.${type}.name': tool names must be unique, but '${name}' is given twice.`, at);
    names.add(name);
    if (type === "function") checkFunctionTool(inner, name, `${at}.function`);
    else expectKeys(inner, ["name", "description", "format"], `${at}.custom`);
  }
  return names;
}

function checkFunctionTool(tool: Fields, name: string, at: string): void {
  expectKeys(tool, ["name", "description", "parameters", "strict"], at);
  if (tool.description !== undefined) expectString(tool.description, `${at}.description`);
  const strict = tool.strict ?? undefined;
  if (strict !== undefined) expectBoolean(strict, `${at}.strict`);
  if (tool.parameters === undefined) return;
  const param = `${at}.parameters`;
  checkSchema(expectFields(tool.parameters, param), {
    owner: `function '${name}'`,
    param,
    code: "invalid_function_parameters",
    strict: strict === true,
  });
}

export function checkToolChoice(value: unknown, names: ReadonlySet<string> | undefined): void {
  if (names === undefined) onlyWithTools("tool_choice");
  if (typeof value === "string") expectOneOf(value, "tool_choice", ["none", "auto", "required"]);
  else checkNamedChoice(value, names);
}

function checkNamedChoice(value: unknown, names: ReadonlySet<string>): void {
  const choice = expectFields(value, "tool_choice");
  const kinds = ["function", "custom", "allowed_tools"];
  const type = expectOneOf(expectPresent(choice, "type", "tool_choice"), "tool_choice.type", kinds);
  expectKeys(choice, ["type", type], "tool_choice");
  const inner = expectFields(expectPresent(choice, type, "tool_choice"), `tool_choice.${type}`);
  if (type === "allowed_tools") return;
  expectKeys(inner, ["name"], `tool_choice.${type}`);
  const name = expectString(expectPresent(inner, "name", `tool_choice.${type}`), `tool_choice.${type}.name`);
  if (!names.has(name)) refuse(`Tool choice '${name}' not found in 'tools' parameter.`, "tool_choice");
}

export function checkParallel(value: unknown, names: ReadonlySet<string> | undefined): void {
  if (names === undefined) onlyWithTools("parallel_tool_calls");
  expectBoolean(value, "parallel_tool_calls");
}

function onlyWithTools(key: string): never {
  return refuse(`Invalid value for '${key}': '${key}' is only allowed when 'tools' are specified.`, key);
}

export function checkResponseFormat(value: unknown, messages: unknown): void {
  const at = "response_format";
  const format = expectFields(value, at);
  const kinds = ["json_object", "json_schema", "text"];
  const type = expectOneOf(expectPresent(format, "type", at), `${at}.type`, kinds);
  expectKeys(format, type === "json_schema" ? ["type", "json_schema"] : ["type"], at);
  if (type === "json_object" && !/json/i.test(JSON.stringify(messages)))
    refuse(
      "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
      "messages",
    );
  if (type === "json_schema") checkJsonSchema(expectPresent(format, "json_schema", at), `${at}.json_schema`);
}

function checkJsonSchema(value: unknown, at: string): void {
  const fields = expectFields(value, at);
  expectKeys(fields, ["name", "description", "schema", "strict"], at);
  const name = expectName(expectPresent(fields, "name", at), `${at}.name`);
  if (fields.description !== undefined) expectString(fields.description, `${at}.description`);
  const strict = fields.strict ?? undefined;
  if (strict !== undefined) expectBoolean(strict, `${at}.strict`);
  checkSchema(expectFields(expectPresent(fields, "schema", at), `${at}.schema`), {
    owner: `response_format '${name}'`,
    param: "response_format",
    code: null,
    strict: strict === true,
  });
}
