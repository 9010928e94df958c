import { termsOf } from '../search/terms.ts';
import type { TokenCounter } from '../tokens/counter.ts';
import { factsIn, isSmallTalk } from './facts.ts';
import { renderSummary, type SummaryItem } from './summary.ts';

/** A sentence with what speaks for it. */
interface Scored {
  item: SummaryItem;
  terms: readonly string[];
  worth: number;
  tokens: number;
}

export interface Sentence extends SummaryItem {
  /** How much what this speaker says matters. 1 is usual. */
  weight: number;
}

/** What words add, beside what facts do. These were found by trying, on conversations between people. */
const TERMS = 0.08;
const SMALL_TALK = 0.7;
/** A shorter sentence of small talk without a fact says nothing. */
const SHORT = 60;
const QUESTION = 0.5;
const FIRST_PERSON = 1.5;
/** How strongly the cost of a sentence counts against it (Lin & Bilmes, 2010). */
const COST = 0.5;

/**
 * The sentences that carry the most, of at most so many tokens: chosen greedily for what each adds to those chosen
 * before it, by its cost. What a word adds shrinks with the square root of how often it was said (a submodular function,
 * after Lin & Bilmes, "A Class of Submodular Functions for Document Summarization", 2011), so that no fact is told twice.
 */
export function extract(
  sentences: readonly Sentence[],
  maxTokens: number,
  counter: TokenCounter,
): SummaryItem[] {
  const scored = score(sentences, counter);
  const chosen = choose(scored, maxTokens);
  for (;;) {
    const items = chosen.map(({ item }) => item);
    if (items.length === 0 || counter.count(renderSummary({ items })) <= maxTokens) return items;
    // The headings cost more than was thought: the last ones go, which added the least.
    chosen.splice(-Math.ceil(chosen.length / 50));
  }
}

function score(
  sentences: readonly Sentence[],
  counter: TokenCounter,
): (Scored & { idf: Map<string, number> })[] {
  const telling = sentences.filter(
    ({ text }) => text.length > SHORT || !isSmallTalk(text) || factsIn(text) > 0,
  );
  const all = telling.map((sentence) => ({ sentence, terms: [...new Set(termsOf(sentence.text))] }));
  const frequency = new Map<string, number>();
  for (const { terms } of all) for (const term of terms) frequency.set(term, (frequency.get(term) ?? 0) + 1);
  const idf = new Map<string, number>();
  for (const [term, count] of frequency) idf.set(term, Math.log(1 + all.length / count));
  return all.map(({ sentence, terms }) => {
    const { seq, at, who, text, weight } = sentence;
    const item: SummaryItem = { seq, at, who, text };
    return {
      item,
      terms,
      worth: factsIn(text) * weightOf(text) * weight,
      tokens: counter.count(text) + 1,
      idf,
    };
  });
}

function weightOf(text: string): number {
  let weight = 1;
  if (isSmallTalk(text)) weight *= SMALL_TALK;
  if (/\?["'”’)\]]*$/.test(text)) weight *= QUESTION;
  if (/\b(?:I|my|we|our)\b/.test(text)) weight *= FIRST_PERSON;
  return weight;
}

/** Greedy, with old gains as upper bounds: a gain only shrinks (Minoux, 1978). */
function choose(scored: readonly (Scored & { idf: Map<string, number> })[], maxTokens: number): Scored[] {
  const seen = new Map<string, number>();
  const gainOf = ({ terms, worth, tokens, item, idf }: (typeof scored)[number]): number => {
    let sum = 0;
    for (const term of terms) {
      const before = seen.get(term) ?? 0;
      sum += idf.get(term)! * (Math.sqrt(before + 1) - Math.sqrt(before));
    }
    return (worth + TERMS * sum * weightOf(item.text)) / tokens ** COST;
  };
  const heap = scored.map((one) => ({ one, gain: gainOf(one) })).sort((a, b) => b.gain - a.gain);
  const chosen: Scored[] = [];
  let left = maxTokens;
  while (heap.length > 0) {
    const top = heap.shift()!;
    if (top.one.tokens > left) continue;
    const gain = gainOf(top.one);
    if (heap.length > 0 && gain < heap[0]!.gain) {
      insert(heap, { one: top.one, gain });
      continue;
    }
    chosen.push(top.one);
    left -= top.one.tokens;
    for (const term of top.one.terms) seen.set(term, (seen.get(term) ?? 0) + 1);
  }
  return chosen;
}

function insert<T extends { gain: number }>(sorted: T[], item: T): void {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]!.gain > item.gain) low = middle + 1;
    else high = middle;
  }
  sorted.splice(low, 0, item);
}
