import type { Compaction } from '../model/compaction.ts';
import type { Message } from '../model/message.ts';

/** A sentence taken over as it was said. */
export interface SummaryItem {
  /** The message that it is from. */
  seq: number;
  /** When it was said (epoch milliseconds). */
  at: number;
  who: string;
  text: string;
}

/** What stands for messages: sentences of theirs, or a text that a model wrote. */
export type Summary = { items: SummaryItem[] } | { text: string };

const DAY = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeZone: 'UTC' });

/** Days as headings, a line for what somebody said until somebody else did: `Mira: Flies to Oslo on Friday. Needs a visa.` */
export function renderSummary(summary: Summary): string {
  if ('text' in summary) return summary.text;
  const lines: string[] = [];
  let day = '';
  let last: SummaryItem | undefined;
  for (const item of [...summary.items].sort((a, b) => a.seq - b.seq)) {
    const today = DAY.format(item.at);
    if (today !== day) lines.push(`# ${today}`);
    if (today === day && last?.who === item.who) {
      lines[lines.length - 1] += ` ${item.text}`;
    } else lines.push(`${item.who}: ${item.text}`);
    day = today;
    last = item;
  }
  return lines.join('\n');
}

/** What is put before a summary costs about so many tokens. */
export const HEADING_TOKENS = 40;

/**
 * A summary as a message. It is the user's: providers take those anywhere, and system messages only at the beginning.
 * It stands for no place in the log, which its seq of 0 says.
 */
export function summaryMessage(
  { id, fromSeq, uptoSeq, createdAt }: Pick<Compaction, 'id' | 'fromSeq' | 'uptoSeq' | 'createdAt'>,
  text: string,
): Message {
  const content = `[Summary of the earlier part of this conversation, messages ${fromSeq} to ${uptoSeq}; not said by the user]\n${text}`;
  const metadata = { summary: true, compaction: id, fromSeq, uptoSeq };
  return { id: `compaction:${id}`, seq: 0, role: 'user', content, metadata, createdAt };
}
