import type { Entry, LogRange } from '../../core/store.ts';

/** Seqs that follow each other. */
export type Run = readonly [first: number, last: number];

/** The seqs that a range names and that are within its bounds, in their order. */
export function runsOf({ seqs = [], after = 0, before = Number.POSITIVE_INFINITY }: LogRange): Run[] {
  const runs: [number, number][] = [];
  const wanted = seqs.filter((seq) => seq > Math.max(after, 0) && seq < before);
  for (const seq of wanted.sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last && seq <= last[1] + 1) last[1] = seq;
    else runs.push([seq, seq]);
  }
  return runs;
}

/** Of entries found by their ids or seqs, each once, those that a range asks for. */
export function pick(entries: readonly Entry[], { mark, reverse, limit }: LogRange): Entry[] {
  return entries
    .filter((entry) => mark === undefined || entry.mark === mark)
    .sort((a, b) => (reverse ? b.seq - a.seq : a.seq - b.seq))
    .slice(0, limit);
}
