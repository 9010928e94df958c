/** The record beside a log's compactions: which of them count, and who is making one. Pure. */
import type { Compaction } from '../model/compaction.ts';

/** A compaction as far as it decides which one a window stands on. */
export type Candidate = Pick<Compaction, 'id' | 'uptoSeq' | 'forTokens'>;

export interface CompactionHead {
  /** For each budget the best one is among these: of two, the one that covers less is for larger windows. */
  current: Candidate[];
  /** Ids that were undone, from one to another, and when. */
  undone: [from: number, to: number, at: number][];
  /** Ids up to the first that cover the seq: it was edited or taken away. */
  changed: [upToId: number, seq: number, at: number][];
  /** The last seq that any of them covers: a change after it concerns none. */
  covers: number;
  /** The texts of those that cover a changed message are to be erased. */
  erase?: boolean;
  /** After an undo: none is made by itself before the log has come so far. */
  restUntil?: number;
  /** Who is making one. Each write of this record is a new version, which fences what others write. */
  lease?: CompactionLease;
}

export interface CompactionLease {
  holder: string;
  /** Epoch milliseconds. */
  until: number;
  /** The least seq that was edited or taken away since it was taken. */
  touched?: number;
}

/** A compaction made for a window serves windows up to so much larger. */
const LARGER = 1.25;
/** Of longer lists the oldest entries are put together: they then hold for a little more than they did. */
const LONGEST = 128;

/** @param lastId the compactions up to this one are of no use: nothing is known of what they cover */
export function emptyHead(lastId: number, at: number): CompactionHead {
  const changed: CompactionHead['changed'] = lastId > 0 ? [[lastId, 0, at]] : [];
  return { current: [], undone: [], changed, covers: 0, ...(lastId > 0 && { erase: true }) };
}

/** The compaction for a window of so many tokens; for the largest one where absent. */
export function bestFor(head: CompactionHead, maxTokens: number): Candidate | undefined {
  return best(head.current.filter((one) => serves(one, maxTokens)));
}

/** The one that covers the most, whatever it was made for. */
export function mostCovering(head: CompactionHead): Candidate | undefined {
  return best(head.current);
}

export function serves({ forTokens }: Candidate, maxTokens: number): boolean {
  return forTokens === undefined || maxTokens <= forTokens * LARGER;
}

/** Why a compaction no longer counts; undefined while it does. */
export function verdict(head: CompactionHead | undefined, one: Candidate): Compaction['undone'] {
  const id = Number(one.id);
  if (!head) return { at: 0, reason: 'changed' };
  const undone = head.undone.find(([from, to]) => from <= id && id <= to);
  if (undone) return { at: undone[2], reason: 'undone' };
  const changed = head.changed.find(([upToId, seq]) => id <= upToId && one.uptoSeq >= seq);
  return changed && { at: changed[2], reason: 'changed' };
}

/** With one more that counts; those that it is better than for every budget are no longer current. */
export function withCompaction(head: CompactionHead, one: Candidate): CompactionHead {
  const { id, uptoSeq, forTokens } = one;
  const size = sizeOf(one);
  const worse = head.current.some(
    (other) => other.uptoSeq >= uptoSeq && sizeOf(other) >= size && Number(other.id) > Number(id),
  );
  if (worse) return head;
  const better = head.current.filter((other) => other.uptoSeq > uptoSeq || sizeOf(other) > size);
  const candidate: Candidate = { id, uptoSeq, ...(forTokens !== undefined && { forTokens }) };
  const current = [...better, candidate].sort((a, b) => a.uptoSeq - b.uptoSeq).slice(-LONGEST);
  return { ...head, current, covers: Math.max(head.covers, uptoSeq) };
}

/** The compactions from an id on no longer count. `current` is to be worked out anew. */
export function withUndone(head: CompactionHead, from: number, to: number, at: number): CompactionHead {
  const before = head.undone.filter((range) => range[0] < from);
  const undone: CompactionHead['undone'] = [...before, [from, to, at]];
  if (undone.length > LONGEST) undone.splice(0, 2, [undone[0]![0], undone[1]![1], undone[1]![2]]);
  return { ...head, undone };
}

/** A message was edited, or all from it on were taken away. `current` is to be worked out anew. */
export function withChange(head: CompactionHead, lastId: number, seq: number, at: number): CompactionHead {
  const before = head.changed.filter(([, other]) => other < seq);
  const changed: CompactionHead['changed'] = [...before, [lastId, seq, at]];
  if (changed.length > LONGEST) changed.splice(0, 2, [changed[1]![0], changed[0]![1], changed[1]![2]]);
  return { ...head, changed, erase: true };
}

/** The lease is told of a change, so that a compaction under way does not cover what it has not seen. */
export function withTouch(head: CompactionHead, seq: number): CompactionHead {
  if (!head.lease) return head;
  const touched = Math.min(head.lease.touched ?? seq, seq);
  return { ...head, lease: { ...head.lease, touched } };
}

/** Those that were asked for serve windows of any size. */
function sizeOf({ forTokens }: Candidate): number {
  return forTokens ?? Number.POSITIVE_INFINITY;
}

function best(candidates: readonly Candidate[]): Candidate | undefined {
  return candidates.reduce<Candidate | undefined>(
    (one, other) => (!one || other.uptoSeq > one.uptoSeq ? other : one),
    undefined,
  );
}
