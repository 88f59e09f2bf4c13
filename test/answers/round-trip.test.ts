// For any schema and any value of it: what the strict server is asked for is valid, and the value comes back.

import fc from "fast-check";
import { llmFunction, prompt } from "llmethod";
import { expect, it } from "vitest";
import { z } from "zod";
import { useServer } from "../models/local.ts";
import { answer, text } from "../support/server.ts";
import { type AskedFormat, fits } from "./ask-for.ts";
import { shapes } from "./shapes.ts";

const local = useServer();
const cases = shapes.chain((shape) =>
  shape.values.map((value) => ({
    shape,
    value,
    [fc.toStringMethod]: () => JSON.stringify({ schema: z.toJSONSchema(shape.schema), value }),
  })),
);

it("gives any value of any schema back", { timeout: 120_000 }, async () => {
  const model = local.model();
  const check = fc.asyncProperty(cases, async ({ shape, value }) => {
    local.server.reset();
    let misfit: unknown;
    local.server.handle(({ response_format: format }) => {
      if (format?.type !== "json_schema") return answer(text(String(value)));
      const { strict, schema } = format.json_schema as AskedFormat;
      const inner = shape.wire(value, strict);
      const isWrapped =
        Object.keys(schema.properties ?? {}).join() === "value" && shape.schema.type !== "object";
      const wire = isWrapped ? { value: inner } : inner;
      if (!fits(schema, wire)) misfit = { schema, wire };
      return answer(text(JSON.stringify(wire)));
    });
    const given = await llmFunction({ model, returns: shape.schema })(() => prompt`Answer`)();
    expect(misfit).toBeUndefined();
    expect(given).toEqual(value);
    expect(local.server.requests).toHaveLength(1);
    local.server.verify();
  });
  await fc.assert(check, { numRuns: 300 });
});
