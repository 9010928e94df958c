import { BudgetError } from '../errors.ts';
import { encodeJson } from '../json.ts';
import type { WindowBudget } from '../model/window.ts';
import type { TokenCounter } from '../tokens/counter.ts';
import { PER_REQUEST } from '../tokens/message-tokens.ts';

export interface BudgetRequest {
  maxTokens: number;
  replyTokens?: number | undefined;
  tools?: number | readonly unknown[] | Record<string, unknown> | undefined;
}

/**
 * What a window may cost. The budget is in the provider's tokens, messages are counted in the counter's: `ratio` says
 * how many of the provider's one of ours has turned out to be.
 */
export class Budget {
  readonly told: WindowBudget;
  /** What messages may cost, in the counter's tokens. */
  readonly room: number;
  readonly #ratio: number;

  /** @throws BudgetError when the reserves alone are too much */
  constructor(
    { maxTokens, replyTokens: reply = 0, tools = 0 }: BudgetRequest,
    counter: TokenCounter,
    ratio = 1,
  ) {
    this.#ratio = ratio;
    const toolTokens =
      typeof tools === 'number' ? tools : Math.ceil(counter.count(encodeJson(tools, 'tools')) * ratio);
    this.told = { maxTokens, reply, tools: toolTokens, messages: maxTokens - reply - toolTokens };
    const frame = this.#provider(PER_REQUEST);
    if (this.told.messages < frame) {
      throw new BudgetError(reply + toolTokens + frame, maxTokens, { reply, tools: toolTokens, frame });
    }
    this.room = this.#roomIn(this.told.messages);
  }

  /** What messages of so many of the counter's tokens cost, with the frame of the request. */
  cost(tokens: number): number {
    return this.#provider(tokens + PER_REQUEST);
  }

  /** What the window's call will be counted at, before any correction: messages, frame and tool schemas. */
  estimate(tokens: number): number {
    return tokens + PER_REQUEST + Math.round(this.told.tools / this.#ratio);
  }

  /** @param parts what must be in, in the counter's tokens */
  tooSmall(parts: Readonly<Record<string, number>>): BudgetError {
    const tokens = Object.values(parts).reduce((sum, part) => sum + part, 0);
    const told = Object.entries(parts).map(([name, part]) => [name, this.#provider(part)]);
    return new BudgetError(this.cost(tokens), this.told.messages, Object.fromEntries(told));
  }

  /** The most that costs no more than that: a division's rounding must not make a window one token too large. */
  #roomIn(messages: number): number {
    let room = Math.floor(messages / this.#ratio) - PER_REQUEST;
    while (this.cost(room) > messages) room--;
    while (this.cost(room + 1) <= messages) room++;
    return room;
  }

  #provider(tokens: number): number {
    return Math.ceil(tokens * this.#ratio);
  }
}
