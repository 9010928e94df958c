import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { analyse, type Turn } from '../../../src/core/search/analyse.ts';
import {
  eachPlace,
  openStretch,
  packStretch,
  placesOf,
  startingWith,
  unpackStretch,
} from '../../../src/core/search/stretch.ts';

const term = fc.stringMatching(/^[a-c0-1]{1,4}$/);
const counts = fc.array(fc.tuple(term, fc.integer({ min: 1, max: 9 }))).map((entries) => new Map(entries));
const turn = fc.record(
  {
    version: fc.integer({ min: 1, max: 1000 }),
    role: fc.constantFrom('user', 'assistant', 'tool'),
    name: fc.constantFrom('Ann', 'get:weather', 'Zoë'),
    createdAt: fc.integer({ min: 0, max: 4e12 }),
    body: counts,
    extra: counts,
    asking: fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100),
    flags: fc.integer({ min: 0, max: 31 }),
    importance: fc.constantFrom(0, 0.25, 1),
  },
  { requiredKeys: ['version', 'role', 'createdAt', 'body', 'extra', 'asking', 'flags'] },
);
const stretch = fc
  .tuple(
    fc.nat(1000),
    fc.uniqueArray(fc.nat(31), { minLength: 1 }),
    fc.array(turn, { minLength: 32, maxLength: 32 }),
  )
  .map(([number, places, turns]): Turn[] =>
    places.sort((a, b) => a - b).map((place, at) => ({ ...turns[at]!, seq: number * 32 + place })),
  );

describe('a packed stretch', () => {
  test('gives back what was packed', () => {
    fc.assert(
      fc.property(stretch, (turns) => {
        expect(unpackStretch(packStretch(turns).value)).toEqual(turns);
      }),
    );
  });

  test('packs again to the same text', () => {
    fc.assert(
      fc.property(stretch, (turns) => {
        const { value } = packStretch(turns);
        expect(packStretch(unpackStretch(value)).value).toBe(value);
      }),
    );
  });

  test('finds each term where it is, and no other', () => {
    fc.assert(
      fc.property(stretch, fc.array(term), (turns, others) => {
        const { terms, value } = packStretch(turns);
        const opened = openStretch(value);
        for (const one of [...terms, ...others]) {
          const found = turns.map(() => ({ body: 0, extra: 0 }));
          eachPlace(opened, placesOf(opened, one), (at, inBody) => found[at]![inBody ? 'body' : 'extra']++);
          const held = turns.map(({ body, extra }) => ({
            body: body.get(one) ?? 0,
            extra: extra.get(one) ?? 0,
          }));
          expect(found).toEqual(held);
        }
      }),
    );
  });

  test('finds the terms that begin alike', () => {
    fc.assert(
      fc.property(stretch, term, (turns, prefix) => {
        const { terms, value } = packStretch(turns);
        const found = startingWith(openStretch(value), prefix).map(([one]) => one);
        expect(found).toEqual(terms.filter((one) => one.startsWith(prefix)));
      }),
    );
  });

  test('names its distinct terms, sorted', () => {
    const turns = ['a boat and boats', 'a sail'].map((content, seq) =>
      analyse({ seq, version: 1, role: 'user', content, createdAt: 0 }),
    );
    expect(packStretch(turns).terms).toEqual(['boat', 'sail']);
  });

  test('counts a word that is there a thousand times fifteen times, and keeps the length', () => {
    const content = 'spam '.repeat(1000);
    const { value } = packStretch([analyse({ seq: 5, version: 1, role: 'user', content, createdAt: 0 })]);
    expect(unpackStretch(value)[0]!.body.get('spam')).toBe(15);
    expect(openStretch(value).lengths).toEqual([1000]);
  });

  test('of 32 messages of conversation takes less than 120 bytes a message', () => {
    const content =
      'I went to the harbour with Ben yesterday, and we saw three old boats being painted by a friend.';
    const turns = Array.from({ length: 32 }, (_, seq) =>
      analyse({
        seq,
        version: 1,
        role: 'user',
        content: `${content} ${seq}`,
        createdAt: 1.7e12 + seq * 60_000,
      }),
    );
    expect(packStretch(turns).value.length / 32).toBeLessThan(120);
  });
});

describe('the analysis of a message', () => {
  const read = (message: object): Turn =>
    analyse({ seq: 1, version: 1, role: 'user', content: '', createdAt: 0, ...message });

  test('tells what is said from what goes with it', () => {
    const { body, extra } = read({
      content: [
        { type: 'text', text: 'Look at this' },
        { type: 'image', image: 'https://example.org/1.png', alt: 'a harbour at dawn' },
        { type: 'file', data: '', mediaType: 'text/plain', filename: 'budget.txt' },
        { type: 'tool-call', toolCallId: '1', toolName: 'book_flight', input: { to: 'Lisbon' } },
      ],
      metadata: { caption: 'three sails', imageQuery: 'regatta', secret: 'token' },
    });
    expect([...body.keys()]).toEqual(['look']);
    expect([...extra.keys()]).toEqual(
      expect.arrayContaining(['harbour', 'dawn', 'budget', 'flight', 'lisbon', 'three', 'sail', 'regatta']),
    );
    expect(extra.has('token')).toBe(false);
  });

  test('lets tools speak by their name', () => {
    const turn = read({
      role: 'tool',
      content: [
        {
          type: 'tool-result',
          toolCallId: '1',
          toolName: 'get_weather',
          output: { type: 'json', value: { sky: 'cloudy' } },
        },
      ],
    });
    expect(turn).toMatchObject({ role: 'tool', name: 'get_weather' });
    expect(turn.body.has('cloudi')).toBe(true);
  });

  test('takes tags for words, and keeps the importance', () => {
    const turn = read({ content: 'Prefers tea', tags: ['drinks'], importance: 0.7 });
    expect([...turn.body.keys()]).toEqual(['prefer', 'tea', 'drink']);
    expect(turn.importance).toBe(0.7);
  });

  test('measures how much of it asks', () => {
    expect(read({ content: 'Where is it? Here it is.' }).asking).toBeCloseTo(0.5, 1);
    expect(read({ content: 'Here it is.' }).asking).toBe(0);
  });
});
