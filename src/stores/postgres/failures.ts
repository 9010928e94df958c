import {
  ConfigError,
  HoldfastError,
  isHoldfastError,
  StoreUnavailableError,
  UnsupportedError,
} from '../../core/errors.ts';

/** What went wrong with a call. */
export interface Failure {
  /** Whether the next attempt may go well. */
  readonly again: boolean;
  /** Whether the server may have done what it was asked, and only the answer is missing. */
  readonly inDoubt: boolean;
}

/** The server is going down, coming up, or has no room for one more connection; a lost race inside of it. */
const PASSING = ['57P01', '57P02', '57P03', '57P05', '53300', '40001', '40P01', '55P03'];
/** Nothing was done when these came. */
const REFUSED = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOENT'];
const LOST = ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED'];
/** `pg` gives these no code. */
const LOST_MESSAGES =
  /^Connection terminated|^Client has encountered a connection error|timeout exceeded when trying to connect|^timeout expired|Connection ended unexpectedly|not queryable/;

/** Judges an error of the driver. */
export function failureOf(error: unknown): Failure {
  if (isHoldfastError(error)) return { again: false, inDoubt: false };
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : '';
  // The server said no, and says why: nothing was done, but after 57P0x nobody knows.
  if (PASSING.includes(code)) return { again: true, inDoubt: code.startsWith('57') };
  if (REFUSED.includes(code)) return { again: true, inDoubt: false };
  const lost = LOST.includes(code) || code.startsWith('08') || LOST_MESSAGES.test(message);
  return { again: lost, inDoubt: lost };
}

/** An error of the driver in our words. It carries the server's message, but never the row or value that it names. */
export function translated(error: unknown, inDoubt = false): HoldfastError {
  if (isHoldfastError(error)) {
    // The last attempt was too late; an earlier one may have been done.
    const doubtful = inDoubt && error.code === 'store-unavailable' && !error.details?.inDoubt;
    return doubtful ? new StoreUnavailableError(error.message, { details: { inDoubt } }) : error;
  }
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : 'unknown error';
  const options = {
    cause: bare(error, code),
    details: { ...(code && { code }), ...(inDoubt && { inDoubt }) },
  };
  const problem = (what: string, hint: string) =>
    new ConfigError([{ path: 'store', message: what }], { ...options, hint });
  switch (code) {
    case '53100':
      return unavailable("the server's disk is full", {
        ...options,
        hint: 'Free space on the server, then write again.',
      });
    case '25006':
      return unavailable('the server takes no writes: it is read-only', {
        ...options,
        hint: 'Give the URL of the primary server; with several hosts, add target_session_attrs=read-write.',
      });
    case 'ERR_INVALID_URL':
      return problem('is no URL of a Postgres database', 'It is postgres://user@host:port/database.');
    case '28P01':
    case '28000':
      return problem(
        'the server refuses the user or password',
        "Check the URL's user and password, and pg_hba.conf.",
      );
    case '3D000':
      return problem(
        'there is no such database on the server',
        'Create it with createdb, or correct the URL.',
      );
    case '42501':
      return problem(
        `the user lacks a permission: ${message}`,
        'Grant it, or let a user who may run holdfast migrate.',
      );
    case '0A000':
    case '42704':
      return new UnsupportedError(`the server can't do this: ${message}`, options);
  }
  if (failureOf(error).again) return unavailable(`the server can't be reached: ${message}`, options);
  return new HoldfastError('internal', `the server refused a statement: ${message}`, options);
}

function unavailable(message: string, options: ConstructorParameters<typeof StoreUnavailableError>[1]) {
  return new StoreUnavailableError(message, options);
}

export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

/** Without what the driver adds: details and positions may show values. */
function bare(error: unknown, code: string): Error {
  const cause = new Error(error instanceof Error ? error.message : String(error));
  if (code) Object.assign(cause, { code });
  return cause;
}
