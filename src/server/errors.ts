/** Errors as HTTP answers: `{error: {code, message, hint?, details?}}` with the library's own codes. */
import {
  type ErrorCode,
  type ErrorOptions,
  HoldfastError,
  InvalidInputError,
  isHoldfastError,
} from '../core/errors.ts';

const statuses: Record<ErrorCode, number> = {
  'invalid-input': 400,
  config: 400,
  import: 400,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  'cursor-expired': 410,
  budget: 422,
  'tool-failed': 422,
  'result-too-large': 422,
  'rate-limited': 429,
  aborted: 499,
  internal: 500,
  'missing-package': 500,
  embedder: 502,
  release: 500,
  'tool-unavailable': 502,
  'store-corrupt': 500,
  'store-newer-schema': 500,
  unsupported: 501,
  closed: 503,
  overloaded: 503,
  'store-unavailable': 503,
  timeout: 504,
};

/** The status of a code. */
export function statusOf(code: ErrorCode): number {
  return statuses[code] ?? 500;
}

/** What is wrong with a request as HTTP, where the code alone does not say the status. */
export class HttpError extends HoldfastError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: ErrorCode,
    message: string,
    options: ErrorOptions & { headers?: Record<string, string> } = {},
  ) {
    super(code, message, options);
    this.status = status;
    this.headers = options.headers ?? {};
  }
}

/** An input that can't be accepted, by one field. */
export function badRequest(path: string, message: string): InvalidInputError {
  return new InvalidInputError('bad request', [{ path, message }]);
}

/** The answer to a request that failed. What is not an error of ours is told to nobody but the log. */
export function errorResponse(error: unknown): Response {
  const known = isHoldfastError(error)
    ? error
    : new HoldfastError('internal', 'something went wrong inside the server', {
        hint: 'The server has logged where. Trying again may help.',
      });
  const status = known instanceof HttpError ? known.status : hasEndedTask(known) ? 409 : statusOf(known.code);
  const headers = known instanceof HttpError ? known.headers : {};
  return Response.json({ error: known.toJSON() }, { status, headers: { ...headers, ...plain } });
}

/** What a task that has ended is asked for comes too late; nothing of the server's is closed. */
function hasEndedTask({ code, details }: HoldfastError): boolean {
  return code === 'closed' && details?.what === 'task';
}

/** On every answer: it is one client's data, and JSON whatever a browser makes of it. */
export const plain = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };
