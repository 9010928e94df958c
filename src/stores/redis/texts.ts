import type { Partition, TextHit, TextMatches, TextQuery, TextVector } from '../../core/store.ts';
import { partitionKey } from '../shared/pages.ts';
import { compareHits, TextScores } from '../shared/texts.ts';
import type { Keys } from './keys.ts';
import { Pieces } from './outcomes.ts';
import type { Servers } from './servers.ts';
import { encodeTerm } from './terms.ts';

/** How many of a scope's partitions are read of a shard at once, and how many are walked in one call. */
const MAX_PARTITIONS = 1000;
const MAX_WALKED = 128;
/** How many documents' values are read in one call. */
const MAX_VALUES = 32;
/** What stands for the first term of a query among those that a document holds. */
const FIRST_TERM = '!'.charCodeAt(0);

/** A document of the place that is searched. */
interface Found {
  readonly partition: Partition;
  readonly id: string;
  readonly order: number;
  /** A character for each of the query's terms that it holds. */
  readonly held: string;
  /** Absent where it is still to be read. */
  readonly value?: string;
}

/** What is given with a document. */
interface Content {
  readonly value: string;
  readonly vectors?: TextVector[] | undefined;
}

/**
 * Searches: the documents of the place are walked where they lie, in calls that are short each, and those that are given
 * are chosen here. In a cluster, shards are walked side by side.
 */
export class Texts {
  readonly #servers: Servers;
  readonly #keys: Keys;

  constructor(servers: Servers, keys: Keys) {
    this.#servers = servers;
    this.#keys = keys;
  }

