import { PER_REQUEST } from '../tokens/message-tokens.ts';
import { type Counted, type Group, rankOf } from '../window/groups.ts';
import type { History } from '../window/history.ts';
import type { KeptCompaction } from './compaction-log.ts';
import type { CountedSummary, Draft, Unit } from './draft.ts';
import { seqsIn } from './ranges.ts';

/** More messages than these are not read for one compaction: what is older is left out of it, and is still found by search. */
const MOST_MESSAGES = 10_000;
/** Pages are long from the start: all is read. */
const READ_TOKENS = 1_000_000;

/** What is to be compacted, and what was found on the way. */
export interface Source {
  draft: Draft;
  /** The messages that were read, those that a compaction before has kept among them. */
  readSeqs: readonly number[];
  /** Those of them that stay without being part of the draft: pinned groups, calls that wait for their results. */
  staying: readonly number[];
}

/** Reads what stands in a window without a budget: what came after the last compaction, and what that one left. */
export async function readDraft(history: History, base: KeptCompaction | undefined): Promise<Source> {
  const system = await history.system();
  const known = new Set(system.map(({ message }) => message.seq));
  const groups = await readGroups(history);
  const pinned = await outsidePinned(history, groups, known);
  const turns = groups.filter((group) => !group.items.some(({ message }) => known.has(message.seq)));
  const free = turns.filter((group) => !isPinned(group)).sort((a, b) => a.firstSeq - b.firstSeq);
  const units = await withNeeds(history, free, turns[0]);
  const inside = turns.filter(isPinned);
  const fixed = PER_REQUEST + sum(system) + tokensOfGroups([...inside, ...pinned]) + units.outside;
  const summary = summaryOf(history, base);
  const readSeqs = [...groups.flatMap(seqsOf), ...history.dropped.map(({ message }) => message.seq)];
  return {
    draft: { fixed, units: units.units, touched: 0, done: [], ...(summary && { summary }) },
    readSeqs,
    staying: [...inside.flatMap(seqsOf), ...history.waiting],
  };
}

async function readGroups(history: History): Promise<Group[]> {
  const found: Group[] = [];
  let messages = 0;
  for await (const groups of history.newestFirst(READ_TOKENS)) {
    found.push(...groups);
    messages += groups.reduce((total, group) => total + group.items.length, 0);
    if (messages >= MOST_MESSAGES) break;
  }
  return found;
}

/** The newest group stays, and the user's last turn, and what waits for a tool; a window holds them anyhow. */
async function withNeeds(
  history: History,
  groups: readonly Group[],
  newest: Group | undefined,
): Promise<{ units: Unit[]; outside: number }> {
  const waits = (item: Counted) => item.trimmed === 'unanswered-tool-call';
  const lastUser = groups.findLast((group) => group.items.some(({ message }) => message.role === 'user'));
  const units = groups.map((group): Unit => {
    const needed = group === newest || group === lastUser || group.items.some(waits);
    return { ...group, rank: rankOf(group), needed };
  });
  const older = lastUser ? undefined : await history.lastUser();
  return { units, outside: older?.tokens ?? 0 };
}

/** The groups of pinned messages that were not read, since a compaction left them behind it. */
async function outsidePinned(
  history: History,
  groups: readonly Group[],
  known: ReadonlySet<number>,
): Promise<Group[]> {
  const seen = new Set([...known, ...groups.flatMap(seqsOf)]);
  const found: Group[] = [];
  for (const item of await history.pinned()) {
    if (seen.has(item.message.seq)) continue;
    const group = await history.groupOf(item);
    if (!group) continue;
    for (const seq of seqsOf(group)) seen.add(seq);
    found.push(group);
  }
  return found;
}

function summaryOf(history: History, base: KeptCompaction | undefined): CountedSummary | undefined {
  if (!base?.summary) return undefined;
  return { summary: base.summary, tokens: history.summary()!.tokens, sources: seqsIn(base.sources) };
}

function isPinned({ items }: Group): boolean {
  return items.some(({ message }) => message.pinned);
}

function seqsOf({ items }: Group): number[] {
  return items.map(({ message }) => message.seq);
}

function tokensOfGroups(groups: readonly Group[]): number {
  return groups.reduce((total, { tokens }) => total + tokens, 0);
}

function sum(items: readonly Counted[]): number {
  return items.reduce((total, { tokens }) => total + tokens, 0);
}
