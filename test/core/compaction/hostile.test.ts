import { expect, test } from 'vitest';
import { identifiersIn } from '../../../src/core/compaction/facts.ts';
import { sentencesOf } from '../../../src/core/compaction/sentences.ts';

const LENGTH = 300_000;
const units = [' ', '\t', '\n', ' \n', 'a-', 'A_-', '1-', 'a.', 'a/', '/a', 'Mr. ', '."', 'a@', '/.'];

// What goes through such a text again from each of its words takes minutes.
test.for(units.flatMap((unit) => [[unit, ''] as const, [unit, 'x\u0001é'] as const]))(
  'a text of nothing but %j, and %j behind it, is gone through once',
  ([unit, end]) => {
    const text = unit.repeat(LENGTH / unit.length) + end;
    for (const sentence of sentencesOf(text)) expect(sentence.length).toBeLessThan(400);
    for (const one of identifiersIn(text)) expect(one.length).toBeLessThan(10_000);
  },
);

test('sentences end with lines, and not with abbreviations', () => {
  expect(sentencesOf('  Dr. Okoye pays, e.g. rent.  \n\n  Then?\r\n\tThe ship, “Vasa.” sank!')).toEqual([
    'Dr. Okoye pays, e.g. rent.',
    'Then?',
    'The ship, “Vasa.”',
    'sank!',
  ]);
});
