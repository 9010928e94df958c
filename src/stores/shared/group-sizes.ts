import type { CommitGroups } from '../../core/store.ts';

/** Sizes are told up to 1024, in powers of two. */
const LARGEST_POWER = 10;

/** Counts the groups that a store commits. */
export class GroupSizes {
  readonly #sizes = new Float64Array(LARGEST_POWER + 2);
  #batches = 0;
  #largest = 0;

  add(size: number): void {
    this.#batches += size;
    if (size > this.#largest) this.#largest = size;
    // 1 is the power 0, 2 the power 1, 3 and 4 the power 2.
    const power = size <= 1 ? 0 : 32 - Math.clz32(size - 1);
    this.#sizes[Math.min(power, LARGEST_POWER + 1)]!++;
  }

  told(waiting: number): CommitGroups {
    const sizes = [...this.#sizes];
    const groups = sizes.reduce((sum, count) => sum + count, 0);
    return { groups, batches: this.#batches, largest: this.#largest, sizes, waiting };
  }
}

/** What several lanes tell, together. */
export function together(lanes: readonly CommitGroups[]): CommitGroups {
  const sum = (field: (lane: CommitGroups) => number) => lanes.reduce((all, lane) => all + field(lane), 0);
  return {
    groups: sum(({ groups }) => groups),
    batches: sum(({ batches }) => batches),
    largest: Math.max(0, ...lanes.map(({ largest }) => largest)),
    sizes: Array.from({ length: LARGEST_POWER + 2 }, (_, i) => sum(({ sizes }) => sizes[i]!)),
    waiting: sum(({ waiting }) => waiting),
  };
}
