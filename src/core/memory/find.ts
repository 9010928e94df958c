/** Finding memories: by what they say, by their tags. */
import type { Memory } from '../model/memory.ts';
import { indexes, MEMORIES } from '../partitions.ts';
import { analyse } from '../search/analyse.ts';
import type { IndexProgress } from '../search/indexer.ts';
import type { EmbeddingUse } from '../search/query-vector.ts';
import { readQuestion } from '../search/question.ts';
import { rank, type Why } from '../search/rank.ts';
import type { Searcher } from '../search/search.ts';
import { packStretch } from '../search/stretch.ts';
import type { IndexHit, Page } from '../store.ts';
import type { MemoryFilter } from './input.ts';
import type { Owner } from './owner.ts';
import { isExpired, tagKey } from './records.ts';
import type { Shelf } from './shelf.ts';

/** So many candidates are looked at, best first: those that a filter refuses make room for the next. */
const CANDIDATES = 200;
/** Where of the candidates too few pass, so many others that do are ranked, and so many are read to find them without a tag. */
const FURTHER = 1000;
const FURTHER_READ = 2000;
const PAGE = 200;
/** What a memory that is fully remembered has over one that is nearly forgotten, as a share of its score. */
const RETENTION_SHARE = 0.1;
/** Of so many superseded memories the newest are searched. */
const MAX_SUPERSEDED = 1000;

export interface MemoryHit {
  memory: Memory;
  /** Comparable within one search only. */
  score: number;
  /** What the score is the sum of. */
  why: Why & { retention: number };
}

export interface MemorySearch {
  /** The best first. */
  hits: MemoryHit[];
  /** Whether all that had been written was searched. */
  index: IndexProgress;
  /** Whether meaning counted, or words alone, and why: as in the search of messages. */
  embedding: EmbeddingUse;
}

/** Searches the durable memories of an owner. */
export async function findStored(
  shelf: Shelf,
  searcher: Searcher,
  owner: Owner,
  {
    query,
    limit,
    deadlineMs,
    filter,
  }: { query: string; limit: number; deadlineMs: number | undefined; filter: MemoryFilter },
): Promise<MemorySearch> {
  const { tenant, clock } = shelf.context;
  const { hits, index, embedding } = await searcher.find({
    tenant,
    collection: MEMORIES,
    within: { partition: owner.partition },
    query,
    limit: CANDIDATES,
    deadlineMs,
    explain: true,
  });
  const now = clock.now();
  const found: MemoryHit[] = [];
  // Some more than are wanted: how well they are remembered may change their order.
  for (let start = 0; start < hits.length && found.length < limit * 2; start += limit * 2) {
    const some = hits.slice(start, start + limit * 2);
    const held = await shelf.load(
      owner,
      some.map(({ id }) => id),
    );
    for (const [i, { score, why }] of some.entries()) {
      const one = held[i];
      if (!one || isExpired(one.life, now)) continue;
      const memory = shelf.toMemory(owner, one);
      if (passes(memory, filter)) found.push(remembered({ memory, score, why: why! }));
    }
  }
  if (found.length < limit && hits.length >= CANDIDATES) {
    const known = new Set(found.map(({ memory }) => memory.id));
    const others = (await passing(shelf, owner, filter)).filter(({ id }) => !known.has(id));
    found.push(...findAmong(others, query, { limit, now }));
  }
  return { hits: best(found, limit), index, embedding };
}

/** The newest memories that a filter asks for: those with its tags, wherever they are, or among the newest of all. */
async function passing(shelf: Shelf, owner: Owner, filter: MemoryFilter): Promise<Memory[]> {
  if (filter.tags?.length)
    return findByTags(shelf, owner, { tags: [...new Set(filter.tags)], limit: FURTHER, filter });
  const first = await pageOf(shelf, owner, undefined);
  return matching(shelf, owner, { tag: undefined, first, limit: FURTHER, filter, reach: FURTHER_READ });
}

/** Searches memories that are at hand, as the store's would be: those of this process, those that were superseded. */
export function findAmong(
  memories: readonly Memory[],
  query: string,
  { limit, now }: { limit: number; now: number },
): MemoryHit[] {
  const question = readQuestion(query, { now });
  const documents = memories.map((memory, i) => {
    const turn = analyse({ ...memory, seq: 0, version: 1, role: 'memory' });
    return { log: String(i), ...packStretch([turn]) };
  });
  const holding = question.terms.map(
    (term) => [term, documents.filter(({ terms }) => terms.includes(term)).length] as const,
  );
  const ranked = rank({
    stretches: documents,
    question,
    statistics: { documents: documents.length, holding: new Map(holding) },
    limit,
    now,
    explain: true,
  });
  return ranked
    .map(({ log, score, why }) => remembered({ memory: memories[Number(log)]!, score, why: why! }))
    .sort(byScore);
}

