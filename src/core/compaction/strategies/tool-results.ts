import type { Offload } from '../../model/compaction.ts';
import type { Counted } from '../../window/groups.ts';
import { type Shorten, tokensOf, type Unit, withChanged } from '../draft.ts';
import { offloadableLength, placesOf, WORTH_OFFLOADING } from '../marker.ts';

/** An agent still works with what its newest tools said: these groups keep their results. */
const KEEP_NEWEST = 2;

/**
 * Puts markers in place of the oldest tool results, one group after another. Calls and results stay a pair; what was
 * said is read back with `messages.readOffloaded`.
 */
export const toolResults: Shorten = async (draft, job) => {
  const withResults = draft.units.filter((unit) => unit.items.some((item) => offloadsOf(item).length > 0));
  const changed = new Map<Unit, Counted[]>();
  let excess = tokensOf(draft) - job.target;
  for (const unit of withResults.slice(0, -KEEP_NEWEST)) {
    if (excess <= 0) break;
    await job.pause();
    if (unit.needed) continue;
    const items = unit.items.map((item) => shorter(item, job.offload));
    const tokens = items.reduce((sum, item) => sum + item.tokens, 0);
    if (tokens >= unit.tokens) continue;
    changed.set(unit, items);
    excess -= unit.tokens - tokens;
  }
  return withChanged(draft, changed, 'tool-results');
};

function shorter(item: Counted, offload: (item: Counted, offloads: readonly Offload[]) => Counted): Counted {
  const offloads = offloadsOf(item);
  if (offloads.length === 0) return item;
  const marked = offload(item, offloads);
  return marked.tokens < item.tokens ? marked : item;
}

/** The results of a message that are worth a marker. Those that have one are short. */
function offloadsOf({ message, omitted = [] }: Counted): Offload[] {
  const { content } = message;
  if (typeof content === 'string') return [];
  const places = placesOf(content, omitted);
  return content.flatMap((part, index): Offload[] =>
    offloadableLength(part) >= WORTH_OFFLOADING ? [[places[index]!]] : [],
  );
}
