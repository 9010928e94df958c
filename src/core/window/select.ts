import { BudgetError } from '../errors.ts';
import type { InReason, LeftOut, OutReason } from '../model/window.ts';
import type { Counted, Group } from './groups.ts';
import type { History } from './history.ts';

/** Low-priority messages don't count against the budget while reading; this many budgets of them end it. */
const READ_BUDGETS = 4;

/** A message that goes into the window, and why. */
export interface Chosen extends Counted {
  reason: InReason;
}

export interface Selection {
  system: Chosen[];
  pinned: Chosen[];
  /** The conversation, in chronological order. */
  turns: Chosen[];
  leftOut: LeftOut[];
  /** What is left of the budget. */
  left: number;
}

/** A group with what became of it: without a reason it is left out. */
interface Candidate extends Group {
  rank: 'high' | 'normal' | 'low';
  reason?: InReason;
}

/**
 * Chooses what goes into a window: the system prompt, pinned messages, the newest group and the last user turn
 * whatever they cost; then messages of high priority, then the newest others, then those of low priority.
 * @param budget tokens that messages may cost
 * @param reserve tokens of it to leave for what comes later, unless what must be in needs them
 * @throws BudgetError when what must be in does not fit
 */
export async function select(history: History, budget: number, reserve = 0): Promise<Selection> {
  const system = (await history.system()).map((item): Chosen => ({ ...item, reason: 'system' }));
  const known = new Set(system.map((item) => item.message.seq));
  const groups = await readCandidates(history, known, budget - sum(system));
  await addPinned(history, known, groups);
  const free = budget - requiredTokens(system, groups, budget);
  const kept = Math.min(free, reserve);
  let left = free - kept;
  left = await chooseHigh(history, groups, left);
  left = chooseNewest(groups, left);
  left = chooseLow(groups, left);
  const chosen = groups.filter((group) => group.reason).sort((a, b) => a.firstSeq - b.firstSeq);
  return {
    system,
    pinned: itemsOf(chosen.filter((group) => group.reason === 'pinned')),
    turns: itemsOf(chosen.filter((group) => group.reason !== 'pinned')),
    leftOut: explain(history, groups, known),
    left: left + kept,
  };
}

/** Reads groups from the log's end until the budget is surely spent, and the last user turn is among them. */
async function readCandidates(
  history: History,
  skip: ReadonlySet<number>,
  budget: number,
): Promise<Candidate[]> {
  const candidates: Candidate[] = [];
  let spent = 0;
  let read = 0;
  let user = false;
  for await (const groups of history.newestFirst(budget)) {
    for (const group of groups) {
      if (skip.size > 0 && group.items.every((item) => skip.has(item.message.seq))) continue;
      const candidate: Candidate = { ...group, rank: rankOf(group) };
      if (candidates.length === 0) candidate.reason = 'newest';
      if (!user && group.items.some((item) => item.message.role === 'user')) {
        user = true;
        candidate.reason ??= 'last-user-turn';
      }
      candidates.push(candidate);
      read += group.tokens;
      if (candidate.rank !== 'low') spent += group.tokens;
    }
    if (user && (spent > budget || read > budget * READ_BUDGETS)) break;
  }
  return candidates;
}

/** Pinned messages are in, whatever they cost and however old they are; one of a tool group with its whole group. */
async function addPinned(history: History, known: ReadonlySet<number>, groups: Candidate[]): Promise<void> {
  for (const item of await history.pinned()) {
    const { seq } = item.message;
    if (known.has(seq)) continue;
    let group = groups.find((candidate) => seqsOf(candidate).includes(seq));
    if (!group) {
      const whole = await history.groupOf(item);
      if (!whole) continue;
      group = { ...whole, rank: 'high' };
      groups.push(group);
    }
    group.reason ??= 'pinned';
  }
}

function requiredTokens(system: readonly Chosen[], groups: readonly Candidate[], budget: number): number {
  const of = (reason: InReason) => sum(itemsOf(groups.filter((group) => group.reason === reason)));
  const parts = {
    system: sum(system),
    pinned: of('pinned'),
    newest: of('newest'),
    lastUserTurn: of('last-user-turn'),
  };
  const required = parts.system + parts.pinned + parts.newest + parts.lastUserTurn;
  if (required > budget) throw new BudgetError(required, budget, parts);
  return required;
}

