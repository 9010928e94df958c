import { InvalidInputError } from '../errors.ts';
import { idProblem, kindOf } from '../ids.ts';

/** Counts the tokens of a text. Pluggable: give your own to the engine. */
export interface TokenCounter {
  /** Stored with the counts: a counter of another name counts anew. */
  readonly name: string;
  /** True when the counts are not those of the model's own tokenizer. */
  readonly estimated?: boolean;
  count(text: string): number;
}

type Encoding = 'o200k_base' | 'cl100k_base';

/** Which tokenizer a model uses, and what its counts are multiplied by where that is only an estimate. */
interface Tokenizer {
  encoding: Encoding;
  factor?: number;
}

/** Models by the start of their name, the longest first. Source of the OpenAI rows: the tiktoken model table. */
const models: readonly [prefix: string, tokenizer: Tokenizer][] = [
  ['gpt-4o', { encoding: 'o200k_base' }],
  ['gpt-4.1', { encoding: 'o200k_base' }],
  ['gpt-4.5', { encoding: 'o200k_base' }],
  ['gpt-5', { encoding: 'o200k_base' }],
  ['chatgpt-4o', { encoding: 'o200k_base' }],
  ['gpt-oss', { encoding: 'o200k_base' }],
  ['o1', { encoding: 'o200k_base' }],
  ['o3', { encoding: 'o200k_base' }],
  ['o4', { encoding: 'o200k_base' }],
  ['gpt-4', { encoding: 'cl100k_base' }],
  ['gpt-3.5', { encoding: 'cl100k_base' }],
];

/** Other tokenizers are not public. A window had better be a little too small than too large. */
const UNKNOWN: Tokenizer = { encoding: 'o200k_base', factor: 1.2 };

/** Loads counters when they are first needed (tens of milliseconds), and keeps them. */
export class TokenCounters {
  readonly #default: TokenCounter | undefined;
  readonly #loaded = new Map<string, Promise<TokenCounter>>();

  /** @param counter used for every model, in place of the tokenizers that come along */
  constructor(counter?: TokenCounter) {
    this.#default = counter && checked(counter);
  }

  /**
   * The counter for a model; `o200k_base` where none is named. For a model whose tokenizer is not known it is an
   * estimate, and says so.
   */
  async for(model?: string): Promise<TokenCounter> {
    if (this.#default) return this.#default;
    const tokenizer = model === undefined ? { encoding: 'o200k_base' as const } : tokenizerOf(model);
    const key = `${tokenizer.encoding}*${tokenizer.factor ?? 1}`;
    let known = this.#loaded.get(key);
    if (!known) {
      known = load(tokenizer);
      this.#loaded.set(key, known);
      // What failed to load may load the next time.
      known.catch(() => this.#loaded.delete(key));
    }
    return known;
  }
}

/** A counter from outside: a nonsensical count is told where it was made, not where it does harm. */
function checked(counter: TokenCounter): TokenCounter {
  if (idProblem(counter.name) || counter.name.length > 64) {
    throw new InvalidInputError('tokens.counter', [
      { path: 'name', message: 'expected a string of 1 to 64 characters' },
    ]);
  }
  const count = (text: string): number => {
    const tokens = counter.count(text);
    if (Number.isFinite(tokens) && tokens >= 0) return Math.ceil(tokens);
    throw new InvalidInputError(`the token counter ${counter.name}`, [
      { path: 'count', message: `must return a number from 0 up, got ${kindOf(tokens)}` },
    ]);
  };
  return {
    name: counter.name,
    ...(counter.estimated !== undefined && { estimated: counter.estimated }),
    count,
  };
}

function tokenizerOf(model: string): Tokenizer {
  // A gateway's name may carry the provider in front: openai/gpt-5; a fine-tuned model's that it is one: ft:gpt-4o:me.
  const name = model.toLowerCase().replace(/^(.*\/)?(ft:)?/, '');
  return models.find(([prefix]) => name.startsWith(prefix))?.[1] ?? UNKNOWN;
}

async function load({ encoding, factor }: Tokenizer): Promise<TokenCounter> {
  const tokenizer =
    encoding === 'o200k_base'
      ? await import('gpt-tokenizer/encoding/o200k_base')
      : await import('gpt-tokenizer/encoding/cl100k_base');
  // A text may well speak of special tokens; in it they are only text.
  const asText = { disallowedSpecial: new Set<string>() };
  const count = (text: string): number => {
    let tokens = 0;
    for (const piece of piecesOf(text)) tokens += tokenizer.countTokens(piece, asText);
    return tokens;
  };
  if (factor === undefined) return { name: encoding, count };
  return {
    name: `${encoding}*${factor}`,
    estimated: true,
    count: (text) => Math.ceil(count(text) * factor),
  };
}

/** A word is counted in time that grows with the square of its length: what nobody can read is cut up. */
const LONGEST_WORD = 512;
const longWord =
  /(?<![\p{L}\p{M}])[\p{L}\p{M}]{512}|(?<!\s)\s{512}|(?<![^\s\p{L}\p{M}\p{N}])[^\s\p{L}\p{M}\p{N}]{512}/u;

function* piecesOf(text: string): Generator<string> {
  let rest = text;
  while (rest.length > LONGEST_WORD) {
    const end = rest.search(longWord);
    if (end < 0) break;
    yield rest.slice(0, end);
    const word = longWord.exec(rest.slice(end))![0];
    yield word;
    rest = rest.slice(end + word.length);
  }
  yield rest;
}
