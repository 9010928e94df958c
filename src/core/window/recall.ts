import { z } from 'zod';
import { isHoldfastError } from '../errors.ts';
import { durationSchema } from '../input.ts';
import type { MemoryService } from '../memory/memory.ts';
import { textOf } from '../messages/formats/text.ts';
import type { RecallReport } from '../model/window.ts';
import { messageLog } from '../partitions.ts';
import { CLEARLY_NEAR } from '../search/fusion.ts';
import type { IndexProgress } from '../search/indexer.ts';
import { readQuestion } from '../search/question.ts';
import type { Why } from '../search/rank.ts';
import type { Searcher } from '../search/search.ts';
import { signals, signalsOf } from '../search/signals.ts';
import { termsOf } from '../search/terms.ts';
import type { Partition } from '../store.ts';
import type { TokenCounter } from '../tokens/counter.ts';
import type { History } from './history.ts';
import { askingOf, queryOf } from './query.ts';
import { type Find, packRecalled } from './recalled.ts';
import type { Chosen, Selection } from './select.ts';
import { Told } from './told.ts';

/** What of the budget is kept free for recalled texts, once the conversation is longer than the window. */
const SHARE = 0.55;
/** And at most so many tokens: a hundred turns answer any question. */
const MOST_TOKENS = 4000;
const DEADLINE_MS = 500;
/** So many messages are looked at, best first; and so many memories, which have a quarter of the room. */
const MOST_MESSAGES = 120;
const MOST_MEMORIES = 12;
const MEMORY_SHARE = 0.25;
/** One recalled text has at most this share of the room. */
const CUT_SHARE = 0.25;
/** What has less than this share of the best hit's score is left out: of a turn that only asks; and of one that only tells. */
const LEAST_ASKING = 0.35;
const LEAST_TELLING = 0.65;
/** A turn that only tells has so much of the room: most turns of a conversation do, and what changes is not cached. */
const ROOM_TELLING = 0.15;

export interface RecallOptions {
  /** The share of the budget for messages, 0 to 0.9. Default 0.55. */
  share?: number | undefined;
  /** At most so many tokens. Default 4000. */
  maxTokens?: number | undefined;
  /** Recall the user's memories as well. Default true. */
  memories?: boolean | undefined;
  /** How long searching may take before the window goes with what is found by then (milliseconds). Default 500. */
  deadlineMs?: number | undefined;
}

export const recallSchema = z.union([
  z.boolean(),
  z.strictObject({
    share: z.number().min(0).max(0.9).optional(),
    maxTokens: z.int().min(0).optional(),
    memories: z.boolean().optional(),
    deadlineMs: durationSchema.optional(),
  }),
]);

/** What a window is asked to recall, and from where. */
export interface RecallRequest {
  /** Undefined: the last user turn is the query. */
  query: string | undefined;
  options: RecallOptions;
  counter: TokenCounter;
  /** In the counter's tokens. */
  room: number;
  tenant: string;
  sessionId: string;
  partition: Partition;
  log: string;
  /** The seq of the last user turn. */
  askedAt: number;
  /** When it was said, where it is the query: `yesterday` is counted from there. */
  now: number | undefined;
}

export interface RecallSources {
  searcher: Searcher;
  memory: MemoryService;
}

/** How many tokens are kept free for what is recalled. */
export function recallRoom(room: number, { share = SHARE, maxTokens = MOST_TOKENS }: RecallOptions): number {
  return Math.max(0, Math.min(maxTokens, Math.floor(room * share)));
}

/**
 * Puts into a window what it does not hold and the query is about: messages from before its turns, memories of the user,
 * the best that there is room for. A query that tells more than it asks recalls less.
 */
export async function recallInto(
  history: History,
  selection: Selection,
  asked: Omit<RecallRequest, 'askedAt' | 'now'>,
  sources: RecallSources,
): Promise<{ chosen: Chosen[]; report?: RecallReport }> {
  const last = selection.turns.findLast(({ message }) => message.role === 'user')?.message;
  const now = asked.query === undefined ? last?.createdAt : undefined;
  const request = { ...asked, askedAt: last?.seq ?? history.atSeq + 1, now };
  const query = request.query ?? (last && queryOf(last));
  const question = query === undefined ? undefined : readQuestion(query);
  if (query === undefined || !question || question.terms.length === 0) return { chosen: [] };
  const told = new Told(selection);
  const asking = request.query === undefined ? askingOf(query) : 1;
  const least = LEAST_TELLING + (LEAST_ASKING - LEAST_TELLING) * asking;
  const [memories, messages] = await Promise.all([
    request.options.memories === false
      ? nothing
      : findMemories(query, least, told, { history, request, memory: sources.memory }),
    selection.whole
      ? nothing
      : findMessages(query, least, told, { history, request, searcher: sources.searcher }),
  ]);
  const terms = new Set(question.terms);
  const cutTokens = Math.max(64, Math.floor(request.room * CUT_SHARE));
  const tokens = Math.floor(request.room * (ROOM_TELLING + (1 - ROOM_TELLING) * asking ** 2));
  const room = { counter: request.counter, tokens, cutTokens, terms };
  const share = selection.whole ? 1 : MEMORY_SHARE;
  const few = packMemories(memories.finds, { ...room, tokens: Math.floor(room.tokens * share) });
  const others = messages.finds.filter((find) => !few.some((memory) => covers(memory, find)));
  const packed = packRecalled([...few, ...others], room);
  const report: RecallReport = {
    query,
    ...(request.query === undefined && { querySeq: request.askedAt }),
    cutTokens,
    index: worse(memories.index, messages.index),
  };
  if (!packed) return { chosen: [], report };
  return { chosen: [{ ...packed, version: 1, reason: 'recalled' }], report };
}

