import type { Offload } from './compaction.ts';
import type { Message } from './message.ts';

/** The parts of a window, in the order in which a model is given them: what changes least comes first. */
export type SectionName = 'system' | 'pinned' | 'summary' | 'older' | 'recent' | 'recalled';

/** Why a message is in the window. */
export type InReason =
  | 'system'
  | 'pinned'
  | 'summary'
  | 'high-priority'
  | 'newest'
  | 'last-user-turn'
  | 'fits'
  | 'recalled';

/** Why messages were left out. */
export type OutReason =
  | 'budget'
  | 'low-priority'
  | 'compacted'
  | 'unanswered-tool-call'
  | 'orphaned-tool-result';

export interface WindowItem {
  id: string;
  /** Its place in the log; 0 for a summary and -1 for what is recalled, which have none. */
  seq: number;
  /** As the counter counts them, before `reportUsage` has taught us better. */
  tokens: number;
  reason: InReason;
  /** Part of the message was left out: tool calls that were never answered. */
  trimmed?: OutReason;
  /** Of what is recalled: the messages and memories that it tells. */
  recalled?: Recalled[];
  /** Parts that stand as markers: `messages.readOffloaded` gives them back whole. */
  offloaded?: Offload[];
}

/** A message of the session, or a memory of its user, that a window tells again; with the version of its text. */
export type Recalled = { seq: number; version: number } | { memoryId: string; version: number };

/** How recalling went, as it is recorded. */
export interface RecordedRecall {
  /** What was looked for, where it was given. */
  query?: string;
  /** Else the user turn whose text it was: read from there again, so that deleted text does not live on in a record. */
  querySeq?: number;
  /** Texts longer than that many tokens were cut to what the query is about. */
  cutTokens: number;
  /** Whether everything was searched. Not so when the store was away, or its index behind at the deadline. */
  index: { complete: boolean; behind: number };
}

/** How recalling went. */
export interface RecallReport extends RecordedRecall {
  /** What was looked for: as given, or what the last user turn says. */
  query: string;
}

export interface WindowSection {
  name: SectionName;
  tokens: number;
  items: WindowItem[];
}

/**
 * `count` messages that are not in the window, between two seqs; others in between may be. `tokens` is absent where
 * they were not even read: `count` is then an upper bound for a window of the past whose log has holes.
 */
export interface LeftOut {
  reason: OutReason;
  fromSeq: number;
  toSeq: number;
  count: number;
  tokens?: number;
}

/** How the budget was spent. All numbers are tokens. */
export interface WindowBudget {
  maxTokens: number;
  /** Kept free for the reply. */
  reply: number;
  /** Spent on tool schemas. */
  tools: number;
  /** What was left for messages. */
  messages: number;
}

/** What a model is given for its next call, and why. */
export interface ContextWindow {
  messages: Message[];
  /** What the messages cost, with the frame of the request; never more than `budget.messages`. */
  tokens: number;
  budget: WindowBudget;
  sections: WindowSection[];
  leftOut: LeftOut[];
  /**
   * Hash of what the window begins with: system prompt, pinned messages, the summary, and where the turns start and have gaps. While
   * a log grows and the hash stays the same, each window begins with all of the one before it, new user turns or not
   * (recalled messages aside, which stand before the last user message), and a provider's prompt cache keeps hitting.
   * It stays the same as long as nothing is evicted, compacted, edited or newly pinned, and no tool call waits for its
   * result.
   */
  prefixHash: string;
  /** Indexes into `messages` after which a cache breakpoint pays off, four at most; the last is the window's end. */
  cacheBreakpoints: number[];
  /** The end of the log that the window was built on. */
  atSeq: number;
  /** The id of the compaction that the window stands on, where there is one. */
  compaction?: string;
  /** Absent where nothing was looked for. */
  recall?: RecallReport;
  counter: { name: string; estimated: boolean };
}

/** What was recorded of a window: enough to show later what the model saw. */
export interface WindowManifest {
  id: string;
  /** Epoch milliseconds. */
  at: number;
  channel?: string;
  model?: string;
  query?: string;
  atSeq: number;
  compaction?: string;
  recall?: RecordedRecall;
  tokens: number;
  budget: WindowBudget;
  counter: { name: string; estimated: boolean };
  sections: WindowSection[];
  leftOut: LeftOut[];
  prefixHash: string;
  /** What this window begins with that the recorded one before it began with as well. */
  sharedPrefix: { messages: number; tokens: number };
  /**
   * Each message in the window's order: seq, version of its text, tokens; indexes of parts that were left out; parts
   * that stood as markers. The summary is that of seq 0, and its version is the compaction's id; what is recalled is
   * that of seq -1.
   */
  messages: ManifestItem[];
}

export type ManifestItem = [
  seq: number,
  version: number,
  tokens: number,
  omitted?: number[] | null,
  offloaded?: Offload[],
];
