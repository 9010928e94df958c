/** A compaction in the making: what strategies work on. */
import type { Offload, Strategy } from '../model/compaction.ts';
import type { TokenCounter } from '../tokens/counter.ts';
import type { Counted, Group, Rank } from '../window/groups.ts';
import type { Pause } from './pause.ts';
import type { Summary } from './summary.ts';

/** A group of messages that are in the window so far. */
export interface Unit extends Group {
  rank: Rank;
  /** The newest group, and the user's last turn: they stay as they are. */
  needed: boolean;
}

export interface Draft {
  /** What all windows hold anyhow: system prompt, pinned messages, the request's frame. Tokens. */
  readonly fixed: number;
  /** In chronological order. */
  readonly units: readonly Unit[];
  readonly summary?: CountedSummary;
  /** The last seq of what was left out or changed; 0 for nothing yet. */
  readonly touched: number;
  /** The strategies that did something. */
  readonly done: readonly Strategy[];
  /** Why one of them did it in another way than it was asked to. */
  readonly fallback?: string;
}

export interface CountedSummary {
  summary: Summary;
  /** What it costs as a message. */
  tokens: number;
  /** The messages that it was made from. */
  sources: readonly number[];
}

/** What a compaction is to come to, and what with. */
export interface Job {
  /** What the window is to cost in all, by the counter's tokens. */
  readonly target: number;
  /** The share of what it stands for that a summary may have. */
  readonly compressionRatio: number;
  readonly counter: TokenCounter;
  /** A message with parts as markers. */
  offload(item: Counted, offloads: readonly Offload[]): Counted;
  readonly summarize?: Summarize;
  readonly signal: AbortSignal;
  /** Awaited between steps of work that takes long. */
  readonly pause: Pause;
}

/**
 * Writes a summary with a model. The text was checked. A problem says, without content, why there is none, or one of only
 * the first `done` messages.
 */
export type Summarize = (
  part: SummarizePart,
) => Promise<{ text: string; done: number; problem?: string } | { text?: undefined; problem: string }>;

export interface SummarizePart {
  /** The summary so far, which the new one is to take up. */
  previous: string | undefined;
  items: readonly Counted[];
  maxTokens: number;
  counter: TokenCounter;
  signal: AbortSignal;
}

/** One way to make a draft shorter. Gives the same draft back when it is short enough, or nothing can be done. */
export type Shorten = (draft: Draft, job: Job) => Draft | Promise<Draft>;

export function tokensOf({ fixed, units, summary }: Omit<Draft, 'done' | 'touched'>): number {
  return fixed + (summary?.tokens ?? 0) + tokensOfUnits(units);
}

export function tokensOfUnits(units: readonly Unit[]): number {
  return units.reduce((sum, unit) => sum + unit.tokens, 0);
}

/** The last seq of some units. */
export function lastSeqOf(units: readonly Unit[]): number {
  return units.reduce((last, { items }) => Math.max(last, ...items.map(({ message }) => message.seq)), 0);
}

/** A draft without some units. */
export function without(draft: Draft, gone: ReadonlySet<Unit>, strategy: Strategy): Draft {
  if (gone.size === 0) return draft;
  return {
    ...draft,
    units: draft.units.filter((unit) => !gone.has(unit)),
    touched: Math.max(draft.touched, lastSeqOf([...gone])),
    done: [...draft.done, strategy],
  };
}

/** A draft with some units in place of others. */
export function withChanged(
  draft: Draft,
  changed: ReadonlyMap<Unit, readonly Counted[]>,
  strategy: Strategy,
): Draft {
  if (changed.size === 0) return draft;
  const units = draft.units.map((unit): Unit => {
    const items = changed.get(unit);
    if (!items) return unit;
    return { ...unit, items: [...items], tokens: items.reduce((sum, { tokens }) => sum + tokens, 0) };
  });
  const touched = Math.max(draft.touched, lastSeqOf([...changed.keys()]));
  return { ...draft, units, touched, done: [...draft.done, strategy] };
}
