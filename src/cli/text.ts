/** Text for people: numbers, times, sizes and tables. */
import { stripVTControlCharacters } from 'node:util';

/** 4109 → `4,109` */
export function count(number: number): string {
  return number.toLocaleString('en-US');
}

/** `1 session`, `4,109 sessions` */
export function counted(number: number, noun: string): string {
  return `${count(number)} ${noun}${number === 1 ? '' : 's'}`;
}

/** A time (epoch milliseconds) as the local clock shows it: `2026-03-01 14:05`. */
export function when(time: number): string {
  const date = new Date(time);
  const two = (number: number) => String(number).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** `734 B`, `1.2 MiB` */
export function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const step = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const number = bytes / 1024 ** step;
  return `${step === 0 ? number : number.toFixed(1)} ${units[step]}`;
}

/** `0.42 s`, `75 s` */
export function seconds(number: number): string {
  return `${number < 10 ? number.toFixed(2) : Math.round(number)} s`;
}

/**
 * Text that somebody else wrote, made fit for a terminal: escape sequences are taken out and other control characters
 * shown, so that it can't move the cursor or change the window's title.
 */
export function safe(text: string): string {
  return stripVTControlCharacters(text)
    .replace(/\r\n/g, '\n')
    .replace(/(?![\n\t])\p{Cc}|[\u202a-\u202e\u2066-\u2069]/gu, '�');
}

/** The same on one line. */
export function safeLine(text: string): string {
  return safe(text).replace(/\s+/g, ' ').trim();
}

const wide =
  /[\p{Emoji_Presentation}\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]/u;
const graphemes = new Intl.Segmenter();

/** How many columns a text takes. */
export function width(text: string): number {
  const plain = stripVTControlCharacters(text);
  if (/^[ -~]*$/.test(plain)) return plain.length;
  let columns = 0;
  for (const { segment } of graphemes.segment(plain)) columns += wide.test(segment) ? 2 : 1;
  return columns;
}

/** The beginning of a plain text that fits into so many columns. */
export function clip(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  let left = columns - 1;
  let clipped = '';
  for (const { segment } of graphemes.segment(text)) {
    left -= width(segment);
    if (left < 0) break;
    clipped += segment;
  }
  return `${clipped}…`;
}

/** A column of a table. */
export interface Column {
  head: string;
  /** Numbers stand at the right. */
  right?: boolean;
}

/** Rows with their columns aligned, the head first. Cells may carry colours. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const cells = [columns.map(({ head }) => head), ...rows];
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => width(row[i] ?? ''))));
  return cells.map((row) => {
    const line = columns.map(({ right }, i) => {
      const cell = row[i] ?? '';
      const gap = ' '.repeat(widths[i]! - width(cell));
      return right ? gap + cell : cell + gap;
    });
    return line.join('  ').trimEnd();
  });
}

/** Facts under each other, their names aligned. */
export function facts(entries: readonly (readonly [name: string, value: string])[]): string[] {
  const columns = Math.max(...entries.map(([name]) => width(name)));
  return entries.map(([name, value]) => `${name}${' '.repeat(columns - width(name))}  ${value}`);
}

/** `████████░░░░` */
export function bar(share: number, columns: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * columns);
  return '█'.repeat(full) + '░'.repeat(columns - full);
}