/** High priority first, the newest of it first, also from before what was read. */
async function chooseHigh(history: History, groups: Candidate[], budget: number): Promise<number> {
  let left = budget;
  for (const group of groups) {
    if (group.reason || group.rank !== 'high' || group.tokens > left) continue;
    group.reason = 'high-priority';
    left -= group.tokens;
  }
  for await (const item of history.highPriority(history.oldestRead)) {
    if (item.tokens > left) break;
    const group = await history.groupOf(item);
    if (!group || group.tokens > left || groups.some((other) => overlap(other, group))) continue;
    groups.push({ ...group, rank: 'high', reason: 'high-priority' });
    left -= group.tokens;
  }
  return left;
}

/** The newest turns without a gap, until one does not fit. */
function chooseNewest(groups: Candidate[], budget: number): number {
  let left = budget;
  for (const group of groups) {
    if (group.reason || group.rank !== 'normal') continue;
    if (group.tokens > left) break;
    group.reason = 'fits';
    left -= group.tokens;
  }
  return left;
}

/** Low priority fills what is left, among the turns that are in. */
function chooseLow(groups: Candidate[], budget: number): number {
  let left = budget;
  const full = groups.findIndex((group) => !group.reason && group.rank === 'normal');
  for (const group of full < 0 ? groups : groups.slice(0, full)) {
    if (group.reason || group.tokens > left) continue;
    group.reason = 'fits';
    left -= group.tokens;
  }
  return left;
}

/** What is not in, and why: groups that were read, and the stretch before them that was not. */
function explain(history: History, groups: readonly Candidate[], system: ReadonlySet<number>): LeftOut[] {
  const out: LeftOut[] = history.dropped.map(({ message, tokens, reason }) =>
    stretch(reason, [message.seq], tokens),
  );
  for (const group of groups) {
    if (!group.reason)
      out.push(stretch(group.rank === 'low' ? 'low-priority' : 'budget', seqsOf(group), group.tokens));
  }
  const { count, firstSeq: start } = history.unread;
  const known = [...system].filter((seq) => seq < history.oldestRead);
  const found = groups.filter((group) => group.firstSeq < history.oldestRead).flatMap(seqsOf);
  const unread = count - known.length - found.length;
  if (unread > 0) {
    out.push({
      reason: 'budget',
      fromSeq: start + known.length,
      toSeq: history.oldestRead - 1,
      count: unread,
    });
  }
  return joined(out.sort((a, b) => a.fromSeq - b.fromSeq));
}

/** Neighbours that were left out for the same reason are told as one stretch. */
function joined(out: readonly LeftOut[]): LeftOut[] {
  const stretches: LeftOut[] = [];
  for (const next of out) {
    const last = stretches.at(-1);
    const follows = last && last.reason === next.reason && last.toSeq + 1 === next.fromSeq;
    if (!follows || (last.tokens === undefined) !== (next.tokens === undefined)) stretches.push({ ...next });
    else {
      last.toSeq = next.toSeq;
      last.count += next.count;
      if (last.tokens !== undefined) last.tokens += next.tokens!;
    }
  }
  return stretches;
}

function stretch(reason: OutReason, seqs: readonly number[], tokens: number): LeftOut {
  return { reason, fromSeq: Math.min(...seqs), toSeq: Math.max(...seqs), count: seqs.length, tokens };
}

function rankOf({ items }: Group): Candidate['rank'] {
  if (items.some((item) => item.message.priority === 'high')) return 'high';
  return items.every((item) => item.message.priority === 'low') ? 'low' : 'normal';
}

function itemsOf(groups: readonly Candidate[]): Chosen[] {
  const chosen: Chosen[] = [];
  for (const { items, reason } of groups) for (const item of items) chosen.push({ ...item, reason: reason! });
  return chosen;
}

function overlap(a: Group, b: Group): boolean {
  const seqs = seqsOf(a);
  return seqsOf(b).some((seq) => seqs.includes(seq));
}

function seqsOf(group: Group): number[] {
  return group.items.map((item) => item.message.seq);
}

function sum(items: readonly Counted[]): number {
  return items.reduce((total, item) => total + item.tokens, 0);
}
