import type { InReason, LeftOut, OutReason, Recalled } from '../model/window.ts';
import type { Budget } from './budget.ts';
import { type Candidate, type Counted, type Group, groupOf, rankOf } from './groups.ts';
import type { History } from './history.ts';
import { offloadHuge } from './offload.ts';

/** Low-priority messages don't count against the budget while reading; this many budgets of them end it. */
const READ_BUDGETS = 4;

/** A message that goes into the window, and why. */
export interface Chosen extends Counted {
  reason: InReason;
  /** What it tells again. */
  recalled?: Recalled[];
}

export interface Selection {
  system: Chosen[];
  pinned: Chosen[];
  /** What stands for messages before the turns; one at most. */
  summary: Chosen[];
  /** The conversation, in chronological order. */
  turns: Chosen[];
  /** All groups that were looked at, those left out among them. */
  groups: readonly Candidate[];
  /** What is left of the budget, in the counter's tokens. */
  left: number;
  /** What turns could take of it: all but what was kept for later. */
  room: number;
  /** The whole conversation is in. */
  whole: boolean;
}

/**
 * Chooses what goes into a window: the system prompt, pinned messages, the newest group and the last user turn
 * whatever they cost; then the summary of what was compacted, messages of high priority, then the newest others, then
 * those of low priority.
 * @param reserve how many tokens to leave for what comes later, where the conversation is longer than the budget, unless
 * what must be in needs them
 * @throws BudgetError when what must be in does not fit
 */
export async function select(history: History, budget: Budget, reserve = 0): Promise<Selection> {
  const system = (await history.system()).map((item): Chosen => ({ ...item, reason: 'system' }));
  const known = new Set(system.map((item) => item.message.seq));
  const groups = await readCandidates(history, known, budget.room - sum(system));
  await addPinned(history, known, groups);
  offloadHuge(history, groups, { room: budget.room, fixed: sum(system) });
  const free = budget.room - requiredTokens(system, groups, budget);
  const told = history.summary();
  const unspent = free - restTokens(history, groups, told);
  const whole = unspent >= 0 && history.floor === 0;
  // Nothing is let go of for what may be recalled as long as all of it has room.
  const kept = whole ? 0 : Math.min(unspent >= 0 ? unspent : free, reserve);
  const summary = chooseSummary(told, free - kept);
  let left = free - kept - sum(summary);
  left = await chooseHigh(history, known, groups, left);
  left = chooseNewest(groups, left);
  left = chooseLow(groups, left);
  const chosen = groups.filter((group) => group.reason).sort((a, b) => a.firstSeq - b.firstSeq);
  return {
    system,
    pinned: itemsOf(chosen.filter((group) => group.reason === 'pinned')),
    summary,
    turns: itemsOf(chosen.filter((group) => group.reason !== 'pinned')),
    groups,
    left: left + kept,
    room: budget.room - (whole ? 0 : Math.min(free, reserve)),
    whole,
  };
}

/** What all there is costs beyond what must be in: infinitely much where not all was read. */
function restTokens(history: History, groups: readonly Candidate[], summary: Counted | undefined): number {
  if (history.unread.count > 0) return Number.POSITIVE_INFINITY;
  return groups.reduce((total, group) => total + (group.reason ? 0 : group.tokens), summary?.tokens ?? 0);
}

/** Reads groups from the log's end until the budget is surely spent; then finds the last user turn, if it is older. */
async function readCandidates(
  history: History,
  skip: ReadonlySet<number>,
  budget: number,
): Promise<Candidate[]> {
  const candidates: Candidate[] = [];
  let spent = 0;
  let read = 0;
  let user: Candidate | undefined;
  for await (const groups of history.newestFirst(budget)) {
    for (const group of groups) {
      if (skip.size > 0 && group.items.every((item) => skip.has(item.message.seq))) continue;
      // The group is ours: a window has hundreds, so it is filled up, not copied.
      const candidate = group as Candidate;
      candidate.rank = rankOf(group);
      if (candidates.length === 0) candidate.reason = 'newest';
      if (!user && group.items.some((item) => item.message.role === 'user')) user = candidate;
      candidates.push(candidate);
      read += group.tokens;
      if (candidate.rank !== 'low') spent += group.tokens;
    }
    if (candidates.length > 0 && (spent > budget || read + sum(history.dropped) > budget * READ_BUDGETS))
      break;
  }
  if (!user) {
    const item = await history.lastUser();
    if (item) user = { ...groupOf([item]), rank: 'normal' };
    if (user) candidates.push(user);
  }
  if (user) user.reason ??= 'last-user-turn';
  return candidates;
}

