/** Waits for a promise until a deadline (milliseconds of performance.now()). @returns false when that came first */
export async function before(deadline: number, promise: Promise<unknown>): Promise<boolean> {
  if (deadline === Number.POSITIVE_INFINITY) return promise.then(() => true);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), Math.max(0, deadline - performance.now()));
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
    // What is not waited for goes on; its failure is told to whoever asks next.
    promise.catch(() => undefined);
  }
}
