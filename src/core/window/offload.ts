import { offloadableLength, placesOf, WORTH_OFFLOADING } from '../compaction/marker.ts';
import type { Candidate } from './groups.ts';
import type { History } from './history.ts';

/** A group of more than this share of the room has its results as markers, unless it is the newest, and fits. */
const LARGE = 0.5;

/**
 * Puts markers in place of tool results that are too large for the window, the largest first: of a required group as
 * many as it takes for all that are required to fit, of another when it would take more than half of the room alone.
 * Pinned messages stay as they are.
 */
export function offloadHuge(
  history: History,
  groups: readonly Candidate[],
  { room, fixed }: { room: number; fixed: number },
): void {
  const required = groups.filter((group) => group.reason);
  const excess = () => fixed + required.reduce((total, group) => total + group.tokens, 0) - room;
  if (excess() > 0) {
    const results = required.flatMap(resultsOf).sort((a, b) => b.length - a.length);
    for (const result of results) {
      if (excess() <= 0) break;
      offload(history, result);
    }
  }
  for (const group of groups) {
    if (group.reason || group.tokens <= room * LARGE) continue;
    const results = resultsOf(group).sort((a, b) => b.length - a.length);
    for (const result of results) if (group.tokens > room * LARGE) offload(history, result);
  }
}

interface Result {
  group: Candidate;
  /** Where its message is in the group. */
  place: number;
  /** Where it is in the message as it is in the log. */
  part: number;
  length: number;
}

function resultsOf(group: Candidate): Result[] {
  return group.items.flatMap(({ message, omitted = [] }, place) => {
    if (typeof message.content === 'string' || message.pinned) return [];
    const parts = placesOf(message.content, omitted);
    return message.content.flatMap((one, index): Result[] => {
      const length = offloadableLength(one);
      return length < WORTH_OFFLOADING ? [] : [{ group, place, part: parts[index]!, length }];
    });
  });
}

function offload(history: History, { group, place, part }: Result): void {
  const item = group.items[place]!;
  const shorter = history.offload(item, [[part]]);
  if (shorter.tokens >= item.tokens) return;
  group.items[place] = shorter;
  group.tokens += shorter.tokens - item.tokens;
}
