/** The tool by which the demo's agent calculates, as language models are poor at sums. */
import { tool } from "llmethod";
import { z } from "zod";
import { evaluate } from "./arithmetic.ts";

const Sum = z.object({ expression: z.string().describe("Such as (17 + 4) * 3 or 2 ^ 0.5") });

export class Calculator {
  @tool({
    name: "calculate",
    description: "Work out an arithmetic expression with + - * / % ^, brackets and decimals",
    input: Sum,
  })
  calculate({ expression }: z.output<typeof Sum>) {
    const result = evaluate(expression);
    const isRounded = Number.isInteger(result) && !Number.isSafeInteger(result);
    return { expression, result, ...(isRounded && { note: "rounded to about 16 digits" }) };
  }
}
