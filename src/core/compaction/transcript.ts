import { cut } from '../cut.ts';
import { textOf } from '../messages/formats/text.ts';
import type { TokenCounter } from '../tokens/counter.ts';
import type { Counted } from '../window/groups.ts';
import { said } from './said.ts';

/** More characters than so many a token are not looked at to see how many fit. */
const MOST_CHARACTERS = 8;

/** A part of a conversation as a model reads it. */
export interface TranscriptPart {
  text: string;
  /** What the user says in it. */
  demands: string[];
}

/** A conversation, given out in parts that a model can take. A message that is too long for one goes on in the next. */
export class Transcript {
  readonly #items: readonly Counted[];
  readonly #counter: TokenCounter;
  #offset = 0;
  /** How many of the messages were given out to their ends. */
  done = 0;

  constructor(items: readonly Counted[], counter: TokenCounter) {
    this.#items = items;
    this.#counter = counter;
  }

  get ended(): boolean {
    return this.done === this.#items.length;
  }

  /** The next part, of at most so many tokens, but not without anything. */
  next(maxTokens: number): TranscriptPart {
    const lines: string[] = [];
    const demands: string[] = [];
    let left = maxTokens;
    while (!this.ended) {
      const message = said(this.#items[this.done]!);
      const when = new Date(message.createdAt).toISOString().slice(0, 16).replace('T', ' ');
      const head = `[${message.seq}] ${message.name ?? message.role}, ${when}:`;
      const rest = textOf(message).slice(this.#offset);
      const piece = this.#fitting(head, rest, left);
      const whole = piece.length === rest.length;
      if (!whole && lines.length > 0) break;
      lines.push(`${head} ${piece}`);
      if (message.role === 'user') demands.push(piece);
      this.#offset = whole ? 0 : this.#offset + piece.length;
      if (!whole) break;
      this.done++;
      left -= this.#counter.count(lines.at(-1)!) + 1;
    }
    return { text: lines.join('\n'), demands };
  }

  #fitting(head: string, rest: string, maxTokens: number): string {
    let piece = cut(rest, Math.max(2, Math.floor(maxTokens * MOST_CHARACTERS)));
    for (;;) {
      const tokens = this.#counter.count(`${head} ${piece}`) + 1;
      if (tokens <= maxTokens || piece.length <= 2) return piece;
      piece = cut(piece, Math.max(2, Math.floor(piece.length * Math.min(0.9, maxTokens / tokens))));
    }
  }
}
