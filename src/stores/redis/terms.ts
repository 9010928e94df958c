/*
 * Terms as they are kept: side by side, the first character of each told apart from all others. Letters are capitals
 * there, and digits what stands 16 before them. A term is found by one search for its text, which stops nowhere but at
 * terms that begin alike, and there is nothing between them.
 */

const DIGITS = 16;
const CAPITALS = 32;
const FIRST_LETTER = 'a'.charCodeAt(0);

export function encodeTerm(term: string): string {
  const first = term.charCodeAt(0);
  return String.fromCharCode(first - (first < FIRST_LETTER ? DIGITS : CAPITALS)) + term.slice(1);
}

export function encodeTerms(terms: readonly string[]): string {
  let text = '';
  for (const term of terms) text += encodeTerm(term);
  return text;
}
