import type { Partition, Store, TextHit, TextQuery } from '../store.ts';
import type { IndexProgress, Place, TextIndexer } from './indexer.ts';
import { readQuestion } from './question.ts';
import { type RankedTurn, rank, type Why } from './rank.ts';

/** Stretches, or memories, that are scored one by one: of a user's longer past, those with the most of the question. */
const CANDIDATES = 200;

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
}

/** Searches messages and memories: the store's index gives candidates, the ranking is the same on every store. */
export class Searcher {
  readonly #store: Store;
  readonly #indexer: TextIndexer;

  constructor(store: Store, indexer: TextIndexer) {
    this.#store = store;
    this.#indexer = indexer;
  }

  /** @throws UnsupportedError where the store has no full-text index */
  async find({ deadlineMs, limit, accept, explain, ...find }: Find): Promise<Findings> {
    const deadline = deadlineMs === undefined ? undefined : performance.now() + deadlineMs;
    const index = await this.#indexer.catchUp(placeOf(find), deadline);
    const question = readQuestion(find.query);
    const { terms } = question;
    const { tenant, collection, within } = find;
    const found = await this.#store.searchText({ tenant, collection, within, terms, limit: CANDIDATES });
    const sources = found.hits.map((hit, i) => ({ log: logOf(hit, collection, i), value: hit.value, hit }));
    const byLog = new Map(sources.map(({ log, hit }) => [log, hit]));
    const textOf = ({ log, ...turn }: RankedTurn): FoundText => {
      const { partition, id } = byLog.get(log)!;
      return { ...turn, partition, id };
    };
    const ranked = rank({
      stretches: sources,
      question,
      statistics: {
        documents: found.documents,
        holding: new Map(terms.map((term, i) => [term, found.counts[i]!])),
      },
      limit,
      ...(explain && { explain }),
      ...(accept && { accept: (turn: RankedTurn) => accept(textOf(turn)) }),
    });
    const hits = ranked.map(({ score, why, ...turn }) => ({
      ...textOf(turn),
      score,
      ...(why && { why }),
    }));
    return { hits, index };
  }
}

function placeOf({ tenant, within }: Pick<Find, 'tenant' | 'within'>): Place {
  return 'partition' in within ? within : { tenant, userId: within.scope };
}

/** Messages are neighbours within one log of one session; memories have none. */
function logOf({ partition, id }: TextHit, collection: string, i: number): string {
  return partition.type === 'session' ? `${partition.id}\0${collection}` : `${i}\0${id}`;
}