interface Finds {
  finds: Find[];
  index: IndexProgress;
}

const nothing: Finds = { finds: [], index: { complete: true, behind: 0 } };

async function findMessages(
  query: string,
  least: number,
  told: Told,
  { history, request, searcher }: { history: History; request: RecallRequest; searcher: Searcher },
): Promise<Finds> {
  const { tenant, partition, log, options } = request;
  const { hits, index } = await unlessAway(
    searcher.find({
      tenant,
      collection: log,
      within: { partition },
      query,
      limit: MOST_MESSAGES,
      deadlineMs: options.deadlineMs ?? DEADLINE_MS,
      now: request.now,
      // The turn that asks must not find itself.
      upToSeq: Math.min(history.atSeq, request.askedAt - 1),
      accept: ({ seq }) => seq <= history.atSeq && !told.seqs.has(seq),
      explain: true,
    }),
  );
  const best = clear(hits, least);
  const found = await history.at([...new Set(best.flatMap(({ seq }) => [seq - 1, seq]))]);
  const terms = new Set(readQuestion(query).terms);
  const finds = best.flatMap(({ seq }): Find[] => {
    const item = found.get(seq);
    if (!item || told.says(textOf(item.message))) return [];
    const before = found.get(seq - 1);
    const because =
      before && !told.seqs.has(seq - 1) && answers(item.message, before.message, terms) ? before : undefined;
    return [{ ...item, ...(because && { because }) }];
  });
  return { finds, index };
}

/** Whether a message, which has none of the query's terms itself, says something only after the question before it. */
function answers(
  message: Parameters<typeof textOf>[0],
  before: Parameters<typeof textOf>[0],
  terms: ReadonlySet<string>,
) {
  if (termsOf(textOf(message)).some((term) => terms.has(term))) return false;
  return (signalsOf(textOf(before)).flags & signals.asks) !== 0;
}

async function findMemories(
  query: string,
  least: number,
  told: Told,
  { history, request, memory }: { history: History; request: RecallRequest; memory: MemoryService },
): Promise<Finds> {
  const { sessionId, log, options } = request;
  const endedAt = await history.endedAt();
  // Those that were made later are left out, and may have been the best.
  const limit = endedAt === undefined ? MOST_MEMORIES : MOST_MEMORIES * 4;
  const { hits, index } = await unlessAway(
    memory.search(query, { sessionId, limit, deadlineMs: options.deadlineMs ?? DEADLINE_MS }),
  );
  const known = hits.filter(({ memory }) => endedAt === undefined || memory.createdAt <= endedAt);
  const finds = clear(known.slice(0, MOST_MEMORIES), least)
    .map(({ memory: { id, content, version, sources } }) => {
      const here = sources.filter((from) => from.sessionId === sessionId && messageLog(from.channel) === log);
      return { memory: { id, content, version }, sources: here.flatMap(({ seq }) => seq ?? []) };
    })
    // What it was made from stands in the window.
    .filter(({ sources }) => sources.length === 0 || !sources.every((seq) => told.seqs.has(seq)))
    .filter(({ memory }) => !told.says(memory.content));
  return { finds, index };
}

/** Whether a memory was made from a message, and has all of its words. */
function covers(memory: Find, of: Find): boolean {
  if (!('memory' in memory && 'message' in of) || !memory.sources?.includes(of.message.seq)) return false;
  const words = new Set(termsOf(memory.memory.content));
  return termsOf(textOf(of.message)).every((word) => words.has(word));
}

/** Those that are not far behind the best; of what meaning alone has found, those that it has found without doubt. */
function clear<H extends { score: number; why?: Why }>(hits: readonly H[], least: number): H[] {
  const byWords = hits.some(({ why }) => why!.words > 0);
  return hits.filter(
    ({ score, why }) =>
      score >= least * hits[0]!.score && (byWords || (why!.similarity ?? 0) >= CLEARLY_NEAR),
  );
}

/** As many as fit. */
function packMemories(finds: readonly Find[], room: Parameters<typeof packRecalled>[1]): Find[] {
  const packed = packRecalled(finds, room);
  const taken = new Set(packed?.recalled.map((ref) => ('memoryId' in ref ? ref.memoryId : '')));
  return finds.filter((find) => 'memory' in find && taken.has(find.memory.id));
}

/** A store that is away, or has no index, recalls nothing: the window goes without. */
async function unlessAway<F extends { hits: readonly unknown[]; index: IndexProgress }>(
  finding: Promise<F>,
): Promise<F | { hits: []; index: IndexProgress }> {
  try {
    return await finding;
  } catch (error) {
    const without = isHoldfastError(error) && ['store-unavailable', 'unsupported'].includes(error.code);
    if (!without) throw error;
    return { hits: [], index: { complete: false, behind: 0 } };
  }
}

function worse(one: IndexProgress, other: IndexProgress): IndexProgress {
  return { complete: one.complete && other.complete, behind: one.behind + other.behind };
}
