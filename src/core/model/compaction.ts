/** Compactions: what stands in a window for the older part of a log. The log itself is never changed by one. */

/** Ways to make a history shorter, in no order. */
export const strategies = [
  'truncate',
  'priority',
  'tool-results',
  'dedup',
  'extractive',
  'summarize',
] as const;
export type Strategy = (typeof strategies)[number];

/** Seqs from one to another, both inclusive. */
export type SeqRange = [from: number, to: number];

/**
 * A part of a message that is shown as a marker; −1 is the whole of a message that is one text. Where the same stands
 * in another message, that one's seq.
 */
export type Offload = [part: number, sameAs?: number];

/** What stands for a log up to and with `uptoSeq`. */
export interface Compaction {
  /** Its place among the compactions of its log. */
  id: string;
  /** Epoch milliseconds. */
  createdAt: number;
  channel?: string;
  /** What was done, in its order: `tool-results+extractive`. */
  strategy: string;
  /** The messages that it was made from; those before `fromSeq` were not read. */
  fromSeq: number;
  uptoSeq: number;
  /** Where the log ended when it was made. Windows of an earlier `atSeq` are built without it. */
  atSeq: number;
  /** The text that stands in the window; absent where a strategy only leaves things out. */
  summary?: string;
  /** The messages that the summary was made from. */
  sources: SeqRange[];
  /** The messages up to `uptoSeq` that stay in the window. */
  kept: SeqRange[];
  /** Parts of those that are shown as markers, by seq. */
  offloaded: [seq: number, ...Offload][];
  /** How many messages of the log are not after `uptoSeq`. */
  covered: number;
  /** What the messages of a window with everything cost before it, and after it; the request's frame included. */
  tokensBefore: number;
  tokensAfter: number;
  counter: string;
  /** The compaction that it goes on from. */
  base?: string;
  /** Made by itself for windows of so many tokens: much larger ones don't use it. */
  forTokens?: number;
  /** The model that wrote the summary, where one did, and it has a name. */
  model?: string;
  /** Why it was not made as it was asked to be, by the strategy that failed: `summarize: …`. */
  fallback?: string;
  /** It no longer counts: by `undo`, or because a message that it covers was edited or taken away. */
  undone?: { at: number; reason: 'undone' | 'changed' };
}

/** Why there was no compaction. */
export type RefusalReason =
  /** There is nothing that may be left out, or it is short enough. */
  | 'nothing-to-compact'
  /** It would save less than `minSaving`. */
  | 'saves-too-little'
  /** Another one is under way for this session, in this process or another. */
  | 'under-way'
  /** A message that it covers was edited or taken away meanwhile, or its time was up. */
  | 'changed-meanwhile';

export interface Refusal {
  reason: RefusalReason;
  tokensBefore?: number;
  /** What it would have come to. */
  tokensAfter?: number;
  /** `under-way`: when the right to it ends, unless whoever makes it is alive and renews it. Epoch milliseconds. */
  until?: number;
}

/** What came of `window.compact`: one of the two. */
export type CompactionResult =
  | { compaction: Compaction; refused?: undefined }
  | { compaction?: undefined; refused: Refusal };
