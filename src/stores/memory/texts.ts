import type { Operation, Partition, TextHit, TextMatches, TextQuery, TextVector } from '../../core/store.ts';
import { partitionKey } from '../shared/pages.ts';
import { compareHits, cosine, numbersOf, TextScores } from '../shared/texts.ts';
import type { TextKeeper } from './partition-data.ts';

interface Document {
  readonly partition: Partition;
  readonly id: string;
  readonly order: number;
  readonly value: string;
  readonly terms: readonly string[];
  /** Both places that it is found in: its partition and its scope. */
  readonly places: readonly string[];
  /** By model. */
  readonly vectors: Map<string, readonly TextVector[]>;
}

/** The documents of one collection in one partition or scope, and where each term is. */
class Place {
  readonly documents = new Set<Document>();
  readonly #holders = new Map<string, Set<Document>>();

  add(document: Document): void {
    this.documents.add(document);
    for (const term of document.terms) {
      const holders = this.#holders.get(term);
      if (holders) holders.add(document);
      else this.#holders.set(term, new Set([document]));
    }
  }

  delete(document: Document): void {
    this.documents.delete(document);
    for (const term of document.terms) {
      const holders = this.#holders.get(term)!;
      holders.delete(document);
      if (holders.size === 0) this.#holders.delete(term);
    }
  }

  holders(term: string): Document[] {
    return [...(this.#holders.get(term) ?? [])];
  }
}

/** By collection, then by id. */
type Collections = Map<string, Map<string, Document>>;

/** The full-text index: postings for each partition and each scope apart, so that no other's documents count. */
export class Texts implements TextKeeper {
  /** By partition. */
  readonly #documents = new Map<string, Collections>();
  readonly #places = new Map<string, Place>();

  index(
    partition: Partition,
    { collection, id, scope, terms, value, order }: Operation & { op: 'index' },
  ): void {
    const before = this.#collection(partition, collection)?.get(id);
    if (before) this.#remove(before);
    const places = [placeName(collection, { partition }), placeName(collection, { scope }, partition.tenant)];
    const document: Document = {
      partition: { ...partition },
      id,
      order,
      value,
      terms: [...terms],
      places,
      vectors: before?.vectors ?? new Map(),
    };
    for (const name of places) this.#place(name).add(document);
    const collections: Collections = this.#documents.get(partitionKey(partition)) ?? new Map();
    this.#documents.set(partitionKey(partition), collections);
    const documents = collections.get(collection) ?? new Map<string, Document>();
    collections.set(collection, documents.set(id, document));
  }

  unindex(partition: Partition, { collection, id }: Operation & { op: 'unindex' }): number {
    const documents = this.#collection(partition, collection);
    const gone = id === undefined ? [...(documents?.values() ?? [])] : [documents?.get(id)];
    let count = 0;
    for (const document of gone) {
      if (!document) continue;
      this.#remove(document);
      documents!.delete(document.id);
      count++;
    }
    return count;
  }

  embed(partition: Partition, { collection, id, model, vectors }: Operation & { op: 'embed' }): void {
    const document = this.#collection(partition, collection)?.get(id);
    if (vectors.length === 0) document?.vectors.delete(model);
    else
      document?.vectors.set(
        model,
        vectors.map((vector) => ({ ...vector })),
      );
  }

  drop(partition: Partition): void {
    for (const documents of this.#documents.get(partitionKey(partition))?.values() ?? [])
      for (const document of documents.values()) this.#remove(document);
    this.#documents.delete(partitionKey(partition));
  }

  search({ tenant, collection, within, terms, limit, near }: TextQuery): TextMatches {
    const place = this.#places.get(placeName(collection, within, tenant));
    const documents = [...(place?.documents ?? [])];
    const scores = new TextScores<Document>(documents.length);
    for (const term of terms) scores.add(place?.holders(term) ?? []);
    const ranked = documents
      .map((document) => ({ ...document, document, score: scores.of(document) }))
      .sort(compareHits)
      .slice(0, limit)
      .map(({ document }) => document);
    const hits = new Set(near ? [...ranked, ...nearest(documents, near, limit)] : ranked);
    return {
      documents: documents.length,
      counts: scores.counts,
      hits: [...hits].map((document) => toHit(document, scores.of(document), near?.model)),
    };
  }

  #collection(partition: Partition, collection: string): Map<string, Document> | undefined {
    return this.#documents.get(partitionKey(partition))?.get(collection);
  }

  #place(name: string): Place {
    const place = this.#places.get(name) ?? new Place();
    this.#places.set(name, place);
    return place;
  }

  #remove(document: Document): void {
    for (const name of document.places) {
      const place = this.#places.get(name)!;
      place.delete(document);
      if (place.documents.size === 0) this.#places.delete(name);
    }
  }
}

function placeName(collection: string, within: TextQuery['within'], tenant = ''): string {
  return 'partition' in within
    ? `partition\0${partitionKey(within.partition)}\0${collection}`
    : `scope\0${tenant}\0${within.scope}\0${collection}`;
}

/** The documents with the nearest vectors of the model. */
function nearest(
  documents: readonly Document[],
  { model, values }: { model: string; values: string },
  limit: number,
): Document[] {
  const asked = numbersOf(values);
  const near = documents.flatMap((document) => {
    const vectors = document.vectors.get(model) ?? [];
    const best = Math.max(...vectors.map((vector) => cosine(asked, numbersOf(vector.values))));
    return vectors.length === 0 ? [] : [{ ...document, document, score: best }];
  });
  return near
    .sort(compareHits)
    .slice(0, limit)
    .map(({ document }) => document);
}

function toHit(document: Document, score: number, model: string | undefined): TextHit {
  const { partition, id, order, value } = document;
  const vectors = model === undefined ? undefined : document.vectors.get(model);
  return { partition: { ...partition }, id, order, score, value, ...(vectors && { vectors }) };
}
