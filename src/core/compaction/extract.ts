import { termsOf } from '../search/terms.ts';
import type { TokenCounter } from '../tokens/counter.ts';
import { factsIn, isSmallTalk } from './facts.ts';
import { Heap } from './heap.ts';
import type { Pause } from './pause.ts';
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
 * What adds nearly as much as another could is as good: where all are much the same, none is looked at more than some
 * hundred times, and not once for each that is chosen.
 */
const NEAR = 0.98;

/**
 * The sentences that carry the most, of at most so many tokens: chosen greedily for what each adds to those chosen
 * before it, by its cost. What a word adds shrinks with the square root of how often it was said (a submodular function,
 * after Lin & Bilmes, "A Class of Submodular Functions for Document Summarization", 2011), so that no fact is told twice.
 */
export async function extract(
  sentences: readonly Sentence[],
  maxTokens: number,
  counter: TokenCounter,
  pause: Pause,
): Promise<SummaryItem[]> {
  const scored = await score(sentences, counter, pause);
  const chosen = await choose(scored, maxTokens, pause);
  for (;;) {
    const items = chosen.map(({ item }) => item);
    if (items.length === 0 || counter.count(renderSummary({ items })) <= maxTokens) return items;
    // The headings cost more than was thought: the last ones go, which added the least.
    chosen.splice(-Math.ceil(chosen.length / 50));
  }
}

async function score(sentences: readonly Sentence[], counter: TokenCounter, pause: Pause): Promise<Scored[]> {
  const scored: Scored[] = [];
  for (const { seq, at, who, text, weight } of sentences) {
    await pause();
    const facts = factsIn(text);
    if (text.length <= SHORT && isSmallTalk(text) && facts === 0) continue;
    scored.push({
      item: { seq, at, who, text },
      terms: [...new Set(termsOf(text))],
      worth: facts * weightOf(text) * weight,
      tokens: counter.count(text) + 1,
    });
  }
  return scored;
}

/** What a term is worth, by how few sentences have it. */
function worthOfTerms(scored: readonly Scored[]): Map<string, number> {
  const frequency = new Map<string, number>();
  for (const { terms } of scored)
    for (const term of terms) frequency.set(term, (frequency.get(term) ?? 0) + 1);
  return new Map([...frequency].map(([term, count]) => [term, Math.log(1 + scored.length / count)]));
}

function weightOf(text: string): number {
  let weight = 1;
  if (isSmallTalk(text)) weight *= SMALL_TALK;
  if (/\?["'”’)\]]*$/.test(text)) weight *= QUESTION;
  if (/\b(?:I|my|we|our)\b/.test(text)) weight *= FIRST_PERSON;
  return weight;
}

/** Greedy, with old gains as upper bounds: a gain only shrinks (Minoux, 1978). */
async function choose(scored: readonly Scored[], maxTokens: number, pause: Pause): Promise<Scored[]> {
  const idf = worthOfTerms(scored);
  const seen = new Map<string, number>();
  const gainOf = ({ terms, worth, tokens, item }: Scored): number => {
    let sum = 0;
    for (const term of terms) {
      const before = seen.get(term) ?? 0;
      sum += idf.get(term)! * (Math.sqrt(before + 1) - Math.sqrt(before));
    }
    return (worth + TERMS * sum * weightOf(item.text)) / tokens ** COST;
  };
  const bounds = new Heap<Bound>((a, b) => a.gain > b.gain || (a.gain === b.gain && a.place < b.place));
  for (const [place, one] of scored.entries()) {
    await pause();
    bounds.push({ one, place, gain: gainOf(one) });
  }
  const chosen: Scored[] = [];
  let left = maxTokens;
  for (let top = bounds.pop(); top; top = bounds.pop()) {
    await pause();
    if (top.one.tokens > left) continue;
    const gain = gainOf(top.one);
    if (gain < (bounds.first?.gain ?? 0) * NEAR) {
      bounds.push({ ...top, gain });
      continue;
    }
    chosen.push(top.one);
    left -= top.one.tokens;
    for (const term of top.one.terms) seen.set(term, (seen.get(term) ?? 0) + 1);
  }
  return chosen;
}

/** What a sentence can add at most. */
interface Bound {
  one: Scored;
  place: number;
  gain: number;
}
