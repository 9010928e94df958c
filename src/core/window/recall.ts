import { textOf } from '../messages/formats/text.ts';
import type { Message } from '../model/message.ts';
import type { TokenCounter } from '../tokens/counter.ts';
import { countMessage } from '../tokens/message-tokens.ts';
import type { Counted } from './groups.ts';
import type { History } from './history.ts';
import { isToolHalf } from './pairing.ts';
import type { Chosen, Selection } from './select.ts';

/** The share of the budget that recalled messages may take. */
export const RECALL_SHARE = 0.2;
/** How many messages are searched, from the newest on that is not in the window. */
const LOOK_BACK = 1000;

/** BM25's usual constants (Robertson & Zaragoza, "The Probabilistic Relevance Framework"). */
const K1 = 1.2;
const B = 0.75;

/**
 * Of messages that have no place in the window, those that the query is about: ranked by BM25, the best that fit,
 * in chronological order. Tool calls and results are passed over: they mean nothing without each other.
 */
export async function recallInto(
  history: History,
  { system, pinned, turns, groups, left }: Selection,
  { query, counter }: { query: string; counter: TokenCounter },
): Promise<Chosen[]> {
  const taken = new Set([system, pinned, turns].flatMap((part) => part.map((item) => item.message.seq)));
  const out = groups.filter((group) => !group.reason).flatMap((group) => group.items);
  const newest = out.reduce((seq, item) => Math.max(seq, item.message.seq), history.oldestRead - 1);
  const candidates = await history.olderThan(newest + 1, LOOK_BACK);
  const free = candidates.filter((item) => !taken.has(item.message.seq));
  return recall(free, query, left, counter);
}

function recall(
  candidates: readonly Counted[],
  query: string,
  budget: number,
  counter: TokenCounter,
): Chosen[] {
  const texts = candidates
    .filter(({ message }) => message.role === 'user' || message.role === 'assistant')
    .filter(({ message }) => !isToolHalf(message))
    .map(toDocument);
  const documents = texts.filter((document) => document.words.length > 0);
  const ranked = rank(documents, new Set(wordsOf(query)));
  const chosen: Chosen[] = [];
  let left = budget;
  for (const { item } of ranked) {
    const message = asRecalled(item.message);
    const tokens = countMessage(counter, message);
    if (tokens > left) continue;
    left -= tokens;
    chosen.push({ ...item, message: { ...message, tokens }, tokens, reason: 'recalled' });
  }
  return chosen.sort((a, b) => a.message.seq - b.message.seq);
}

/** A message as it is shown when recalled: it says that it is, who said it, and when. */
export function asRecalled(message: Message): Message {
  const { id, seq, role, name, createdAt } = message;
  const when = new Date(createdAt).toISOString().slice(0, 16).replace('T', ' ');
  const content = `[Recalled from earlier in this conversation: ${name ?? role}, ${when} UTC]\n${textOf(message)}`;
  return { id, seq, role: 'user', content, metadata: { recalled: true, role }, createdAt };
}

interface Document {
  item: Counted;
  words: string[];
}

function toDocument(item: Counted): Document {
  return { item, words: wordsOf(textOf(item.message)) };
}

function rank(documents: readonly Document[], query: ReadonlySet<string>): Document[] {
  const average =
    documents.reduce((sum, document) => sum + document.words.length, 0) / (documents.length || 1);
  const found = new Map<string, number>();
  for (const { words } of documents) {
    for (const word of new Set(words)) if (query.has(word)) found.set(word, (found.get(word) ?? 0) + 1);
  }
  const score = ({ words }: Document): number => {
    let sum = 0;
    for (const [word, documentsWith] of found) {
      const times = words.filter((other) => other === word).length;
      const idf = Math.log(1 + (documents.length - documentsWith + 0.5) / (documentsWith + 0.5));
      sum += (idf * times * (K1 + 1)) / (times + K1 * (1 - B + (B * words.length) / average));
    }
    return sum;
  };
  return documents
    .map((document) => ({ document, score: score(document) }))
    .filter((scored) => scored.score > 0)
    .sort((a, b) => b.score - a.score)
    .map((scored) => scored.document);
}

function wordsOf(text: string): string[] {
  return (
    text
      .normalize('NFKD')
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu) ?? []
  );
}
