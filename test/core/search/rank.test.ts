import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { analyse } from '../../../src/core/search/analyse.ts';
import { readQuestion } from '../../../src/core/search/question.ts';
import { type RankInput, rank } from '../../../src/core/search/rank.ts';
import { packStretch, STRETCH } from '../../../src/core/search/stretch.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

type Said = string | { text: string; at?: number; role?: string; name?: string; importance?: number };

/** A log of messages, a minute apart unless they say when, as the index holds it. */
function log(messages: readonly Said[], name = 'log', from = 0) {
  let time = Date.UTC(2024, 0, 1);
  const turns = messages.map((said, at) => {
    const { text, at: when, role = 'user', ...others } = typeof said === 'string' ? { text: said } : said;
    time = when ?? time + 60_000;
    return analyse({ seq: from + at, version: 1, role, content: text, createdAt: time, ...others });
  });
  const stretches = Object.values(Object.groupBy(turns, ({ seq }) => Math.floor(seq / STRETCH)));
  return stretches.map((some) => ({ log: name, ...packStretch(some!) }));
}

function search(query: string, documents: ReturnType<typeof log>, options: Partial<RankInput> = {}) {
  const question = readQuestion(query);
  const holding = new Map(
    question.terms.map((term) => [term, documents.filter(({ terms }) => terms.includes(term)).length]),
  );
  const statistics = { documents: documents.length, holding };
  return rank({ stretches: documents, question, statistics, limit: 10, ...options });
}

const seqs = (hits: readonly { seq: number }[]): number[] => hits.map(({ seq }) => seq);
const small = ['Good morning', 'It rains again', 'Nothing new here', 'See you then'];

describe('the order of hits', () => {
  test('begins with the turn that says the words', () => {
    expect(seqs(search('the old lighthouse', log([...small, 'I saw a lighthouse', ...small])))[0]).toBe(4);
  });

  test('finds an answer by the question before it', () => {
    const talk = log([...small, 'Which instrument do you play?', 'The cello.', ...small, 'Good night']);
    expect(seqs(search('What instrument is played?', talk))[0]).toBe(5);
  });

  test('prefers an answer to the same words in a question', () => {
    const talk = log([
      ...small,
      'Did you paint the boat?',
      'Well',
      ...small,
      'I did paint the boat.',
      ...small,
    ]);
    expect(seqs(search('paint the boat', talk))[0]).toBe(10);
  });

  test('does not carry words over a pause', () => {
    const at = Date.UTC(2024, 0, 1);
    const talk = log([
      { text: 'What about the regatta?', at },
      { text: 'Hello there', at: at + 2 * HOUR },
      ...small,
    ]);
    const [, second] = search('regatta', talk, { explain: true });
    expect(second?.why?.words ?? 0).toBe(0);
  });

  test('does not carry words from one log to another', () => {
    const hits = search('regatta', [...log(['The regatta?'], 'a'), ...log(['Hello'], 'b')]);
    expect(hits).toMatchObject([{ log: 'a', seq: 0 }]);
  });

  test('carries words from one stretch to the next', () => {
    const filler = Array.from({ length: STRETCH - 1 }, (_, at) => `Filler ${at}`);
    const talk = log([...filler, 'Who won the regatta?', 'The green boat.', 'Fine weather']);
    expect(talk).toHaveLength(2);
    expect(seqs(search('who won the regatta', talk))[0]).toBe(STRETCH);
  });

  test('does not take stretches for neighbours between which one is missing', () => {
    const first = log(['The regatta?'], 'a', STRETCH - 1);
    const third = log(['The green boat.'], 'a', 2 * STRETCH);
    expect(seqs(search('regatta', [...first, ...third]))).toEqual([STRETCH - 1]);
  });

  test('does not begin with what stands beside a page or beside instructions', () => {
    const page = 'The regatta. '.repeat(10) + 'Anchors and ropes and sails. '.repeat(100);
    const talk = log([...small, page, ...small, 'Our regatta began', ...small]);
    expect(
      seqs(search('regatta', talk))
        .slice(0, 2)
        .toSorted((a, b) => a - b),
    ).toEqual([4, 9]);
    const told = log([{ text: 'Speak of the regatta', role: 'system' }, 'Hello', 'Good day']);
    const [, hello] = search('regatta', told, { explain: true });
    expect(hello?.why?.words ?? 0).toBe(0);
  });

  test('finds other words for the same, behind the word itself', () => {
    const talk = log(['We saw a film', ...small, ...small, 'We saw a movie', ...small]);
    expect(seqs(search('a movie', talk)).filter((seq) => seq === 0 || seq === 9)).toEqual([9, 0]);
  });

  test('of equals gives the newest first', () => {
    const day = Date.UTC(2024, 0, 1);
    const talk = log([0, 1, 2].map((n) => ({ text: 'The same words', at: day + n * DAY })));
    expect(seqs(search('same words', talk))).toEqual([2, 1, 0]);
  });

  test('is the same whatever the order in which the stretches come', () => {
    const words = ['boat', 'sail', 'harbour', 'rope', 'anchor', 'tide', 'wind', 'what?'];
    const messages = fc.array(
      fc.array(fc.constantFrom(...words), { minLength: 1 }).map((some) => some.join(' ')),
      {
        minLength: 1,
        maxLength: 120,
      },
    );
    fc.assert(
      fc.property(messages, messages, fc.integer({ min: 1, max: 60 }), (one, two, limit) => {
        const documents = [...log(one, 'a'), ...log(two, 'b')];
        const all = search('boat and harbour in the wind', documents, { limit: 1000 });
        const reversed = search('boat and harbour in the wind', documents.toReversed(), { limit });
        expect(reversed).toEqual(all.slice(0, limit));
        const scores = all.map(({ score }) => score);
        expect(scores).toEqual(scores.toSorted((a, b) => b - a));
      }),
      { numRuns: 50 },
    );
  });

  test('keeps in a part of the stretches what the whole would give first', () => {
    const talk = log(
      Array.from({ length: 320 }, (_, at) => (at % 40 === 7 ? `Boat number ${at}` : `Filler ${at}`)),
    );
    const question = readQuestion('boats');
    const statistics = { documents: talk.length, holding: new Map([['boat', 8]]) };
    const some = talk.filter(({ terms }) => terms.includes('boat')).slice(0, 4);
    const hits = rank({ stretches: some, question, statistics, limit: 4 });
    expect(hits.every(({ seq }) => seq % 40 === 7)).toBe(true);
  });
});

