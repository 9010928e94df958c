/** What somebody else's code was called for has not come in time. */
export class TookTooLong extends Error {}

/**
 * Awaits a call to somebody else's code, so long as it may take: one that does not heed the signal holds nobody up.
 * The process stays until then, as an `AbortSignal.timeout` would not make it.
 * @param work is given a signal that is aborted with `signal`, and when the time is over
 * @throws TookTooLong when the time is over, the signal's reason when that is aborted
 */
export async function timed<T>(
  work: (signal: AbortSignal) => PromiseLike<T>,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Promise<T> {
  const timeout = new AbortController();
  const timer = setTimeout(
    () => timeout.abort(new TookTooLong(`took longer than ${timeoutMs} ms`)),
    timeoutMs,
  );
  const either = AbortSignal.any([signal, timeout.signal]);
  try {
    return await orAborted(work(either), either);
  } finally {
    clearTimeout(timer);
  }
}

function orAborted<T>(work: PromiseLike<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).then(() => signal.removeEventListener('abort', abort));
  });
}
