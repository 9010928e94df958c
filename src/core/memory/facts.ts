/**
 * What a memory is about, where it can be true of one value only: `Ann lives in Oslo` and `Ann lives in Rome` are about
 * the same. Read from the plainest sentences alone: what is not sure to have one value gives nothing.
 */
import type { Content } from './records.ts';
import { type Life, outlives } from './retention.ts';

const SUBJECT = "([\\p{L}\\p{M}][\\p{L}\\p{M}\\p{N} .'’-]{0,60}?)";
/** What one has one of. */
const ATTRIBUTE =
  '((?:(?:first|last|full|middle|nick|user|maiden) ?)?name|age|birthday|date of birth|e-?mail(?: address)?|(?:phone|telephone|mobile)(?: number)?|(?:home |street |postal )?address|home ?town|nationality|job(?: title)?|occupation|employer|time ?zone|native language|mother tongue|budget|deadline|blood type|marital status|favou?rite [\\p{L}]+)';

const NAME = "\\p{Lu}[\\p{L}\\p{M}\\p{N}.&'’-]*";
/** A name, and no more: one may live in a second place for the winter, or work for somebody else on weekends. */
const nameOnly = new RegExp(
  `^${NAME}(?:,? (?:(?:of|de|la|del|di|van|der|upon) )?${NAME})*(?: now)?[.!]?$`,
  'u',
);
/** One moves to another department, too: only where a home is known does it tell of one. */
const moving = /^.{1,70}? (?:has|have) moved to /i;

/** What a sentence looks like, what it is about, and whether its value must be a name. */
const patterns: readonly [RegExp, (match: RegExpExecArray) => string, named?: boolean][] = [
  // Ann's favourite colour is blue; my time zone is CET
  [
    new RegExp(
      `^(?:${SUBJECT}['’]s|(my)|(?:the )?${SUBJECT}['’]) ${ATTRIBUTE} (?:is|has changed to|changed to) (?!not\\b|also\\b)`,
      'iu',
    ),
    ([, named, mine, plural, attribute]) => `${subject(named ?? mine ?? plural)} ${attribute}`,
  ],
  // The budget of the trip is 500
  [
    new RegExp(`^the ${ATTRIBUTE} of ${SUBJECT} (?:is|has changed to|changed to) (?!not\\b|also\\b)`, 'iu'),
    ([, attribute, of]) => `${subject(of)} ${attribute}`,
  ],
  // Ann lives in Oslo, has moved to Oslo
  [
    new RegExp(
      `^${SUBJECT} (?:now |currently )?(?:lives? in|(?:has|have) moved to|is living in|is based in) `,
      'iu',
    ),
    ([, who]) => `${subject(who)} home`,
    true,
  ],
  // Ann works at the mill
  [
    new RegExp(`^${SUBJECT} (?:now |currently )?works? (?:at|for) `, 'iu'),
    ([, who]) => `${subject(who)} employer`,
    true,
  ],
  // Ann is 31 years old
  [
    new RegExp(`^${SUBJECT} (?:is|am) (?:now )?\\d{1,3} years? old`, 'iu'),
    ([, who]) => `${subject(who)} age`,
  ],
];

/** @returns a name for what the text tells one value of, at most 200 characters; undefined where there is none */
export function factOf(content: string): string | undefined {
  const text = content.trim();
  // A list of things, or a second sentence, may say more than its beginning.
  if (text.length > 200 || /[.!?;]\s+\S/.test(text) || /\b(?:and|or|but)\b/i.test(text)) return undefined;
  for (const [pattern, name, named] of patterns) {
    const match = pattern.exec(text);
    // One lives in Oslo, and in a red house as well.
    if (match && (!named || nameOnly.test(text.slice(match[0].length))))
      return name(match).toLowerCase().replaceAll(/\s+/g, ' ').replace('favorite', 'favourite');
  }
  return undefined;
}

/**
 * Whether a memory takes the place of an older one: it has its key, or tells another value of its fact, and does not end
 * before it. What holds for a while only must not take with it what holds.
 */
export function replaces(
  newer: { content: Content; life: Life },
  older: { content: Content; life: Life },
): boolean {
  if (!outlives(newer.life, older.life)) return false;
  const { key } = newer.content;
  if (key !== undefined && key === older.content.key) return true;
  const fact = factOf(newer.content.content);
  return (
    fact !== undefined && fact === factOf(older.content.content) && !moving.test(older.content.content.trim())
  );
}

function subject(words = ''): string {
  const plain = words.trim().replace(/^(?:the|a|an) /i, '');
  return /^(?:I|my|me)$/i.test(plain) ? 'user' : plain;
}
