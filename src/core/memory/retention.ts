/**
 * The forgetting curve: how well a memory is remembered falls with the time since its last use, R = e^(−t/S)
 * (Ebbinghaus, "Über das Gedächtnis", 1885). Its strength S grows with each use, which also starts the time anew, as in
 * MemoryBank (Zhong et al., 2023, arXiv:2305.10250), and with its importance, by the odds of it: 1 at 0.5, 9 at 0.9,
 * without end at 1.
 */
import type { MemorySettings } from './options.ts';

/** What it lives or fades by: the record `memory-life`, apart from the content, since every use writes it. */
export interface Life {
  tier: 'medium' | 'long';
  importance: number;
  uses: number;
  usedAt: number;
  expiresAt?: number;
}

/** Odds below this don't count: what has no importance at all is still kept for a while. */
const LEAST_ODDS = 0.1;

/** S, in milliseconds; infinite for what is never forgotten. */
export function strengthOf({ tier, importance, uses }: Life, { strengthMs }: MemorySettings): number {
  const odds = Math.max(LEAST_ODDS, importance / (1 - importance));
  return strengthMs[tier] * (1 + uses) * odds;
}

/** R, 0 to 1. */
export function retentionOf(life: Life, now: number, settings: MemorySettings): number {
  return Math.exp(-Math.max(0, now - life.usedAt) / strengthOf(life, settings));
}

type Ending = Pick<Life, 'expiresAt'>;

/** Whether something holds as long as another thing, or longer, whatever its use. */
export function outlives(one: Ending, other: Ending): boolean {
  return (one.expiresAt ?? Number.POSITIVE_INFINITY) >= (other.expiresAt ?? Number.POSITIVE_INFINITY);
}

/** Of two in one: it ends when the last of them would have; where one has no end, neither has the whole. */
export function endOfBoth(one: Ending, other: Ending): Ending {
  const { expiresAt } = outlives(one, other) ? one : other;
  return expiresAt === undefined ? {} : { expiresAt };
}

/** When R falls below the settings' `forgetBelow`, or the memory ends (epoch ms); undefined: never. */
export function fadesAt(life: Life, settings: MemorySettings): number | undefined {
  const faded = life.usedAt + strengthOf(life, settings) * Math.log(1 / settings.forgetBelow);
  const at = Math.min(faded, life.expiresAt ?? Number.POSITIVE_INFINITY);
  return Number.isFinite(at) ? Math.ceil(at) : undefined;
}

/** The life of a memory that was used so many times more. Enough uses make a medium-term one a long-term one. */
export function used(life: Life, times: number, at: number, settings: MemorySettings): Life {
  const uses = life.uses + times;
  const rises = life.tier === 'medium' && uses >= settings.promoteUses;
  return { ...life, uses, usedAt: Math.max(at, life.usedAt), tier: rises ? 'long' : life.tier };
}

/** What becomes of a memory that has faded: a medium-term one, once more from the start, or nothing. */
export function faded(life: Life, now: number): Life | undefined {
  const over = life.expiresAt !== undefined && life.expiresAt <= now;
  return over || life.tier === 'medium' ? undefined : { ...life, tier: 'medium', uses: 0, usedAt: now };
}

/** The tier that a memory begins in, unless its caller says it. */
export function firstTier(importance: number, { longImportance }: MemorySettings): 'medium' | 'long' {
  return importance >= longImportance ? 'long' : 'medium';
}
