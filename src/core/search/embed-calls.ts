import { setTimeout as delay } from 'node:timers/promises';
import { EmbedderError, isHoldfastError } from '../errors.ts';
import { TookTooLong, timed } from '../timed.ts';
import {
  checkedVectors,
  type Embedder,
  type EmbedderLike,
  type EmbeddingOptions,
  type EmbeddingPurpose,
  limitsOf,
  toEmbedder,
} from './embedder.ts';

/** Of vectors that were made from texts in another way (another cut, other parts), none fits. */
const PREPROCESSING = 1;
/** What shows whether an embedder is there. */
const PROBE = 'hello';
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 60_000;

/** Calls an embedder: what comes of it is checked, no call lasts for ever, and one that fails is tried again. */
export class EmbedCalls {
  readonly #given: EmbedderLike;
  readonly #embedder: Embedder;
  readonly #options: EmbeddingOptions;
  readonly #onError: (error: unknown) => void;
  readonly #closing: AbortSignal;
  #dimensions: number | undefined;
  #waiting: (() => void)[] = [];
  #running = 0;
  /** Nothing comes of calls in the background. */
  #failing = false;
  /** A failure was told since something came of a call. */
  #told = false;
  /** It was told that texts are taken one by one, but not together. */
  #toldOfBatches = false;

  /** @param onError hears of an embedder that fails, once until it answers again */
  constructor(
    given: EmbedderLike,
    options: EmbeddingOptions,
    { onError, closing }: { onError: (error: unknown) => void; closing: AbortSignal },
  ) {
    this.#given = given;
    this.#embedder = toEmbedder(given);
    this.#options = options;
    this.#onError = onError;
    this.#closing = closing;
    this.#dimensions = this.#embedder.dimensions;
  }

  get failing(): boolean {
    return this.#failing;
  }

  /** What the embedder's vectors are kept under; undefined until it has shown how long they are. */
  get model(): string | undefined {
    const { name } = this.#embedder;
    return this.#dimensions === undefined ? undefined : `${name}/${this.#dimensions}/${PREPROCESSING}`;
  }

  get dimensions(): number | undefined {
    return this.#dimensions;
  }

  /** @throws EmbedderError; the signal's reason when that is aborted */
  async query(text: string): Promise<Float32Array> {
    return (await this.#call([text], 'query'))[0]!;
  }

  /** Tells of a failure, the first since something came of a call. */
  report(error: unknown): void {
    if (!this.#told) this.#onError(error);
    this.#told = true;
  }

  /** What the vectors are kept under: asks the embedder where that is not known, until it answers. */
  async knownModel(): Promise<string> {
    if (!this.model) await this.#persist([PROBE]);
    return this.model!;
  }

  /**
   * Vectors for texts, however long the embedder takes: while it fails, it is asked again and again.
   * @returns nothing for a text that it fails on, time and again, while it takes others
   * @throws the reason of closing
   */
  async documents(texts: readonly string[]): Promise<(Float32Array | undefined)[]> {
    const { batchSize } = await limitsOf(this.#given, this.#options);
    const batches: string[][] = [];
    for (let start = 0; start < texts.length; start += batchSize)
      batches.push(texts.slice(start, start + batchSize));
    const vectors = await Promise.all(batches.map((batch) => this.#persist(batch)));
    return vectors.flat();
  }

  async #persist(texts: string[]): Promise<(Float32Array | undefined)[]> {
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      try {
        const vectors = await this.#inTurn(texts);
        this.#failing = false;
        return vectors;
      } catch (error) {
        this.#closing.throwIfAborted();
        if (await this.#takesOthers(texts)) return this.#persistApart(texts, error);
        this.#failing = true;
        this.report(error);
      }
      await delay(pause * (0.5 + Math.random() / 2), undefined, { signal: this.#closing, ref: false });
    }
  }

  /** Whether it is these texts that it fails on. */
  async #takesOthers(texts: readonly string[]): Promise<boolean> {
    if (texts.length === 1 && texts[0] === PROBE) return false;
    return this.#inTurn([PROBE]).then(
      () => true,
      () => false,
    );
  }

  /** Finds what the embedder fails on, and does without it. */
  async #persistApart(texts: string[], error: unknown): Promise<(Float32Array | undefined)[]> {
    if (texts.length === 1) {
      this.#onError(error);
      return [undefined];
    }
    const middle = texts.length >> 1;
    const first = await this.#persist(texts.slice(0, middle));
    const vectors = [...first, ...(await this.#persist(texts.slice(middle)))];
    // It is no text that it fails on, but that they are several: somebody pays for that in calls.
    if (!this.#toldOfBatches && vectors.every((vector) => vector !== undefined)) {
      this.#toldOfBatches = true;
      this.#onError(error);
    }
    return vectors;
  }

  /** A call in the background, of which there are only so many at a time. */
  async #inTurn(texts: string[]): Promise<Float32Array[]> {
    const { parallelCalls } = await limitsOf(this.#given, this.#options);
    while (this.#running >= parallelCalls) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running++;
    try {
      return await this.#call(texts, 'document');
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }

  async #call(texts: string[], purpose: EmbeddingPurpose): Promise<Float32Array[]> {
    const { timeoutMs = 30_000 } = this.#options;
    const ask = (signal: AbortSignal) => this.#embedder.embed(texts, { purpose, signal });
    let given: unknown;
    try {
      given = await timed(ask, { timeoutMs, signal: this.#closing });
    } catch (error) {
      this.#closing.throwIfAborted();
      throw failure(error);
    }
    const vectors = checkedVectors(given, texts.length, this.#dimensions);
    this.#dimensions ??= vectors[0]!.length;
    this.#told = false;
    return vectors;
  }
}

/** What an embedder's error says may be content, or a key: its name alone is told. */
function failure(error: unknown): EmbedderError {
  if (error instanceof TookTooLong) return new EmbedderError(`the embedder ${error.message}`);
  const name = isHoldfastError(error) || error instanceof Error ? error.name : typeof error;
  return new EmbedderError(`the embedder failed (${name})`, {
    hint: 'Searches go by words until it answers; what lacks its vectors gets them then.',
  });
}