/** Pinned messages are in, whatever they cost and however old they are; one of a tool group with its whole group. */
async function addPinned(history: History, known: ReadonlySet<number>, groups: Candidate[]): Promise<void> {
  const pinned = await history.pinned();
  if (pinned.length === 0) return;
  const places = placesOf(groups);
  for (const item of pinned) {
    if (known.has(item.message.seq)) continue;
    let group = places.get(item.message.seq);
    if (!group) {
      const whole = await history.groupOf(item);
      if (!whole || !makeWay(history, groups, seqsOf(whole), places)) continue;
      group = { ...whole, rank: 'high' };
      groups.push(group);
      for (const seq of seqsOf(group)) places.set(seq, group);
    }
    group.reason ??= 'pinned';
  }
}

/**
 * Beside what a compaction has kept, ids of calls that repeat may pair in another way than in the log. A pinned group
 * stands as it is in the log; others that share a message with it go. @returns false when one of those must be in
 */
function makeWay(
  history: History,
  groups: Candidate[],
  seqs: readonly number[],
  places: ReadonlyMap<number, Candidate>,
): boolean {
  const others = new Set(seqs.flatMap((seq) => places.get(seq) ?? []));
  if ([...others].some((group) => group.reason)) return false;
  for (const other of others) {
    groups.splice(groups.indexOf(other), 1);
    history.giveUp(other.items.filter(({ message }) => !seqs.includes(message.seq)));
  }
  return true;
}

function requiredTokens(system: readonly Chosen[], groups: readonly Candidate[], budget: Budget): number {
  const of = (reason: InReason) => {
    return groups.reduce((total, group) => total + (group.reason === reason ? group.tokens : 0), 0);
  };
  const parts = {
    system: sum(system),
    pinned: of('pinned'),
    newest: of('newest'),
    lastUserTurn: of('last-user-turn'),
  };
  const required = parts.system + parts.pinned + parts.newest + parts.lastUserTurn;
  if (required > budget.room) throw budget.tooSmall(parts);
  return required;
}

/** The summary is in unless the window is too small for it: one that was made for a much larger one. */
function chooseSummary(summary: Counted | undefined, budget: number): Chosen[] {
  return summary && summary.tokens <= budget ? [{ ...summary, reason: 'summary' }] : [];
}

/** High priority first, the newest of it first, also from before what was read. */
async function chooseHigh(
  history: History,
  known: ReadonlySet<number>,
  groups: Candidate[],
  budget: number,
): Promise<number> {
  let left = budget;
  for (const group of groups) {
    if (group.reason || group.rank !== 'high' || group.tokens > left) continue;
    group.reason = 'high-priority';
    left -= group.tokens;
  }
  let places: Map<number, Candidate> | undefined;
  let passed = 0;
  for await (const item of history.highPriority(history.oldestRead)) {
    const { seq } = item.message;
    places ??= placesOf(groups);
    if (known.has(seq) || places.has(seq)) continue;
    if (item.tokens > left) break;
    const group = await history.groupOf(item);
    // Where ids of calls repeat, it may be that what was kept of the group stands in another one.
    const free = group && !seqsOf(group).some((one) => places!.has(one));
    if (free && group.tokens <= left) {
      const chosen: Candidate = { ...group, rank: 'high', reason: 'high-priority' };
      groups.push(chosen);
      for (const one of seqsOf(chosen)) places.set(one, chosen);
      left -= group.tokens;
    } else {
      passed += item.tokens;
      if (passed > budget) break;
    }
  }
  return left;
}

/**
 * The newest turns without a gap, until one does not fit. Where the oldest of them are to go, more go than must: the
 * window then begins at the same turn for a while, and what it begins with stays the same.
 */
