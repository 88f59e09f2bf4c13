/** Picks who answers an example's questions, a real server or the local stand-in, and says which it is. */
import { type Model, openai } from "llmethod";
import { startStandIn } from "./demo/stand-in.ts";

export interface Connection extends AsyncDisposable {
  readonly model: Model;
}

/**
 * With `OPENAI_API_KEY` or `OPENAI_BASE_URL` it is that server and the model of `LLMETHOD_MODEL` (default
 * `gpt-5-mini`), else a stand-in in this process, which ends with the connection. Prints one line about it.
 *
 * @param options `pace`: the stand-in's pause between two pieces of text, in ms
 * @example
 * await using connection = await connect();
 * configure({ model: connection.model });
 */
export async function connect(options: { pace?: number } = {}): Promise<Connection> {
  const { OPENAI_API_KEY: key, OPENAI_BASE_URL: baseURL, LLMETHOD_MODEL: name } = process.env;
  if (key || baseURL) {
    const modelName = name || "gpt-5-mini";
    const where = baseURL || "the OpenAI API";
    console.log(`Talking to ${modelName} at ${where}${key ? "" : " (OPENAI_API_KEY is not set)"}.`);
    return {
      model: openai(modelName, baseURL ? { baseURL } : {}),
      async [Symbol.asyncDispose]() {},
    };
  }
  const standIn = await startStandIn(options);
  console.log(
    `Talking to a local stand-in at ${standIn.url}, which is no language model: ` +
      "set OPENAI_API_KEY (or OPENAI_BASE_URL) for a real one.",
  );
  return {
    model: openai("stand-in", { baseURL: standIn.url, apiKey: "none" }),
    [Symbol.asyncDispose]: () => standIn.close(),
  };
}