  async searchText(query: TextQuery): Promise<TextMatches> {
    const groups = this.#groups(await this.#partitions(query));
    // All documents of a small place will be hits: they are given at once, but for vectors, which may be large.
    const values = groups.length === 1 && !query.near;
    const walks = groups.map((partitions) => this.#walk(query, partitions, values));
    const documents = (await Promise.all(walks)).flat();
    const scores = new TextScores<Found>(documents.length);
    for (const holders of holdersOf(query.terms.length, documents)) scores.add(holders);
    const chosen = choose(documents, scores, query.limit);
    const contents = await this.#contents(query, chosen);
    const hits = chosen.flatMap((document): TextHit[] => {
      const content = contents.get(document);
      // It may have been taken out meanwhile.
      if (!content) return [];
      const { partition, id, order } = document;
      const { value, vectors } = content;
      const score = scores.of(document);
      return [{ partition: { ...partition }, id, order, score, value, ...(vectors && { vectors }) }];
    });
    return { documents: documents.length, counts: scores.counts, hits };
  }

  /** The partitions that have documents of the place. */
  async #partitions({ tenant, collection, within }: TextQuery): Promise<Partition[]> {
    if ('partition' in within) return [within.partition];
    const prefix = `\0\0${tenant}\0${collection}\0${within.scope}\0`;
    const found = await Promise.all(this.#keys.slots.map((_, shard) => this.#members(shard, prefix)));
    return found.flat().map((member) => {
      const [type = '', id = ''] = member.slice(prefix.length).split('\0');
      return { tenant, type, id };
    });
  }

  /** The members of a shard's index that begin with a text. */
  async #members(shard: number, prefix: string): Promise<string[]> {
    const all: string[] = [];
    for (let from = `[${prefix}`; ; from = `(${all.at(-1)}`) {
      const range = [from, `(${prefix.slice(0, -1)}\x01`, 'BYLEX', 'LIMIT', '0', String(MAX_PARTITIONS)];
      const command = ['ZRANGE', this.#keys.index(shard), ...range];
      const members = (await this.#servers.call({ slot: this.#keys.slots[shard]!, command })) as string[];
      all.push(...members);
      if (members.length < MAX_PARTITIONS) return all;
    }
  }

  /** Partitions that one call may have: those of a shard where Redis is a cluster. */
  #groups(partitions: readonly Partition[]): Partition[][] {
    const groups = Map.groupBy(partitions, (partition) =>
      this.#servers.cluster ? this.#keys.shardOf(partition) : 0,
    );
    return [...groups.values()];
  }

  /** @param values these are all partitions of the place: where all of their documents are hits, values are given, too */
  async #walk(
    { collection, within, limit, terms }: TextQuery,
    partitions: readonly Partition[],
    values: boolean,
  ): Promise<Found[]> {
    const scope = 'scope' in within ? within.scope : '';
    const found: Found[] = [];
    const wanted = terms.map(encodeTerm);
    let after = '';
    for (let start = 0; start < partitions.length; ) {
      const part = partitions.slice(start, start + MAX_WALKED);
      const names = part.map((partition) => this.#keys.partition(partition));
      const keys = names.flatMap((name) => [name.names, name.texts]);
      const all = values && found.length === 0 && part.length === partitions.length;
      const args = [collection, scope, after, all ? String(limit) : '', ...wanted];
      const slot = this.#keys.slots[names[0]!.shard]!;
      const pieces = new Pieces((await this.#servers.run('search-texts', slot, keys, args)) as string);
      start += pieces.number();
      after = pieces.text();
      readFound(pieces, part, found);
    }
    return found;
  }

  /** What is given with documents; not of those that are no longer there. */
  async #contents(
    { collection, near }: TextQuery,
    documents: readonly Found[],
  ): Promise<Map<Found, Content>> {
    const contents = new Map<Found, Content>();
    for (const document of documents)
      if (document.value !== undefined) contents.set(document, { value: document.value });
    const missing = documents.filter(({ value }) => value === undefined);
    const groups = Map.groupBy(missing, ({ partition }) => partitionKey(partition));
    const parts = [...groups.values()].flatMap((group) => slices(group, MAX_VALUES));
    const width = near ? 2 : 1;
    const reading = parts.map(async (part) => {
      const { texts, shard } = this.#keys.partition(part[0]!.partition);
      const command = ['HMGET', texts];
      for (const { id } of part) {
        command.push(`\0${collection}\0${id}`);
        if (near) command.push(`${collection}\0${id}\0${near.model}`);
      }
      const slot = this.#keys.slots[shard]!;
      const fields = (await this.#servers.call({ slot, command })) as (string | null)[];
      for (const [i, document] of part.entries()) {
        const value = fields[i * width];
        if (typeof value !== 'string') continue;
        contents.set(document, { value, vectors: near && readVectors(fields[i * width + 1]) });
      }
    });
    await Promise.all(reading);
    return contents;
  }
}

/** Reads what a walk gave. */
function readFound(pieces: Pieces, partitions: readonly Partition[], found: Found[]): void {
  const withValues = pieces.text() === '1';
  while (pieces.more) {
    const partition = partitions[pieces.number()]!;
    const [id, order, held] = [pieces.text(), pieces.number(), pieces.text()];
    found.push({ partition, id, order, held, ...(withValues && { value: pieces.text() }) });
  }
}

/** Vectors as they are kept: their number, and each one's key and values. */
function readVectors(packed: string | null | undefined): TextVector[] | undefined {
  if (!packed) return undefined;
  const pieces = new Pieces(packed);
  return Array.from({ length: pieces.number() }, () => ({ key: pieces.text(), values: pieces.text() }));
}

/** The documents that hold each term. */
function holdersOf(terms: number, documents: readonly Found[]): Found[][] {
  const holders = Array.from({ length: terms }, (): Found[] => []);
  for (const document of documents) {
    const { held } = document;
    for (let i = 0; i < held.length; i++) holders[held.charCodeAt(i) - FIRST_TERM]!.push(document);
  }
  return holders;
}

/** The best documents, filled up with the newest others. */
function choose(documents: readonly Found[], scores: TextScores<Found>, limit: number): Found[] {
  const best = first(scores.contenders(limit), scores, limit);
  if (best.length === limit) return best;
  const others = documents.filter((document) => !scores.has(document));
  return best.concat(first(others, scores, limit - best.length));
}

function first(documents: readonly Found[], scores: TextScores<Found>, count: number): Found[] {
  return documents
    .map((document) => ({ ...document, document, score: scores.of(document) }))
    .sort(compareHits)
    .slice(0, count)
    .map(({ document }) => document);
}

function slices<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
}