function chooseNewest(groups: Candidate[], budget: number): number {
  let left = budget;
  const fitting: Candidate[] = [];
  let full = false;
  for (const group of groups) {
    if (group.reason || group.rank !== 'normal') continue;
    full = group.tokens > left;
    if (full) break;
    fitting.push(group);
    left -= group.tokens;
  }
  const kept = full ? fitting.slice(0, steadyLength(fitting.map((group) => group.firstSeq))) : fitting;
  for (const group of kept) group.reason = 'fits';
  return budget - kept.reduce((total, group) => total + group.tokens, 0);
}

/** Fewer turns are no prefix worth keeping. */
const WORTH_KEEPING = 32;
/** What may be given up so that a window begins at the same turn for longer: of that many, one. */
const STEADY_SHARE = 4;

/**
 * How many of the newest turns to take: the oldest one taken is, of a quarter, the one whose seq can be divided by two
 * the most often. That one stays the same while the log grows, until it no longer fits.
 * @param seqs from the newest to the oldest that fits
 */
function steadyLength(seqs: readonly number[]): number {
  if (seqs.length < WORTH_KEEPING) return seqs.length;
  let best = seqs.length;
  let bestStep = 0;
  for (let length = seqs.length; length > seqs.length * (1 - 1 / STEADY_SHARE); length--) {
    const seq = seqs[length - 1]!;
    let step = 1;
    while (seq % (step * 2) === 0) step *= 2;
    if (step > bestStep) {
      best = length;
      bestStep = step;
    }
  }
  return best;
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

/**
 * What is not in, and why: groups that were read, and the stretch before them that was not.
 * @param recalled seqs of messages that came in after all
 */
export function explain(
  history: History,
  { system, groups }: Selection,
  recalled: ReadonlySet<number>,
): LeftOut[] {
  const dropped = history.dropped.filter(({ message }) => !recalled.has(message.seq));
  const out: LeftOut[] = dropped.map(({ message, tokens, reason }) => stretch(reason, message.seq, tokens));
  const told = new Set([...recalled, ...system.map((item) => item.message.seq)]);
  for (const group of groups) {
    for (const { message, tokens } of group.items) {
      told.add(message.seq);
      if (!group.reason && !recalled.has(message.seq))
        out.push(stretch(group.rank === 'low' ? 'low-priority' : 'budget', message.seq, tokens));
    }
  }
  const { count, firstSeq } = history.unread;
  out.push(...gap('budget', { fromSeq: firstSeq, toSeq: history.oldestRead - 1, count }, told));
  const covered = { fromSeq: history.firstSeq, toSeq: history.floor, count: history.covered };
  out.push(...gap('compacted', covered, told));
  return joined(out.sort((a, b) => a.fromSeq - b.fromSeq));
}

/** A stretch of which only some messages are known: those were told already. */
function gap(reason: OutReason, range: Omit<LeftOut, 'reason'>, told: ReadonlySet<number>): LeftOut[] {
  let { fromSeq, toSeq, count } = range;
  for (const seq of told) if (fromSeq <= seq && seq <= toSeq) count--;
  if (count <= 0) return [];
  while (told.has(fromSeq)) fromSeq++;
  while (told.has(toSeq)) toSeq--;
  return [{ reason, fromSeq, toSeq, count }];
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

function stretch(reason: OutReason, seq: number, tokens: number): LeftOut {
  return { reason, fromSeq: seq, toSeq: seq, count: 1, tokens };
}

/** The messages of groups, each with its group's reason. */
function itemsOf(groups: readonly Candidate[]): Chosen[] {
  const chosen: Chosen[] = [];
  for (const { items, reason } of groups) {
    for (const item of items as Chosen[]) {
      item.reason = reason!;
      chosen.push(item);
    }
  }
  return chosen;
}

function placesOf(groups: readonly Candidate[]): Map<number, Candidate> {
  return new Map(groups.flatMap((group) => seqsOf(group).map((seq): [number, Candidate] => [seq, group])));
}

function seqsOf(group: Group): number[] {
  return group.items.map((item) => item.message.seq);
}

function sum(items: readonly Pick<Counted, 'tokens'>[]): number {
  return items.reduce((total, item) => total + item.tokens, 0);
}
