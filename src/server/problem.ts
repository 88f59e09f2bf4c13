/** What went wrong with a request, as RFC 9457 tells it: a status, a code for programs, a text that says what to do. */
import { UsageError, type UsageErrorCode } from "../errors.ts";
import { runtime } from "../runtime.ts";

/** The codes of the server's own problems; those of `UsageError` come besides. */
export type ProblemCode =
  | UsageErrorCode
  | "unauthorized"
  | "forbidden_origin"
  | "not_found"
  | "method_not_allowed"
  | "not_resumable"
  | "body_too_large"
  | "unsupported_media_type"
  | "invalid_json"
  | "invalid_body"
  | "internal_error";

export class Problem extends Error {
  override readonly name = "Problem";
  readonly status: number;
  readonly code: ProblemCode;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: ProblemCode,
    message: string,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }

  toResponse(): Response {
    const { status, code, message } = this;
    const body = { title: titles[status] ?? "Error", status, code, detail: message };
    return new Response(JSON.stringify(body), {
      status,
      headers: { ...this.headers, "content-type": "application/problem+json", "cache-control": "no-store" },
    });
  }
}

/** The request holds a value that cannot work. */
export function invalid(message: string, code: ProblemCode = "invalid_option"): Problem {
  return new Problem(422, code, message);
}

const titles: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  500: "Internal Server Error",
};

/** The usage errors that are the caller's; all others are faults of the program that serves. */
const statuses: Partial<Record<UsageErrorCode, number>> = {
  invalid_option: 422,
  invalid_history: 422,
  invalid_message: 422,
  not_json: 422,
  duplicate_run: 409,
  unknown_run: 404,
};

/** Any error as a problem. What is no fault of the caller is reported here, and told without its text. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const status = error instanceof UsageError ? statuses[error.code] : undefined;
  if (error instanceof UsageError && status !== undefined) {
    return new Problem(status, error.code, error.message);
  }
  runtime.report("A request to the run server failed", error);
  return new Problem(
    500,
    "internal_error",
    "The server could not do this, through no fault of the request. Its own log says why; try again later.",
  );
}
