/** A stretch of a log that a history leaves out: first and last seq. */
export type Gap = [first: number, last: number];

/** So many are kept, the largest: a history that lies in more pieces comes back with a few of the updates between. */
const MAX_GAPS = 4096;

/**
 * Stretches of a log that hold all that was removed and nothing that was kept.
 * @param kept seqs, ascending @param removed seqs, in any order
 */
export function gapsOf(before: readonly Gap[], removed: readonly number[], kept: readonly number[]): Gap[] {
  const all = [...before, ...removed.map((seq): Gap => [seq, seq])].sort((a, b) => a[0] - b[0]);
  const gaps: Gap[] = [];
  let next = 0;
  for (const [first, last] of all) {
    const open = gaps.at(-1);
    while (next < kept.length && open && kept[next]! <= open[1]) next++;
    const between = next < kept.length && kept[next]! < first;
    if (open && !between) open[1] = Math.max(open[1], last);
    else gaps.push([first, last]);
  }
  if (gaps.length <= MAX_GAPS) return gaps;
  const largest = gaps.sort((a, b) => b[1] - b[0] - (a[1] - a[0])).slice(0, MAX_GAPS);
  return largest.sort((a, b) => a[0] - b[0]);
}
