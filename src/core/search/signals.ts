/** What a text says beyond its words, noted when it is analysed: a bit each. */
export const signals = {
  /** A question is asked: the answer is likely the next turn. */
  asks: 1,
  /** A word of time: a weekday, a month, morning, since, 2021, 3rd. */
  time: 2,
  /** A time that only the day of the message makes a date: yesterday, last week, two days ago. */
  relative: 4,
  /** Spoken of oneself: I, my, we. */
  first: 8,
  /** A number, in digits or as a word. */
  number: 16,
} as const;

export interface Signals {
  /** The share of characters in sentences that ask, 0 to 1. */
  asking: number;
  /** Bits of {@link signals}. */
  flags: number;
}

const weekday = '(?:mon|tues|wednes|thurs|fri|satur|sun)day';
const month = '(?:january|february|march|april|june|july|august|september|october|november|december)';
const season = '(?:spring|summer|fall|autumn|winter)';
const counted = '(?:a|one|two|three|four|five|six|a few|few|several|couple of)';
const time = new RegExp(
  `\\b(?:yesterday|today|tonight|tomorrow|last|next|ago|weeks?|weekend|months?|years?|days?|hours?|morning|evening|night|recently|soon|since|${weekday}s?|${month}|${season}|\\d{4}|\\d+(?:st|nd|rd|th))\\b`,
  'i',
);
const relative = new RegExp(
  `\\b(?:yesterday|tomorrow|tonight|ago|recently|the other day|last (?:week|month|year|night|weekend|${season}|${weekday}|fri|sat|sun|mon|tues)|next (?:week|month|year|weekend|${season}|${weekday})|this (?:week|month|weekend|morning|year)|${counted} (?:days|weeks))\\b`,
  'i',
);
const first = /\b(?:I|my|me|we|our)\b/;
const number = /\b(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|once|twice)\b/i;
const sentences = /[^.!?]+[.!?]*/g;

export function signalsOf(text: string): Signals {
  const asks = text.includes('?');
  const flags =
    (asks ? signals.asks : 0) |
    (time.test(text) ? signals.time : 0) |
    (relative.test(text) ? signals.relative : 0) |
    (first.test(text) ? signals.first : 0) |
    (number.test(text) ? signals.number : 0);
  return { asking: asks ? askingShare(text) : 0, flags };
}

function askingShare(text: string): number {
  const asking = (text.match(sentences) ?? []).filter((sentence) => sentence.includes('?'));
  return asking.reduce((sum, { length }) => sum + length, 0) / Math.max(1, text.length);
}
