/** Tasks that are to be closed when the process is told to end. */
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

const watched = new Set<{ close(): Promise<void> }>();

/** Closes a task on SIGINT and SIGTERM, which then take their normal course. @returns a function that ends this */
export function watchSignals(task: { close(): Promise<void> }): () => void {
  if (watched.size === 0) for (const signal of SIGNALS) process.on(signal, onSignal);
  watched.add(task);
  return () => {
    if (watched.delete(task) && watched.size === 0) unwatch();
  };
}

function unwatch(): void {
  for (const signal of SIGNALS) process.off(signal, onSignal);
}

/** A second signal finds no handler of ours any more: whoever can't wait need not. */
function onSignal(signal: NodeJS.Signals): void {
  const tasks = [...watched];
  watched.clear();
  unwatch();
  Promise.allSettled(tasks.map((task) => task.close())).then(() => {
    // Whoever else listens decides for the process; where nobody does, the signal ends it, as it always has.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  });
}
