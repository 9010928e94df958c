/** A text as sentences, or lines where it is not prose. */
import { cut } from '../cut.ts';

/** Words before a period that ends no sentence. */
const abbreviations =
  /(?:\b(?:e\.g|i\.e|etc|vs|approx|no|mr|mrs|ms|dr|prof|st|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec)\.|\b[A-Z]\.)$/i;
const ends = /[.!?…]["'”’)\]]*\s+/gu;
/** Where an abbreviation is looked for: they are short, a text may be long. */
const ABBREVIATION = 12;
/** A line of this length is taken apart no further: it is data, not prose. */
const LONGEST = 320;

/** The sentences of a text, in its order, without white space around them. What is longer than 320 characters is cut. */
export function sentencesOf(text: string): string[] {
  const found = text.split('\n').flatMap(sentencesOfLine);
  return found.map(shown).filter((sentence) => /[\p{L}\p{N}]/u.test(sentence));
}

function sentencesOfLine(line: string): string[] {
  const found: string[] = [];
  let start = 0;
  for (const { 0: end, index } of line.matchAll(ends)) {
    const upTo = index + end.trimEnd().length;
    if (abbreviations.test(line.slice(Math.max(start, upTo - ABBREVIATION), upTo))) continue;
    found.push(line.slice(start, upTo));
    start = index + end.length;
  }
  found.push(line.slice(start));
  return found;
}

function shown(sentence: string): string {
  const plain = sentence.replaceAll(/\s+/g, ' ').trim();
  return plain.length <= LONGEST ? plain : `${cut(plain, LONGEST).replace(/\s+\S*$/, '')} …`;
}
