/**
 * Runs something, and tells when it has ended, and how. What it gives is given on as it is: nobody waits longer for it.
 * @param end is told what went wrong, `undefined` where nothing did, and what came of it
 */
export function whenSettled<T>(run: () => T, end: (error: unknown, result?: Awaited<T>) => void): T {
  let given: T;
  try {
    given = run();
  } catch (error) {
    end(error ?? NOTHING);
    throw error;
  }
  if (given instanceof Promise) {
    given.then(
      (result: Awaited<T>) => end(undefined, result),
      (error: unknown) => end(error ?? NOTHING),
    );
  } else end(undefined, given as Awaited<T>);
  return given;
}

/** Stands for an error that somebody threw as `undefined`. */
const NOTHING = 'nothing';
