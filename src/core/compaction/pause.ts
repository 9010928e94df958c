import { setImmediate as nextTurn } from 'node:timers/promises';

/** To be awaited between steps of long work, so that others have their turn. */
export type Pause = () => Promise<void> | undefined;

/** So much work is done at a time. */
const AT_A_TIME_MS = 10;

/** @returns what waits for a turn of the event loop when it is time to, and throws the signal's reason when that is aborted */
export function createPause(signal?: AbortSignal): Pause {
  let until = performance.now() + AT_A_TIME_MS;
  const wait = async () => {
    await nextTurn();
    signal?.throwIfAborted();
    until = performance.now() + AT_A_TIME_MS;
  };
  return () => (performance.now() < until ? undefined : wait());
}
