/** Made-up text, the same on every run: a vocabulary of which few words are said often and most hardly ever. */

const VOCABULARY = 30_000;
const SYLLABLES =
  'ba be bi bo bu da de di do du fa fi fo ga go gu ka ke ki ko la le li lo lu ma me mi mo na'.split(' ');
/** The most frequent words stand for what a language has in every sentence: nobody asks for them. */
const FUNCTION_WORDS = 100;

/** A source of numbers from 0 up to 1, the same for the same seed (Tommy Ettinger's mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The word of a rank, 0 the most frequent: its syllables are the rank's digits, so that no two are the same. */
function word(rank: number): string {
  const digit = rank % SYLLABLES.length;
  const rest = (rank - digit) / SYLLABLES.length;
  return rest === 0 ? `${SYLLABLES[digit]}n` : SYLLABLES[digit] + word(rest);
}

const words = Array.from({ length: VOCABULARY }, (_, rank) => word(rank));
const functionWords = new Set(words.slice(0, FUNCTION_WORDS));

/** Zipf's law: ranks are drawn in proportion to 1 / (rank + 1), by the inverse of its integral. */
function draw(random: () => number): string {
  return words[Math.min(VOCABULARY - 1, Math.floor((VOCABULARY + 1) ** random()) - 1)]!;
}

/** A text of 12 to 25 words. */
export function textFrom(seed: number): string {
  const random = randomFrom(seed);
  const length = 12 + Math.floor(random() * 14);
  return Array.from({ length }, () => draw(random)).join(' ');
}

/** Three to six different words of a text that somebody might ask for; fewer where it has no more. */
export function questionAbout(text: string, seed: number): string[] {
  const random = randomFrom(seed);
  const asked = [...new Set(text.split(' '))].filter((one) => !functionWords.has(one));
  const count = Math.min(asked.length, 3 + Math.floor(random() * 4));
  return Array.from({ length: count }, () => asked.splice(Math.floor(random() * asked.length), 1)[0]!);
}
