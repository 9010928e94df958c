import { describe, expect, test } from 'vitest';
import { namedIn, nameTerms, readQuestion } from '../../../src/core/search/question.ts';
import { termsOf } from '../../../src/core/search/terms.ts';

const ann = { role: 'user', name: 'Annabel' };
const ben = { role: 'assistant', name: 'Ben' };
const weather = { role: 'tool', name: 'get_weather' };

describe('a question', () => {
  test('looks for its words, not for those that make it a question', () => {
    expect(readQuestion('What kind of boat did Ben build?').terms).toEqual(termsOf('boat Ben build'));
  });

  test('of nothing but such words looks for these', () => {
    expect(readQuestion('what kind?').terms).toEqual(['kind']);
    expect(readQuestion('?').terms).toEqual([]);
  });

  test('says each term once', () => {
    expect(readQuestion('boat boats boat').terms).toEqual(['boat']);
  });

  test('tells vague words from others', () => {
    const { terms, vague } = readQuestion('various recent boats');
    expect(terms.filter((term) => vague.has(term))).toEqual(termsOf('various recent'));
  });

  test.for([
    ['When did the ship leave?', true, false],
    ['What date is the party?', true, false],
    ['How long did it take?', true, true],
    ['How many boats are there?', false, true],
    ['Where is the ship?', false, false],
  ] as const)('%s asks for a time: %s, for a number: %s', ([text, time, number]) => {
    expect(readQuestion(text)).toMatchObject({ wantsTime: time, wantsNumber: number });
  });

  test.for([
    ['on 3 July, 2023', { day: 3, month: 6, year: 2023 }],
    ['on July 3rd', { day: 3, month: 6 }],
    ['in May 2024', { month: 4, year: 2024 }],
    ['since 2019', { year: 2019 }],
    ['what may 12 people eat', {}],
    ['12 boats', {}],
    ['which 3 boats sailed in June', { month: 5 }],
    ['the 2nd of Aug 2023', { day: 2, month: 7, year: 2023 }],
    ['on 2024-05-03', { day: 3, month: 4, year: 2024 }],
  ] as const)('reads the date of "%s"', ([text, date]) => {
    expect(readQuestion(text).date).toEqual(date);
  });

  test.for([
    ['What did the user say?', 'user'],
    ['What is my favourite boat?', 'user'],
    ['Which tool returned the forecast?', 'tool'],
    ['What did the assistant promise?', 'assistant'],
    ['What was your advice?', 'assistant'],
    ['What does the system prompt forbid?', 'system'],
    ['What happened in Rome?', undefined],
  ] as const)('%s speaks of the role %s', ([text, role]) => {
    expect(readQuestion(text).role).toBe(role);
  });
});

describe('a time that depends on today', () => {
  const now = Date.UTC(2024, 2, 15, 10);
  const days = (text: string): (string | undefined)[] => {
    const { period } = readQuestion(text, { now });
    return [period?.from, period?.to].map((time) =>
      time === undefined ? undefined : new Date(time).toISOString().slice(0, 10),
    );
  };

  test.for([
    ['what did I say today', '2024-03-15', '2024-03-16'],
    ['what did I say yesterday', '2024-03-14', '2024-03-15'],
    ['last week', '2024-03-02', '2024-03-09'],
    ['last month', '2024-02-01', '2024-03-01'],
    ['three boats, 10 days ago', '2024-03-05', '2024-03-06'],
    ['the day before yesterday', '2024-03-13', '2024-03-14'],
    ['two weeks ago', '2024-02-27', '2024-03-05'],
    ['a month ago', '2024-02-01', '2024-03-01'],
  ] as const)('"%s" is from %s to %s', ([text, from, to]) => {
    expect(days(text)).toEqual([from, to]);
  });

  test('is none where today is not known, or nothing is said', () => {
    expect(readQuestion('yesterday').period).toBeUndefined();
    expect(days('boats')).toEqual([undefined, undefined]);
  });
});

describe('the speakers that a question names', () => {
  const named = (text: string): string[] => namedIn(readQuestion(text), [ann, ben, weather]);

  test('are named in full or by the beginning, whatever the case', () => {
    expect(named('What did Annabel buy?')).toEqual(['Annabel']);
    expect(named("What is ann's plan?")).toEqual(['Annabel']);
    expect(named('What did An buy?')).toEqual([]);
  });

  test('come in the order of the question', () => {
    expect(named('What does Ben think of Anna?')).toEqual(['Ben', 'Annabel']);
  });

  test('are tools only by their whole name', () => {
    expect(named('What did get_weather return?')).toEqual(['get_weather']);
    expect(named('What did they get?')).toEqual([]);
  });

  test('are no stop words', () => {
    expect(namedIn(readQuestion('What can her boat do?'), [{ role: 'user', name: 'Herbert' }])).toEqual([]);
  });

  test('are terms that count less', () => {
    expect([...nameTerms(readQuestion('What did Ben get?'), [ann, ben, weather])]).toEqual(['ben']);
    expect([...nameTerms(readQuestion('What did the user say of my ship?'), [])]).toEqual(['user']);
  });
});
