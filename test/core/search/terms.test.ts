import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { synonymsOf } from '../../../src/core/search/synonyms.ts';
import { termOf, termsOf, wordsOf } from '../../../src/core/search/terms.ts';

describe('the terms of a text', () => {
  test('are stems without stop words', () => {
    expect(termsOf('The children were running to their parties')).toEqual(['child', 'run', 'parti']);
  });

  test('bring irregular forms and short names back to one word', () => {
    expect(termsOf('She bought and sold')).toEqual(termsOf('buying and selling'));
    expect(termsOf("mum's women")).toEqual(termsOf('mother woman'));
  });

  test('leave contractions and possessives out', () => {
    expect(termsOf("don't won’t they'll I've Ann's")).toEqual(['ann']);
    expect(termsOf("O'Brien")).toEqual(termsOf('o brien'));
  });

  test.for([
    ['src/core/engine.ts', 'engine'],
    ['src/core/engine.ts', 'core'],
    ['ERR_CONN_42', '42'],
    ['userId', 'user'],
    ['userId', 'userid'],
    ['HTTPServer', 'server'],
    ['user_profile', 'userProfile'],
    ['ada@example.org', 'example'],
    ['e-mail', 'email'],
    ['2026-03-01', '2026'],
    ['café', 'cafe'],
    ['Straße', 'Strasse'],
    ['STRAẞE', 'strasse'],
    ['Œuvre', 'oeuvre'],
    ['Ærø', 'aero'],
    ['ÆRØ', 'aero'],
    ['Łódź', 'Lodz'],
    ['Đorđe', 'Dorde'],
    ['ＦＵＬＬ', 'full'],
  ])('of %s are found by %s', ([text, query]) => {
    const found = new Set(termsOf(text!));
    expect(termsOf(query!).some((term) => found.has(term))).toBe(true);
  });

  test('of an identifier hold the whole, whatever its joints', () => {
    const whole = (text: string): string => termsOf(text).at(-1)!;
    expect(whole('ERR_CONN_42')).toBe('errconn42');
    expect(whole('err-conn.42')).toBe('errconn42');
    expect(whole('src/core/engine.ts')).toBe('srccoreenginets');
  });

  test('of scripts without spaces are their words', () => {
    const [first, ...others] = termsOf('我喜欢音乐');
    expect(others.length).toBeGreaterThan(0);
    expect(termsOf('音乐')).toHaveLength(1);
    expect([first, ...others]).toContain(termsOf('音乐')[0]);
  });

  test('of other languages are lower-case words, accents or not', () => {
    expect(termsOf('Привет МИР')).toEqual(termsOf('привет мир'));
    expect(termsOf('한국어')).toHaveLength(1);
    expect(termsOf('naïve Überraschung')).toEqual(termsOf('naive uberraschung'));
  });

  test('tell long words apart that begin alike', () => {
    const long = 'x'.repeat(80);
    expect(termsOf(`${long}a`)).not.toEqual(termsOf(`${long}b`));
    expect(termsOf(`${long}a`)).toEqual(termsOf(`${long}a`.toUpperCase()));
  });

  test('are always what stores take, and the same for the same text', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme', maxLength: 200 }));
    fc.assert(
      fc.property(text, (any) => {
        const terms = termsOf(any);
        for (const term of terms) expect(term).toMatch(/^[a-z0-9]{1,64}$/);
        expect(termsOf(any)).toEqual(terms);
      }),
    );
  });

  test('of a text of megabytes are those of its beginning', () => {
    expect(termsOf(`first ${'word '.repeat(1_000_000)} last`)).toContain('first');
    expect(termsOf(`first ${'word '.repeat(1_000_000)} last`)).not.toContain('last');
  });
});

test('words keep what terms leave out', () => {
  expect(wordsOf("Where's Ann's src/index.ts?")).toEqual(['where', 'ann', 'src', 'index', 'ts']);
});

test('synonyms go both ways and never name the term itself', () => {
  for (const word of ['movie', 'buy', 'job', 'bug']) {
    const term = termOf(word);
    expect(synonymsOf(term).size).toBeGreaterThan(0);
    expect(synonymsOf(term)).not.toContain(term);
    for (const other of synonymsOf(term)) expect(synonymsOf(other)).toContain(term);
  }
  expect(synonymsOf('xylophon').size).toBe(0);
});
