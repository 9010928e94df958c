import type { SeqRange } from '../model/compaction.ts';

/** Seqs as ranges, in their order. */
export function rangesOf(seqs: Iterable<number>): SeqRange[] {
  const ranges: SeqRange[] = [];
  for (const seq of [...new Set(seqs)].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last && last[1] + 1 === seq) last[1] = seq;
    else ranges.push([seq, seq]);
  }
  return ranges;
}

export function isIn(ranges: readonly SeqRange[], seq: number): boolean {
  return ranges.some(([from, to]) => from <= seq && seq <= to);
}

/** The reads that give some ranges: neighbours together, with at most `gap` seqs between; none longer than `longest`. */
export function readsOf(ranges: readonly SeqRange[], gap: number, longest: number): SeqRange[] {
  const reads: SeqRange[] = [];
  for (const [from, to] of ranges) {
    const last = reads.at(-1);
    let start = from;
    if (last && from - last[1] <= gap + 1 && from - last[0] < longest) {
      last[1] = Math.min(to, last[0] + longest - 1);
      start = last[1] + 1;
    }
    for (; start <= to; start += longest) reads.push([start, Math.min(to, start + longest - 1)]);
  }
  return reads;
}

export function seqsIn(ranges: readonly SeqRange[]): number[] {
  return ranges.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i));
}
