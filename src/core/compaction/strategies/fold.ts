import { type Draft, type Job, tokensOf, tokensOfUnits, type Unit } from '../draft.ts';
import { HEADING_TOKENS } from '../summary.ts';

/** Of what a window has room for beyond its fixed parts, the share that a summary may have. */
const SUMMARY_SHARE = 0.65;
/** No record is larger than a store takes, whatever the window: some 60 KB. */
const LONGEST_SUMMARY = 16_000;
/** A shorter summary says nothing. */
const SHORTEST_SUMMARY = 48;
/** Of the turns that stay as they are, the share that older ones of high priority may have. */
const HIGH_SHARE = 0.5;

/** What becomes a summary, and how long that may be. */
export interface Folded {
  gone: readonly Unit[];
  kept: readonly Unit[];
  /** What the text of the summary may cost. 0: there is no room for one. */
  maxTokens: number;
}

/** Parts the turns in those that stay and those that a summary stands for; undefined when the draft is short enough. */
export function fold(draft: Draft, { target, compressionRatio: ratio }: Job): Folded | undefined {
  if (tokensOf(draft) <= target) return undefined;
  const room = Math.max(0, target - draft.fixed);
  const before = draft.summary?.tokens ?? 0;
  const history = tokensOfUnits(draft.units);
  // The more may stay, the less there is to summarise: what stays and the summary of the rest fill the room.
  const asMany = (room - before - ratio * history) / (1 - ratio);
  const kept = chooseKept(draft.units, Math.max(room * (1 - SUMMARY_SHARE), asMany));
  const gone = draft.units.filter((unit) => !kept.has(unit));
  if (gone.length === 0) return undefined;
  const stays = draft.units.filter((unit) => kept.has(unit));
  const share = before + Math.ceil(ratio * tokensOfUnits(gone));
  const most = Math.min(share, room - tokensOfUnits(stays), LONGEST_SUMMARY) - HEADING_TOKENS;
  return { gone, kept: stays, maxTokens: most < SHORTEST_SUMMARY ? 0 : Math.floor(most) };
}

/** The newest turns that fit, the needed ones whatever they cost, and before them those of high priority. */
function chooseKept(units: readonly Unit[], budget: number): Set<Unit> {
  const kept = new Set(units.filter((unit) => unit.needed));
  let left = budget - tokensOfUnits([...kept]);
  let high = left * HIGH_SHARE;
  for (const unit of units.toReversed()) {
    if (kept.has(unit) || unit.rank !== 'high' || unit.tokens > high) continue;
    kept.add(unit);
    high -= unit.tokens;
    left -= unit.tokens;
  }
  for (const unit of units.toReversed()) {
    if (kept.has(unit) || unit.rank === 'high') continue;
    if (unit.tokens > left) break;
    kept.add(unit);
    left -= unit.tokens;
  }
  return kept;
}
