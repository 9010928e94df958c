import type { Clock } from '../clock.ts';
import type { BackgroundWork } from '../concurrency/background.ts';
import type { Partition, Store } from '../store.ts';
import { EmbedCalls } from './embed-calls.ts';
import type { EmbedderLike, EmbeddingOptions } from './embedder.ts';
import { Embeddings } from './embeddings.ts';
import { TextIndexer } from './indexer.ts';
import { QueryVectors } from './query-vector.ts';
import { Searcher } from './search.ts';

export interface TextIndexOptions {
  /** What `yesterday` in a query is counted from. */
  clock: Clock;
  embedder?: EmbedderLike | undefined;
  embedding?: EmbeddingOptions | undefined;
  /** Hears of failures in the background. */
  onError: (error: unknown) => void;
  /** Where its work in the background starts. */
  background: BackgroundWork;
}

/** The text index of a store, of all its tenants: what feeds it, what searches it, and the vectors beside it. */
export class TextIndex {
  readonly searcher: Searcher;
  /** Where there is an embedder. */
  readonly embeddings: Embeddings | undefined;
  readonly #indexer: TextIndexer;
  readonly #closing = new AbortController();

  constructor(store: Store, options: TextIndexOptions) {
    const { clock, embedder, embedding = {}, onError, background } = options;
    const on = { onError, closing: this.#closing.signal, background };
    const onCallError = (error: unknown) => {
      background.failing('embedding', error);
      onError(error);
    };
    const calls = embedder && new EmbedCalls(embedder, embedding, { ...on, onError: onCallError });
    const embeddings = calls && new Embeddings(store, calls, on);
    this.embeddings = embeddings;
    this.#indexer = new TextIndexer(store, {
      error: onError,
      background,
      indexed: embeddings && ((partition, isOurs) => embeddings.indexed(partition, isOurs)),
    });
    const { deadlineMs } = embedding;
    const vectors = embeddings && new QueryVectors(calls!, embeddings, { deadlineMs, closing: on.closing });
    this.searcher = new Searcher(store, this.#indexer, { clock, vectors });
  }

  /** Indexes what has been committed, where anybody searches. Its vectors follow in the background. */
  async drain(): Promise<void> {
    await this.#indexer.drain();
    await this.embeddings?.catchUp();
  }

  /** Indexes everything anew. Its vectors follow in the background. */
  async rebuild(): Promise<void> {
    await this.#indexer.rebuild();
    await this.embeddings?.catchUp();
  }

  /** How many partitions have something for it, as far as is known. */
  get waiting(): number {
    return this.#indexer.waiting;
  }

  /** After texts of a partition were taken away or edited: the index does not keep them until somebody searches. */
  settle(partition: Partition): void {
    this.#indexer.settle(partition);
  }

  /** Stops; what is left undone is done when somebody searches again. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#indexer.close();
    await this.embeddings?.close();
  }
}
