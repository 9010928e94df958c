import type { Clock } from '../clock.ts';
import { MEMORIES } from '../partitions.ts';
import type { Partition, Store, TextHit, TextMatches, TextQuery } from '../store.ts';
import { vectorKey } from './documents.ts';
import type { IndexProgress, Place, TextIndexer } from './indexer.ts';
import type { EmbeddingUse, QueryVector, QueryVectors } from './query-vector.ts';
import { type Question, readQuestion } from './question.ts';
import { type RankedTurn, type RankInput, rank, type Why } from './rank.ts';
import { openStretch, STRETCH } from './stretch.ts';
import { cosineTo } from './vectors.ts';

/** Stretches, or memories, that are scored one by one: of a user's longer past, those with the most of the question. */
const CANDIDATES = 200;
/** So many where a filter leaves fewer hits than are wanted: the most that a store gives. */
const MOST_CANDIDATES = 1000;
/** So many bytes of vectors are compared in a search. */
const VECTOR_BYTES = 4_000_000;

export interface Find {
  tenant: string;
  /** A log's name, or `memories`. */
  collection: string;
  within: TextQuery['within'];
  query: string;
  /** How many hits at most. */
  limit: number;
  /** When to go with what is in the index already (milliseconds from now). Default: wait for all. */
  deadlineMs?: number | undefined;
  /** What `yesterday` is counted from, and how young a memory is (epoch milliseconds). Default: now. */
  now?: number | undefined;
  /** As if the log ended here: what comes after counts for nothing, as the turn that asks must not find itself. */
  upToSeq?: number | undefined;
  /** Which may be hits. */
  accept?: ((found: FoundText) => boolean) | undefined;
  /** Whether hits say why. */
  explain?: boolean | undefined;
}

/** A message, or a memory (of no log and without a seq), that a search found. */
export interface FoundText extends Omit<RankedTurn, 'log'> {
  partition: Partition;
  /** Of a memory. */
  id: string;
}

export interface FoundHit extends FoundText {
  score: number;
  why?: Why;
}

export interface Findings {
  /** The best first. */
  hits: FoundHit[];
  /** Whether everything that had been committed was searched. */
  index: IndexProgress;
  /** Whether vectors were compared as well. */
  embedding: EmbeddingUse;
}

/** Searches messages and memories: the store's index gives candidates, the ranking is the same on every store. */
export class Searcher {
  readonly #store: Store;
  readonly #indexer: TextIndexer;
  readonly #clock: Clock;
  readonly #vectors: QueryVectors | undefined;

  constructor(
    store: Store,
    indexer: TextIndexer,
    { clock, vectors }: { clock: Clock; vectors: QueryVectors | undefined },
  ) {
    this.#store = store;
    this.#indexer = indexer;
    this.#clock = clock;
    this.#vectors = vectors;
  }

  /** @throws UnsupportedError where the store has no full-text index */
  async find({
    deadlineMs,
    limit,
    now = this.#clock.now(),
    upToSeq,
    accept,
    explain,
    ...find
  }: Find): Promise<Findings> {
    const deadline = deadlineMs === undefined ? undefined : performance.now() + deadlineMs;
    const asked = this.#vectors?.ask(find.query);
    const index = await this.#indexer.catchUp(placeOf(find), deadline);
    const vector: QueryVector = asked ? await asked(deadline) : { embedding: 'off' };
    const question = readQuestion(find.query, { now });
    const matches = await this.#candidates(find, question.terms, vector);
    const ranking = { ...find, question, matches, vector, limit, now, upToSeq, accept, explain };
    let hits = rankHits(matches.hits, ranking);
    if (accept && hits.length < limit) {
      const others = await this.#others(find, question.terms, matches);
      const passing = others.filter((hit) => holds(hit, accept));
      if (passing.length > 0) hits = rankHits([...matches.hits, ...passing], ranking);
    }
    return { hits, index, embedding: vector.embedding };
  }

