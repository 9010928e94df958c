/** Those that listen to a signal, with one listener for all of them. */
interface Audience {
  readonly callbacks: Set<() => void>;
  readonly listener: () => void;
}

const audiences = new WeakMap<AbortSignal, Audience>();

/**
 * Calls back when a signal is aborted. Thousands of jobs may share one, and Node looks through all listeners of a signal
 * to add or remove one: so they share a listener as well.
 * @returns what takes the callback off again
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const audience = audiences.get(signal) ?? gather(signal);
  const { callbacks, listener } = audience;
  callbacks.add(callback);
  return () => {
    if (!callbacks.delete(callback) || callbacks.size > 0) return;
    // A listener would keep a signal that was made of others for as long as those are there.
    signal.removeEventListener('abort', listener);
    audiences.delete(signal);
  };
}

function gather(signal: AbortSignal): Audience {
  const callbacks = new Set<() => void>();
  const listener = () => {
    for (const callback of callbacks) callback();
  };
  signal.addEventListener('abort', listener, { once: true });
  const audience = { callbacks, listener };
  audiences.set(signal, audience);
  return audience;
}
