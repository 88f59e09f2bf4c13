/** What a request to start a run asks for, read from its body and checked. */
import { randomUUID } from "node:crypto";
import type { BackgroundOptions } from "../background.ts";
import { isPlainObject, type Json, kindOf, shown } from "../json.ts";
import { type CallOptions, callOptions } from "../options.ts";
import { checkKeys } from "./body.ts";
import { invalid } from "./problem.ts";
import { checkRunId } from "./run-id.ts";

/** How a run is to be started and watched. */
export type StartMode = "sync" | "stream" | "background";

export interface StartOrder {
  readonly functionName: string;
  readonly args: readonly Json[];
  /** The call options that were given, without the id. */
  readonly options: CallOptions;
  readonly mode: StartMode;
  readonly runId: string;
  /** For a run in the background: its key, priority and delay. */
  readonly background: Pick<BackgroundOptions, "key" | "priority" | "delayMs">;
}

const bodyKeys = ["function", "args", "options", "mode", "runId", "key", "priority", "delayMs"];
const optionKeys = ["timeout", "history", "context", "maxTurns", "metadata"];
const modes: readonly unknown[] = ["sync", "stream", "background"];

/** @throws Problem 422; UsageError for an option of the wrong kind */
export function startOrder(body: Record<string, unknown>): StartOrder {
  checkKeys(body, bodyKeys);
  const {
    function: functionName,
    args = [],
    options = {},
    mode = "background",
    key,
    priority,
    delayMs,
  } = body;
  const { runId = randomUUID() } = body;
  if (typeof functionName !== "string" || functionName === "") {
    throw invalid(
      `"function" must be the name of a function, such as "Analyst.research", not ${shown(functionName)}.`,
      "invalid_body",
    );
  }
  if (!Array.isArray(args)) {
    throw invalid(
      `"args" must be the list of the function's arguments, not ${kindOf(args)}.`,
      "invalid_body",
    );
  }
  if (!modes.includes(mode)) {
    throw invalid(`"mode" must be "sync", "stream" or "background", not ${shown(mode)}.`, "invalid_body");
  }
  const background = given({ key, priority, delayMs });
  if (mode !== "background" && Object.keys(background).length > 0) {
    throw invalid(`${Object.keys(background).join(", ")}: only a run of the mode "background" takes this.`);
  }
  return {
    functionName,
    args,
    options: checkedOptions(options),
    mode: mode as StartMode,
    runId: checkRunId(runId),
    // `submit` checks their values, as it does for every caller.
    background: background as StartOrder["background"],
  };
}

function checkedOptions(options: unknown): CallOptions {
  if (!isPlainObject(options)) throw invalid(`"options" must be an object, not ${kindOf(options)}.`);
  checkKeys(options, optionKeys, '"options"');
  return callOptions([options]);
}

function given(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
