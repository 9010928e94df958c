/** The dates that a question names: `3 July 2023`, `May 2024`, `2023-05-03`; and those that depend on today. */

const DAY_MS = 86_400_000;

/** A date as far as it is named: month 0 to 11. */
export interface NamedDate {
  readonly year?: number;
  readonly month?: number;
  readonly day?: number;
}

/** From and up to, without it: epoch milliseconds. */
export interface Period {
  readonly from: number;
  readonly to: number;
}

const months = [
  'jan(?:uary)?',
  'feb(?:ruary)?',
  'mar(?:ch)?',
  'apr(?:il)?',
  'may',
  'june?',
  'july?',
  'aug(?:ust)?',
  'sept?(?:ember)?',
  'oct(?:ober)?',
  'nov(?:ember)?',
  'dec(?:ember)?',
].map((name) => new RegExp(`\\b${name}\\b`, 'i'));
/** What is a month only with a capital. */
const alsoWords = /^(?:mar|may|march|jan|dec|sep)$/;
const iso = /\b((?:19|20)\d\d)-(\d\d)(?:-(\d\d))?\b/;

export function dateOf(text: string): NamedDate {
  const [, isoYear, isoMonth, isoDay] = iso.exec(text) ?? [];
  if (isoYear)
    return { year: Number(isoYear), month: Number(isoMonth) - 1, ...(isoDay && { day: Number(isoDay) }) };
  const year = /\b(?:19|20)\d\d\b/.exec(text)?.[0];
  const named = { ...(year && { year: Number(year) }) };
  for (const [month, pattern] of months.entries()) {
    const found = pattern.exec(text);
    if (!found || alsoWords.test(found[0])) continue;
    const day = dayBeside(text.slice(0, found.index), text.slice(found.index + found[0].length));
    return { ...named, month, ...(day && { day: Number(day) }) };
  }
  return named;
}

/** The day of a month: `the 3rd of July`, `3 July`, `July 3rd`. */
function dayBeside(before: string, after: string): string | undefined {
  const day = '(\\d{1,2})(?:st|nd|rd|th)?';
  const [, first] = new RegExp(`\\b${day}(?: of)? $`).exec(before) ?? [];
  return first ?? new RegExp(`^\\.? (?:the )?${day}\\b`).exec(after)?.[1];
}

/** From one on, which is also `a`. */
const numbers = ['a', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'];
const ago = new RegExp(`\\b(\\d{1,4}|one|${numbers.join('|')}) (day|week|month)s? ago\\b`);

/** Days and weeks of UTC: a week ends today, `two weeks ago` is the week around that day, a month is a calendar month. */
export function periodOf(text: string, now: number): Period | undefined {
  const lower = text.toLowerCase();
  const today = Math.floor(now / DAY_MS) * DAY_MS;
  const days = (from: number, to: number): Period => ({
    from: today + from * DAY_MS,
    to: today + to * DAY_MS,
  });
  const month = (from: number, to: number): Period => {
    const date = new Date(now);
    const start = (distance: number): number =>
      Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + distance);
    return { from: start(from), to: start(to) };
  };
  if (/\b(?:today|this (?:morning|afternoon|evening))\b/.test(lower)) return days(0, 1);
  if (/\bday before yesterday\b/.test(lower)) return days(-2, -1);
  if (/\b(?:yesterday|last night)\b/.test(lower)) return days(-1, 0);
  if (/\bthis week\b/.test(lower)) return days(-6, 1);
  if (/\blast week\b/.test(lower)) return days(-13, -6);
  if (/\bthis month\b/.test(lower)) return month(0, 1);
  if (/\blast month\b/.test(lower)) return month(-1, 0);
  const [, some, unit] = ago.exec(lower) ?? [];
  if (!some) return undefined;
  const count = /\d/.test(some) ? Number(some) : Math.max(1, numbers.indexOf(some) + 1);
  if (unit === 'month') return month(-count, 1 - count);
  // Nobody counts weeks by the day.
  return unit === 'week' ? days(-7 * count - 3, -7 * count + 4) : days(-count, 1 - count);
}