/** The best of several searches; a memory that two of them found is as the last says. */
export function best(hits: readonly MemoryHit[], limit: number): MemoryHit[] {
  const byId = new Map(hits.map((hit) => [hit.memory.id, hit]));
  return [...byId.values()].sort(byScore).slice(0, limit);
}

/** The newest superseded memories of an owner. */
export async function supersededOf(shelf: Shelf, owner: Owner): Promise<Memory[]> {
  const found: Memory[] = [];
  for await (const one of shelf.superseded(owner)) found.push(shelf.supersededMemory(owner, one.id, one));
  return found.sort((a, b) => b.supersededAt! - a.supersededAt!).slice(0, MAX_SUPERSEDED);
}

/** The memories that have tags, newest first, read from the index of the rarest of them; of any of them: of each. */
export async function findByTags(
  shelf: Shelf,
  owner: Owner,
  { tags, limit, filter }: { tags: readonly string[]; limit: number; filter: MemoryFilter },
): Promise<Memory[]> {
  const firsts = await Promise.all(tags.map((tag) => pageOf(shelf, owner, tag)));
  const all = filter.match !== 'any';
  const from = all ? [rarest(firsts)] : firsts.map((_, i) => i);
  const lists = await Promise.all(
    from.map((i) =>
      matching(shelf, owner, {
        tag: tags[i]!,
        first: firsts[i]!,
        limit,
        filter: { ...filter, tags: [...tags] },
      }),
    ),
  );
  const found = new Map(lists.flat().map((memory) => [memory.id, memory]));
  return [...found.values()].sort(newestFirst).slice(0, limit);
}

/** Whether a memory is one of those that a filter asks for. */
export function passes(
  { tags, tier, kind, importance }: Memory,
  { tags: wanted, match = 'all', tiers, kinds, minImportance }: MemoryFilter,
): boolean {
  const has = (tag: string) => tags.includes(tag);
  return (
    (!wanted?.length || (match === 'all' ? wanted.every(has) : wanted.some(has))) &&
    (!tiers || tiers.includes(tier)) &&
    (!kinds || kinds.includes(kind)) &&
    (minImportance === undefined || importance >= minImportance)
  );
}

export function newestFirst(a: Memory, b: Memory): number {
  return b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1);
}

function remembered({ memory, score, why }: { memory: Memory; score: number; why: Why }): MemoryHit {
  const retention = RETENTION_SHARE * memory.retention * Math.max(0, score);
  return { memory, score: score + retention, why: { ...why, retention } };
}

function byScore(a: MemoryHit, b: MemoryHit): number {
  return b.score - a.score || newestFirst(a.memory, b.memory);
}

/** @param tag all where it is undefined */
function pageOf(
  shelf: Shelf,
  owner: Owner,
  tag: string | undefined,
  after?: string,
): Promise<Page<IndexHit>> {
  const { store, tenant } = shelf.context;
  return store.queryIndex({
    tenant,
    ...(tag === undefined
      ? { index: indexes.memories, key: owner.key }
      : { index: indexes.memoriesByTag, key: tagKey(owner, tag) }),
    limit: PAGE,
    reverse: true,
    ...(after !== undefined && { after }),
  });
}

/** The tag with the fewest memories, as far as its first page tells: the one that reaches back farthest. */
function rarest(pages: readonly Page<IndexHit>[]): number {
  const reach = pages.map(({ items, next }) =>
    next === undefined ? items.length - PAGE : items.at(-1)!.order,
  );
  return reach.indexOf(Math.min(...reach));
}

/** Of the memories with a tag, newest first, those that pass; of the first `reach` where that is given. */
async function matching(
  shelf: Shelf,
  owner: Owner,
  {
    tag,
    first,
    limit,
    filter,
    reach = Number.POSITIVE_INFINITY,
  }: {
    tag: string | undefined;
    first: Page<IndexHit>;
    limit: number;
    filter: MemoryFilter;
    reach?: number;
  },
): Promise<Memory[]> {
  const found: Memory[] = [];
  const now = shelf.context.clock.now();
  let read = 0;
  for (let page = first; ; page = await pageOf(shelf, owner, tag, page.next)) {
    // Of a page of places only so many are loaded as it takes.
    for (let start = 0; start < page.items.length && found.length < limit; start += limit) {
      const ids = page.items.slice(start, start + limit).map(({ id }) => id);
      for (const held of await shelf.load(owner, ids)) {
        if (!held || isExpired(held.life, now)) continue;
        const memory = shelf.toMemory(owner, held);
        if (passes(memory, filter)) found.push(memory);
      }
    }
    read += page.items.length;
    if (page.next === undefined || found.length >= limit || read >= reach) return found.slice(0, limit);
  }
}
