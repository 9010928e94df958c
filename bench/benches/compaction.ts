import { join } from 'node:path';
import { ContextEngine, type Message } from '../../src/index.ts';
import { allMessages } from '../drills/workers/read.ts';
import {
  addConversation,
  type Conversation,
  type Question,
  readConversations,
} from '../harness/conversations.ts';
import { type Trim, textOf, trimmer } from '../harness/trimmer.ts';
import type { Bench, Row } from '../harness/types.ts';

/** What is left of a conversation's tokens. */
const SHARE = 0.25;
/** Larger than any conversation: the window is what compaction made of it. */
const MAX_TOKENS = 10_000_000;
const stopWords = new Set(
  `a about after all also am an and any are as at be because been before being both but by can could did do does doing
  for from had has have having he her hers him his how i if in into is it its just like me more most my no nor not now of
  off on once only or other our out over own s same she should so some such t than that the their them then there these
  they this those through to too under until up very was we were what when where which while who whom why will with would
  yes you your`.split(/\s+/),
);

/** A turn that answers a question, by the words of the answer that it holds. */
interface Evidence {
  readonly category: number;
  readonly words: readonly string[];
}
type Measure = (evidence: Evidence, kept: Kept) => number;

/** What is left: all words, and those of each line. */
interface Kept {
  readonly words: ReadonlySet<string>;
  readonly lines: readonly ReadonlySet<string>[];
}

const measures: readonly (readonly [name: string, measure: Measure])[] = [
  ['all words of the answer', ({ words }, kept) => (words.every((word) => kept.words.has(word)) ? 1 : 0)],
  ['words of the answer', ({ words }, kept) => shareOf(words, kept.words)],
  [
    'all of them in one line',
    ({ words }, { lines }) => (lines.some((line) => shareOf(words, line) === 1) ? 1 : 0),
  ],
];

function shareOf(words: readonly string[], kept: ReadonlySet<string>): number {
  return words.filter((word) => kept.has(word)).length / words.length;
}

function wordsOf(text: string): string[] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return words.filter((word) => !stopWords.has(word));
}

/** Turns without a word of the answer can't be judged. */
function evidenceOf({ turns }: Conversation, { evidence, answer, category }: Question): Evidence[] {
  const answering = new Set(wordsOf(answer));
  return evidence.flatMap((id) => {
    const said = new Set(wordsOf(turns.find((turn) => turn.id === id)!.text));
    const words = [...answering].filter((word) => said.has(word));
    return words.length > 0 ? [{ category, words }] : [];
  });
}

function keptIn(messages: readonly Message[]): Kept {
  const lines = messages
    .flatMap((message) => textOf(message).split('\n'))
    .map((line) => new Set(wordsOf(line)));
  return { lines, words: new Set(lines.flatMap((line) => [...line])) };
}

/** A conversation that was compacted, and cut to the same size. */
interface Outcome {
  readonly evidence: readonly Evidence[];
  readonly tokens: { readonly all: number; readonly compacted: number };
  readonly compacted: Kept;
  readonly cut: Kept;
}

async function compact(engine: ContextEngine, conversation: Conversation, trim: Trim): Promise<Outcome> {
  const sessionId = await addConversation(engine, conversation);
  const history = await allMessages(engine, sessionId);
  const all = history.reduce((sum, { tokens }) => sum + tokens!, 0);
  await engine.window.compact(sessionId, { strategy: 'extractive', targetTokens: Math.floor(all * SHARE) });
  const window = await engine.window.build(sessionId, { maxTokens: MAX_TOKENS, recall: false });
  await engine.sessions.delete(sessionId);
  return {
    evidence: conversation.questions.flatMap((question) => evidenceOf(conversation, question)),
    tokens: { all, compacted: window.tokens },
    compacted: keptIn(window.messages),
    cut: keptIn(await trim(history, window.tokens)),
  };
}

function rowsOf(outcomes: readonly Outcome[], categories: readonly number[], label: string): Row[] {
  return measures.map(([name, measure]) => {
    const mean = (kept: (outcome: Outcome) => Kept) => {
      const values = outcomes.flatMap((outcome) =>
        outcome.evidence
          .filter(({ category }) => categories.includes(category))
          .map((evidence) => measure(evidence, kept(outcome))),
      );
      return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
    };
    const [value, baseline] = [mean(({ compacted }) => compacted), mean(({ cut }) => cut)];
    return { case: `${name}, ${label}`, value, unit: 'share', baseline };
  });
}

const bench: Bench = {
  name: 'compaction',
  summary:
    'what a quarter of the tokens keeps of the answers, against the newest turns of that size (needs --data)',

  async run(context): Promise<Row[]> {
    const data = await readConversations(context);
    const trim = await trimmer(context);
    const url = context.store ?? `file:${join(await context.temporaryFolder(), 'compaction.db')}`;
    const engine = context.resources.use(await ContextEngine.open(url));
    const outcomes: Outcome[] = [];
    for (const [i, conversation] of data.entries()) {
      context.progress(i, data.length, conversation.id);
      outcomes.push(await compact(engine, conversation, trim));
    }
    const total = (of: (tokens: Outcome['tokens']) => number) =>
      outcomes.reduce((sum, { tokens }) => sum + of(tokens), 0);
    return [
      {
        case: 'tokens after compaction',
        value: total(({ compacted }) => compacted),
        unit: 'tokens',
        baseline: total(({ all }) => all),
      },
      ...rowsOf(outcomes, [1, 2, 3, 4], 'categories 1–4'),
      ...rowsOf(outcomes, [5], 'category 5'),
    ];
  },
};

export default bench;
