import type { Rank } from '../../window/groups.ts';
import { type Draft, type Job, type Shorten, tokensOf, type Unit, without } from '../draft.ts';

/** Leaves out the oldest turns; those of high priority only when the others are gone. */
export const truncate: Shorten = (draft, job) => {
  const passes: Rank[][] = [['normal', 'low'], ['high']];
  return without(draft, oldest(draft, job, passes), 'truncate');
};

/** Leaves out the oldest turns of low priority, then of normal, then of high. */
export const priority: Shorten = (draft, job) =>
  without(draft, oldest(draft, job, [['low'], ['normal'], ['high']]), 'priority');

/** The oldest units, rank by rank, that have to go for the draft to be short enough. */
function oldest(draft: Draft, { target }: Job, passes: readonly (readonly Rank[])[]): Set<Unit> {
  const gone = new Set<Unit>();
  let excess = tokensOf(draft) - target;
  for (const ranks of passes) {
    for (const unit of draft.units) {
      if (excess <= 0) return gone;
      if (unit.needed || !ranks.includes(unit.rank)) continue;
      gone.add(unit);
      excess -= unit.tokens;
    }
  }
  return gone;
}
