import { ConfigError, HoldfastError, isHoldfastError, StoreUnavailableError } from '../../core/errors.ts';

/** What can be done about a command that failed. */
export type Remedy =
  /** Ask this node, now and for all that follows. */
  | { readonly kind: 'moved'; readonly address: string }
  /** Ask this node, this once: the slot is on its way there. */
  | { readonly kind: 'ask'; readonly address: string }
  /** Load the script, and try again. */
  | { readonly kind: 'load' }
  /** The server can't at the moment, and did nothing. */
  | { readonly kind: 'wait' }
  /** The server is no master any more, and did nothing: its name may lead to another one by now. */
  | { readonly kind: 'demoted' }
  /** The connection is gone: the command may have been done. */
  | { readonly kind: 'reconnect' }
  | { readonly kind: 'none' };

/** A connection that broke before anybody used it. */
export const CONNECTION_LOST = new StoreUnavailableError('the connection was lost');
/** A slot that no node has, as far as the nodes know. */
export const NO_OWNER = new StoreUnavailableError('a slot of the cluster has no node');

const WAIT = ['TRYAGAIN', 'CLUSTERDOWN', 'LOADING', 'BUSY', 'NOREPLICAS'];
const DEMOTED = ['MASTERDOWN', 'READONLY'];
const CROWDED = /max number of clients/;

/** Errors that a server answered with, as the driver has them. */
export type ErrorReplyClass = abstract new (...args: never[]) => Error;

export function remedyFor(error: unknown, ErrorReply: ErrorReplyClass): Remedy {
  if (error === CONNECTION_LOST) return { kind: 'reconnect' };
  if (error === NO_OWNER) return { kind: 'wait' };
  if (isHoldfastError(error)) return { kind: 'none' };
  if (!(error instanceof ErrorReply)) return { kind: 'reconnect' };
  const [code, , address] = error.message.split(' ');
  if (code === 'MOVED') return { kind: 'moved', address: address! };
  if (code === 'ASK') return { kind: 'ask', address: address! };
  if (code === 'NOSCRIPT') return { kind: 'load' };
  if (DEMOTED.includes(code!)) return { kind: 'demoted' };
  if (CROWDED.test(error.message)) return { kind: 'wait' };
  return { kind: WAIT.includes(code!) ? 'wait' : 'none' };
}

/** The error for a server's answer that trying again does not help against. Of its text only the code is told. */
export function refusal(error: unknown, inDoubt: boolean): Error {
  if (isHoldfastError(error)) return error;
  const message = error instanceof Error ? error.message : '';
  const code = /^-?([A-Z]+)\b/.exec(message)?.[1] ?? 'ERR';
  const details = { redis: code, inDoubt };
  if (
    /^(WRONGPASS|NOAUTH|NOPERM)$/.test(code) ||
    /AUTH|invalid password|The user executing the script can't|ACL failure/.test(message)
  ) {
    return new ConfigError([{ path: 'store', message: `Redis does not let this user in (${code})` }], {
      hint: 'Check the user and password in the URL, and that its rights cover the keys, channels and scripts.',
      details,
    });
  }
  const scheme = wrongScheme(code, message);
  if (scheme)
    return new ConfigError([{ path: 'store', message: scheme.what }], { hint: scheme.hint, details });
  if (code === 'OOM') {
    return new StoreUnavailableError('Redis has no memory left for writes', {
      hint: 'Raise its maxmemory, or let fewer sessions live; nothing was written.',
      details,
    });
  }
  if (code === 'MISCONF') {
    return new StoreUnavailableError('Redis takes no writes because it can not write to its disk', {
      hint: "See the server's log, and whether its disk is full.",
      details,
    });
  }
  // Redis's own words about a script have key names in them at most; they are for the log of who asks for the cause.
  return new HoldfastError('internal', `Redis answered with an error (${code})`, { cause: error, details });
}

/** What a server says that was taken for a single one and is part of a cluster, or the other way round. */
function wrongScheme(code: string, message: string): { what: string; hint: string } | undefined {
  if (code === 'MOVED' || code === 'CROSSSLOT') {
    return {
      what: `the server is a node of a Redis Cluster (${code})`,
      hint: 'Use redis-cluster:// with any of its nodes.',
    };
  }
  if (/cluster support disabled/.test(message)) {
    return { what: 'the server is no node of a Redis Cluster', hint: 'Use redis:// for a single server.' };
  }
  return undefined;
}

/** The error for a server that can't be reached, or asked nothing, in time. */
export function unavailable(error: unknown, timeoutMs: number, inDoubt: boolean): StoreUnavailableError {
  const reason = error instanceof Error ? error.message.replace(/\s.*$/s, '') : '';
  const code = (error as { code?: unknown } | undefined)?.code;
  const crowded = error instanceof Error && CROWDED.test(error.message);
  const why = crowded
    ? 'too many clients'
    : typeof code === 'string'
      ? code
      : /^[A-Z]{4,}$/.test(reason)
        ? reason
        : 'no answer';
  return new StoreUnavailableError(`Redis can't be reached or used for ${timeoutMs} ms (${why})`, {
    hint: inDoubt
      ? 'Try again later. A write that was under way may have been done: give batches an id to try them again.'
      : 'Try again later. Nothing was written.',
    details: { inDoubt },
    cause: error,
  });
}

export function notReplicated(replicas: number, found: number): StoreUnavailableError {
  return new StoreUnavailableError(
    `the write is on the master, but on ${found} of the ${replicas} replicas that durability 'replicated' asks for`,
    {
      hint: 'See whether the replicas are up and connected. The write may be lost in a failover.',
      details: { inDoubt: true, replicas, found },
    },
  );
}