  /** What is ranked: the best by words, and the nearest. */
  async #candidates(
    { tenant, collection, within }: Pick<Find, 'tenant' | 'collection' | 'within'>,
    terms: readonly string[],
    { near, vector }: QueryVector,
  ): Promise<TextMatches> {
    const query = { tenant, collection, within, terms };
    if (!near) return this.#store.searchText({ ...query, limit: CANDIDATES });
    const limit = comparable(collection, vector!);
    const nearest = await this.#store.searchText({ ...query, limit, near });
    if (limit >= CANDIDATES || nearest.documents <= limit) return nearest;
    // Vectors are many times as long as what is said: with them come fewer.
    const { hits, ...matches } = await this.#store.searchText({ ...query, limit: CANDIDATES });
    const known = new Set(nearest.hits.map(nameOf));
    return { ...matches, hits: [...nearest.hits, ...hits.filter((hit) => !known.has(nameOf(hit)))] };
  }

  /** Those with something of the question that are not among the candidates. */
  async #others(
    { tenant, collection, within }: Pick<Find, 'tenant' | 'collection' | 'within'>,
    terms: readonly string[],
    { counts, documents, hits: candidates }: TextMatches,
  ): Promise<TextHit[]> {
    const atMost = counts.reduce((sum, count) => sum + count, 0);
    if (atMost <= CANDIDATES || documents <= candidates.length) return [];
    const query = { tenant, collection, within, terms, limit: MOST_CANDIDATES };
    const { hits } = await this.#store.searchText(query);
    const known = new Set(candidates.map(nameOf));
    return hits.filter((hit) => hit.score > 0 && !known.has(nameOf(hit)));
  }
}

interface Ranking extends Pick<Find, 'collection' | 'limit' | 'upToSeq' | 'accept' | 'explain'> {
  question: Question;
  /** What the store knows of the whole place. */
  matches: TextMatches;
  vector: QueryVector;
  now: number;
}

function rankHits(
  found: readonly TextHit[],
  { collection, question, matches, vector, limit, now, upToSeq, accept, explain }: Ranking,
): FoundHit[] {
  const sources = found.map((hit, i) => ({
    log: logOf(hit, collection, i),
    value: hit.value,
    ...(upToSeq !== undefined && { upTo: upToSeq }),
    hit,
  }));
  const byLog = new Map(sources.map(({ log, hit }) => [log, hit]));
  const textOf = ({ log, ...turn }: RankedTurn): FoundText => {
    const { partition, id } = byLog.get(log)!;
    return { ...turn, partition, id };
  };
  const { documents, counts } = matches;
  const ranked = rank({
    stretches: sources,
    question,
    statistics: { documents, holding: new Map(question.terms.map((term, i) => [term, counts[i]!])) },
    limit,
    // A conversation is long ago as a whole: only of memories the younger ones come first.
    ...(collection === MEMORIES && { now }),
    ...(vector.vector && { similarity: similarityOf(sources, vector.vector) }),
    ...(explain && { explain }),
    ...(accept && { accept: (turn: RankedTurn) => accept(textOf(turn)) }),
  });
  return ranked.map(({ score, why, ...turn }) => ({ ...textOf(turn), score, ...(why && { why }) }));
}

/** Whether any turn of a stretch may be a hit. */
function holds({ partition, id, value }: TextHit, accept: NonNullable<Find['accept']>): boolean {
  const { seqs, versions, createdAt, speaker, speakers } = openStretch(value);
  return seqs.some((seq, i) =>
    accept({
      partition,
      id,
      seq,
      version: versions[i]!,
      createdAt: createdAt[i]!,
      speaker: speakers[speaker[i]!]!,
    }),
  );
}

/** How many documents may come with their vectors. */
function comparable(collection: string, vector: Float32Array): number {
  const each = vector.byteLength * (collection === MEMORIES ? 1 : STRETCH);
  // As many that are nearest may come besides.
  return Math.max(8, Math.min(CANDIDATES, Math.floor(VECTOR_BYTES / each / 2)));
}

/** The cosine of each turn's vector, where it has one that is of its text as it is. */
function similarityOf(
  sources: readonly { log: string; hit: TextHit }[],
  asked: Float32Array,
): NonNullable<RankInput['similarity']> {
  const cosine = cosineTo(asked);
  const vectors = new Map<string, string>();
  for (const { log, hit } of sources)
    for (const { key, values } of hit.vectors ?? []) vectors.set(`${log}\0${key}`, values);
  return (log, seq, version) => {
    // Memories have no seq: theirs is 0.
    const values = vectors.get(`${log}\0${vectorKey(version, seq || undefined)}`);
    return values === undefined ? undefined : cosine(values);
  };
}

function placeOf({ tenant, within }: Pick<Find, 'tenant' | 'within'>): Place {
  return 'partition' in within ? within : { tenant, userId: within.scope };
}

/** Messages are neighbours within one log of one session; memories have none. */
function logOf({ partition, id }: TextHit, collection: string, i: number): string {
  return partition.type === 'session' ? `${partition.id}\0${collection}` : `${i}\0${id}`;
}

function nameOf({ partition, id }: TextHit): string {
  return `${partition.type}\0${partition.id}\0${id}`;
}
