import { setTimeout as delay } from 'node:timers/promises';
import { before } from '../before.ts';
import { EmbedderError } from '../errors.ts';
import type { TextQuery } from '../store.ts';
import { queryToEmbed } from './documents.ts';
import type { EmbedCalls } from './embed-calls.ts';
import type { Embeddings } from './embeddings.ts';
import { encodeVector } from './vectors.ts';

/** Vectors of the last queries: a window and a search often have the same. */
const KEPT = 256;
/** An embedder that has failed so often, or was late, is asked in the background until it answers in time. */
const MOST_MISSES = 3;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;

/**
 * What became of the vector of a query: it was used; there is no embedder (or another one took the place of this one); it came
 * too late; the vectors of what is searched are still being made; the embedder fails. But for the first, the search went by words alone.
 */
export type EmbeddingUse = 'used' | 'off' | 'late' | 'building' | 'failed';

export interface QueryVector {
  embedding: EmbeddingUse;
  /** Where it is used. */
  near?: NonNullable<TextQuery['near']>;
  vector?: Float32Array;
}

/** Embeds what is searched for, as far as that takes no longer than it may. */
export class QueryVectors {
  readonly #calls: EmbedCalls;
  readonly #embeddings: Embeddings;
  readonly #deadlineMs: number;
  readonly #closing: AbortSignal;
  readonly #kept = new Map<string, Float32Array>();
  readonly #asked = new Map<string, Promise<Float32Array>>();
  #woken = false;
  #misses = 0;
  /** It is known to fail, or to be late. */
  #down = false;

  constructor(
    calls: EmbedCalls,
    embeddings: Embeddings,
    { deadlineMs = 300, closing }: { deadlineMs?: number | undefined; closing: AbortSignal },
  ) {
    this.#calls = calls;
    this.#embeddings = embeddings;
    this.#deadlineMs = deadlineMs;
    this.#closing = closing;
  }

  /**
   * Begins to embed a query.
   * @returns waits for it until a time (milliseconds of performance.now()); its own deadline counts in any case, but
   * what has come by the time it is asked for is never late
   */
  ask(query: string): (deadline?: number) => Promise<QueryVector> {
    // What an earlier process has left undone.
    if (!this.#woken) this.#embeddings.wake();
    this.#woken = true;
    const own = performance.now() + this.#deadlineMs;
    let answer: QueryVector | undefined;
    const asked = this.#answer(queryToEmbed(query)).then((given) => {
      answer = given;
    });
    asked.catch(() => undefined);
    return async (deadline = Number.POSITIVE_INFINITY) => {
      await before(Math.min(own, deadline), asked);
      if (answer?.embedding === 'used' && !this.#down) this.#misses = 0;
      if (answer) return answer;
      // Who is in more of a hurry than that says nothing of the embedder.
      if (own <= deadline)
        this.#missed(new EmbedderError(`the embedder took longer than ${this.#deadlineMs} ms for a query`));
      return { embedding: 'late' };
    };
  }

  async #answer(text: string): Promise<QueryVector> {
    if (text === '') return { embedding: 'off' };
    // Where the vectors can't be searched, none is asked for.
    const known = this.#calls.model;
    const early = known === undefined ? 'ready' : await this.#embeddings.readiness(known);
    if (early !== 'ready') return { embedding: early === 'building' ? 'building' : 'off' };
    const vector = await this.#vector(text);
    if (!vector) return { embedding: 'failed' };
    const model = this.#calls.model!;
    const readiness = known === undefined ? await this.#embeddings.readiness(model) : early;
    if (readiness !== 'ready') return { embedding: readiness === 'building' ? 'building' : 'off' };
    return { embedding: 'used', vector, near: { model, values: encodeVector(vector) } };
  }

  async #vector(text: string): Promise<Float32Array | undefined> {
    const kept = this.#kept.get(text);
    if (kept || this.#down) return kept;
    const asked = this.#asked.get(text) ?? this.#calls.query(text);
    this.#asked.set(text, asked);
    try {
      const vector = await asked;
      // The map's order is that of first use.
      this.#kept.set(text, vector);
      if (this.#kept.size > KEPT) this.#kept.delete(this.#kept.keys().next().value!);
      return vector;
    } catch (error) {
      this.#missed(error);
      return undefined;
    } finally {
      this.#asked.delete(text);
    }
  }

  #missed(error: unknown): void {
    if (++this.#misses < MOST_MISSES || this.#down || this.#closing.aborted) return;
    this.#down = true;
    this.#calls.report(error);
    this.#probe().catch(() => undefined);
  }

  /** Asks until it answers in time. */
  async #probe(): Promise<void> {
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      await delay(pause * (0.5 + Math.random() / 2), undefined, { signal: this.#closing, ref: false });
      const start = performance.now();
      const isThere = await this.#calls.query('hello').then(
        () => true,
        () => false,
      );
      if (isThere && performance.now() - start <= this.#deadlineMs) break;
    }
    this.#misses = 0;
    this.#down = false;
  }
}
