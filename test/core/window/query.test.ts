import { describe, expect, test } from 'vitest';
import type { Message } from '../../../src/core/model/message.ts';
import { askingOf, queryOf } from '../../../src/core/window/query.ts';
import { packRecalled } from '../../../src/core/window/recalled.ts';
import { letters } from './histories.ts';

const LENGTH = 300_000;
const hostile = [' ', '\n', ' \n', '\t', '.', '?', '."', 'a', 'a.', 'now ', 'ok,', '\u2028', '\ud83d'];
const texts = hostile.flatMap((piece) => {
  const run = piece.repeat(LENGTH / piece.length);
  return [run, `${run}x`, `now ${run}x`];
});
const excerptOf = (content: string) => {
  const message: Message = { id: 'a', seq: 1, role: 'user', content, createdAt: 0 };
  const room = { counter: letters, tokens: 10_000, cutTokens: 100, terms: new Set(['zebra']) };
  return packRecalled([{ message, version: 1 }], room)!.message.content as string;
};

describe('a text of 300,000 characters', () => {
  test('is no trouble as a turn that asks, nor as one that is recalled, whatever it repeats', () => {
    for (const text of texts) {
      expect(queryOf({ content: text }).length).toBeLessThanOrEqual(1000);
      expect(askingOf(text)).toBeLessThanOrEqual(1);
      expect(excerptOf(text).length).toBeLessThan(500);
    }
  });

  test('is cut between characters', () => {
    for (const text of ['😀'.repeat(LENGTH), `a${'😀'.repeat(LENGTH)}`]) {
      expect(queryOf({ content: text }).isWellFormed()).toBe(true);
      expect(excerptOf(text).isWellFormed()).toBe(true);
    }
  });
});
