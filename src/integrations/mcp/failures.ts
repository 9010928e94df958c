/** What goes wrong between us and an MCP server, in our errors. */
import { cut } from '../../core/cut.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import { TookTooLong } from '../../core/timed.ts';

const MAX_MESSAGE = 2000;

/** What can be known of a failed request besides its error. */
interface Circumstances {
  /** It was one to connect. */
  connecting?: boolean;
  /** The connection is gone. */
  gone?: boolean;
  mayReconnect?: boolean;
}

/** The error as one of ours. Of the transport's own words none is told: they hold what the server answered. */
export function failureOf(error: unknown, { connecting, gone, mayReconnect }: Circumstances): HoldfastError {
  if (isHoldfastError(error)) return error;
  const code = codeOf(error);
  if (code === 401 || code === 403) {
    return new HoldfastError('forbidden', `the MCP server refused us (HTTP ${code})`, {
      hint: 'Give it what it asks for in headers: { authorization: … }.',
    });
  }
  if (typeof code === 'number' && code > 0) return unavailable(`the MCP server answered with HTTP ${code}`);
  if (connecting) return unreachable(error);
  if (typeof code === 'number' && !gone) return answered(error as Error);
  // Its name differs between the versions of zod.
  if ((error as Error | undefined)?.name?.endsWith('ZodError')) {
    return new HoldfastError('tool-failed', "the MCP server's answer is not one of the protocol");
  }
  return goneError(mayReconnect === true, error);
}

function unreachable(error: unknown): HoldfastError {
  if (error instanceof TookTooLong)
    return unavailable(`connecting to the MCP server ${error.message}`, error);
  const code = codeOf(error);
  if (code === 'ENOENT' || code === 'EACCES') {
    return unavailable("the MCP server's command can't be started", error, 'Check command, args and cwd.');
  }
  const hint =
    "Check where it is, or run its command by hand, or show what it writes with stderr: 'inherit'.";
  return unavailable("the MCP server can't be reached, or ended before it answered", error, hint);
}

/** A connection that is not there. */
export function goneError(mayReconnect: boolean, cause?: unknown): HoldfastError {
  const hint = mayReconnect
    ? 'Whether a call that was under way was done is not known. The next one connects again.'
    : 'Connect to the server again.';
  return unavailable('the connection to the MCP server is gone', cause, hint);
}

/** Whether trying again may help. */
export function isTransient(error: unknown): boolean {
  return isHoldfastError(error) && error.code === 'tool-unavailable';
}

/** Whether an error says that the server has not taken the request: its session is over, or nobody listens. */
export function wasNotTaken(error: unknown): boolean {
  const { cause } = (error ?? {}) as { cause?: unknown };
  return codeOf(error) === 404 || codeOf(cause) === 'ECONNREFUSED';
}

/** The server's own error. */
function answered(error: Error): HoldfastError {
  return new HoldfastError('tool-failed', cut(error.message, MAX_MESSAGE), {
    details: { rpcCode: codeOf(error) },
  });
}

function unavailable(message: string, cause?: unknown, hint?: string): HoldfastError {
  return new HoldfastError('tool-unavailable', message, { cause, ...(hint !== undefined && { hint }) });
}

/** An HTTP status, a code of JSON-RPC, which is below 0, or a system error's name. */
function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null | undefined)?.code;
}
