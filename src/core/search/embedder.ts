/** What gives texts their vectors: an embedding model of the AI SDK, or an object of the caller's own. */
import { z } from 'zod';
import { EmbedderError } from '../errors.ts';
import { idSchema } from '../input.ts';
import { MAX_TIMER_MS } from '../store-options.ts';

/** What a text is embedded for: some models tell questions from what answers them. */
export type EmbeddingPurpose = 'query' | 'document';

/** Gives texts their vectors. */
export interface Embedder {
  /** Tells its vectors from those of others: what is embedded differently has another name. 1 to 200 characters. */
  readonly name: string;
  /** How many numbers a vector has. Absent: as many as its first one. */
  readonly dimensions?: number | undefined;
  /** @returns a vector for each text, in their order. Whatever it throws, its message is told to nobody */
  embed(
    texts: string[],
    options: { purpose: EmbeddingPurpose; signal: AbortSignal },
  ): PromiseLike<readonly (readonly number[])[]>;
}

/** An embedding model of the AI SDK (`openai.embedding('…')`), as far as it is used: any version of the specification. */
export interface EmbeddingModelObject {
  readonly provider: string;
  readonly modelId: string;
  readonly maxEmbeddingsPerCall: PromiseLike<number | undefined> | number | undefined;
  readonly supportsParallelCalls: PromiseLike<boolean> | boolean;
  doEmbed(options: {
    values: string[];
    abortSignal?: AbortSignal;
  }): PromiseLike<{ embeddings: readonly (readonly number[])[] }>;
}

export type EmbedderLike = Embedder | EmbeddingModelObject;

/** How an embedder is called. */
export interface EmbeddingOptions {
  /** How long a search waits for the vector of its query (milliseconds; 300). After that it goes by words alone. */
  deadlineMs?: number | undefined;
  /** How long a call in the background may take (milliseconds; 30 000). */
  timeoutMs?: number | undefined;
  /** How many texts a call has at most (64), and how many calls there are at a time (2). */
  batchSize?: number | undefined;
  parallelCalls?: number | undefined;
}

const MAX_DIMENSIONS = 16_000;

export const embeddingSchema = z.strictObject({
  deadlineMs: z.int().min(1).max(MAX_TIMER_MS).optional(),
  timeoutMs: z.int().min(1).max(MAX_TIMER_MS).optional(),
  batchSize: z.int().min(1).max(2048).optional(),
  parallelCalls: z.int().min(1).max(64).optional(),
});

export const embedderSchema = z.custom<EmbedderLike>().superRefine((value, context) => {
  const problem = problemOf(value);
  if (problem) context.addIssue({ code: 'custom', message: problem });
});

function problemOf(value: unknown): string | undefined {
  const { doEmbed, embed, name, modelId, provider, dimensions } = (value ?? {}) as Record<string, unknown>;
  if (typeof doEmbed === 'function')
    return isName(`${provider}/${modelId}`) ? undefined : 'has a provider and a model id that are no name';
  if (typeof embed !== 'function')
    return 'expected an embedding model of the AI SDK, or an object with name and embed(texts, { signal })';
  if (!isName(name))
    return 'needs a name of 1 to 200 characters, which tells its vectors from those of others';
  if (dimensions === undefined || isDimension(dimensions)) return undefined;
  return `has dimensions that are no whole number from 1 to ${MAX_DIMENSIONS}`;
}

function isName(name: unknown): boolean {
  return idSchema.safeParse(name).success && (name as string).length <= 200;
}

function isDimension(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_DIMENSIONS;
}

/** A model of the AI SDK as an embedder: its specifications 2 to 4 are the same as far as this goes. */
export function toEmbedder(given: EmbedderLike): Embedder {
  if (!('doEmbed' in given)) return given;
  return {
    name: `${given.provider}/${given.modelId}`,
    embed: async (values, { signal }) => (await given.doEmbed({ values, abortSignal: signal })).embeddings,
  };
}

/** How many texts a call may have, and how many calls at a time: what was asked for, as far as the model goes. */
export async function limitsOf(
  given: EmbedderLike,
  { batchSize = 64, parallelCalls = 2 }: EmbeddingOptions,
): Promise<{ batchSize: number; parallelCalls: number }> {
  if (!('doEmbed' in given)) return { batchSize, parallelCalls };
  const most = (await given.maxEmbeddingsPerCall) ?? batchSize;
  return {
    batchSize: Math.max(1, Math.min(batchSize, most)),
    parallelCalls: (await given.supportsParallelCalls) ? parallelCalls : 1,
  };
}

/**
 * What an embedder gave, where it is what was asked for.
 * @param dimensions how many numbers a vector must have; undefined: as many as the first
 * @throws EmbedderError
 */
export function checkedVectors(
  given: unknown,
  count: number,
  dimensions: number | undefined,
): Float32Array[] {
  const bad = (problem: string): never => {
    throw new EmbedderError(`the embedder gave ${problem}`, {
      hint: 'An embedder gives an array with one vector for each text: finite numbers, as many in each.',
    });
  };
  if (!Array.isArray(given)) return bad('no array of vectors');
  if (given.length !== count) return bad(`${given.length} vectors for ${count} texts`);
  return given.map((vector: unknown) => {
    const numbers = vector instanceof Float32Array ? [...vector] : vector;
    if (!Array.isArray(numbers) || !isDimension(numbers.length))
      return bad('a vector that is no array of numbers');
    dimensions ??= numbers.length;
    if (numbers.length !== dimensions)
      return bad(`a vector of ${numbers.length} numbers, expected ${dimensions}`);
    const packed = Float32Array.from(numbers as number[]);
    // Beyond 32 bits a number is none, either.
    if (!packed.every(Number.isFinite)) return bad('a vector with numbers that are not finite');
    return packed;
  });
}