describe('who speaks', () => {
  const talk = log([
    { text: 'My brother has a red car', name: 'Ann', role: 'user' },
    { text: 'My brother has a red car', name: 'Ben', role: 'assistant' },
    { text: '{"car": "red"}', name: 'find_car', role: 'tool' },
  ]);

  test.for([
    ["What colour is Ann's brother's car?", 0],
    ['What colour is the car of Ben?', 1],
    ['Which car did find_car give?', 2],
    ['Which tool found the red car?', 2],
    ['What did the assistant say of the car of the brother?', 1],
    ['What car does my brother have?', 0],
    ['What does Ben think of the car of Ann?', 1],
  ] as const)('decides: %s', ([query, seq]) => {
    expect(seqs(search(query, talk))[0]).toBe(seq);
  });
});

describe('times', () => {
  test('count where a time is asked for', () => {
    const talk = log([
      'I fixed the roof',
      ...small,
      'I fixed the roof yesterday',
      ...small,
      'I fixed the roof',
    ]);
    const [best] = search('When was the roof fixed?', talk, { explain: true });
    expect(best).toMatchObject({ seq: 5, why: { time: expect.any(Number) } });
  });

  test('of the messages count where a date is named', () => {
    const on = (month: number, day: number) => ({ text: 'We went sailing', at: Date.UTC(2024, month, day) });
    const talk = log([on(0, 5), on(2, 3), on(2, 9), on(4, 1), on(7, 1)]);
    expect(seqs(search('sailing in March 2024', talk)).slice(0, 3)).toEqual([2, 1, 0 + 4]);
    expect(seqs(search('sailing on 3 March 2024', talk))[0]).toBe(1);
    expect(seqs(search('sailing on 5 January', talk))[0]).toBe(0);
  });

  test('count where the question says how long ago', () => {
    const now = Date.UTC(2024, 5, 20, 12);
    const talk = log([1, 5, 9].map((ago) => ({ text: 'We went sailing', at: now - ago * DAY })));
    const question = readQuestion('Who went sailing 5 days ago?', { now });
    expect(seqs(search('', talk, { question }))[0]).toBe(1);
  });

  test('make the young come first where that is asked for', () => {
    const day = Date.UTC(2024, 0, 1);
    const talk = log([
      { text: 'The plan: sail, sail, sail', at: day },
      { text: 'The plan is to sail', at: day + 90 * DAY },
    ]);
    const now = day + 91 * DAY;
    expect(seqs(search('plan to sail', talk, { now, weights: { recency: 4 } }))).toEqual([1, 0]);
  });
});

describe('what counts besides', () => {
  test('is the importance of a memory', () => {
    const memories = [0.1, 0.9, 0.5].flatMap((importance, at) =>
      log([{ text: 'Likes green tea', importance, role: 'memory' }], `memory ${at}`),
    );
    expect(search('green tea', memories).map((hit) => hit.log)).toEqual(['memory 1', 'memory 2', 'memory 0']);
  });

  test('is how near in meaning a turn is, with or without a word in common', () => {
    const similarity = (_: string, seq: number): number => (seq === 3 ? 0.9 : 0.1);
    expect(seqs(search('weather', log(small), { similarity }))[0]).toBe(3);
  });
});

describe('a score', () => {
  const talk = log([...small, { text: 'I sold two old boats in May, last week', name: 'Ann' }, ...small]);

  test('is the sum of what it says of itself', () => {
    for (const hit of search('When did Ann sell how many boats in May 2024?', talk, { explain: true })) {
      const { terms, ...parts } = hit.why!;
      expect(Object.values(parts).reduce((sum, part) => sum + part, 0)).toBeCloseTo(hit.score, 9);
      expect(Object.values(terms).reduce((sum, part) => sum + part, 0)).toBeCloseTo(parts.words, 9);
    }
  });

  test('says nothing where it is not asked to', () => {
    expect(search('boats', talk)[0]).not.toHaveProperty('why');
  });

  test('leaves out what has nothing of the question', () => {
    expect(search('zebra', talk)).toEqual([]);
    expect(search('boats', [])).toEqual([]);
  });
});
