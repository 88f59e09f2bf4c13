// Asks a model on the local server for one typed answer, whose text the test gives.

import type { StandardSchemaV1 } from "@standard-schema/spec";
import { llmFunction, prompt } from "llmethod";
import { z } from "zod";
import type { Local } from "../models/local.ts";
import { answer, text } from "../support/server.ts";

/** What the last request asked for as its answer's form. */
export interface AskedFormat {
  readonly name: string;
  readonly strict: boolean;
  readonly schema: { readonly [key: string]: unknown };
}

export function formatOf(local: Local): AskedFormat | undefined {
  const format = local.server.requests.at(-1)?.body.response_format;
  return format?.type === "json_schema" ? (format.json_schema as AskedFormat) : undefined;
}

/** The answer to `said` as the model's text; a value other than a string is written as JSON. */
export function answerTo<S extends StandardSchemaV1>(local: Local, returns: S, ...said: readonly unknown[]) {
  local.server.script(
    ...said.map((item) => answer(text(typeof item === "string" ? item : JSON.stringify(item)))),
  );
  return llmFunction({ model: local.model(), returns })(() => prompt`Answer`)();
}

/** Whether a value fits the schema that was sent: what a server that enforces it would write. */
export function fits(schema: AskedFormat["schema"], value: unknown): boolean {
  return z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]).safeParse(value).success;
}
