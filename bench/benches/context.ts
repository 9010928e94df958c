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
import type { Bench, Context, Row, Target } from '../harness/types.ts';

/** Tokens of a window, and the share of the evidence that it should hold. */
const BUDGETS: readonly (readonly [maxTokens: number, target: Target])[] = [
  [1_000, { atLeast: 0.8, of: 'value' }],
  [2_000, { atLeast: 0.86, of: 'value' }],
  [4_000, { atLeast: 0.9, of: 'value' }],
];

/** One question asked of one conversation: the share of its evidence in each kind of window. */
interface Outcome {
  readonly category: number;
  readonly held: number;
  readonly trimmed: number;
  /** The window is no larger than asked for, and ends with the question. */
  readonly valid: boolean;
}

/** A conversation, all of it in a session of its own. */
interface Played {
  readonly engine: ContextEngine;
  readonly sessionId: string;
  readonly conversation: Conversation;
  readonly history: readonly Message[];
}

/** As it is after a long conversation: what is to be compacted has been. */
async function play(engine: ContextEngine, conversation: Conversation, maxTokens: number): Promise<Played> {
  const sessionId = await addConversation(engine, conversation);
  await engine.messages.settled();
  await engine.window.build(sessionId, { maxTokens });
  await engine.window.settled();
  return { engine, sessionId, conversation, history: await allMessages(engine, sessionId) };
}

async function ask(played: Played, question: Question, maxTokens: number, trim: Trim): Promise<Outcome> {
  const { engine, sessionId, conversation, history } = played;
  const asked = await engine.messages.append(sessionId, { role: 'user', content: question.text });
  await engine.messages.settled();
  const window = await engine.window.build(sessionId, { maxTokens, recall: true });
  const [counted] = (await engine.messages.pop(sessionId)) as [Message];
  await engine.window.settled();
  const texts = new Map(conversation.turns.map(({ id, text }) => [id, plain(text)]));
  const shareIn = (messages: readonly Message[]) => {
    const shown = plain(messages.map(textOf).join('\n'));
    return question.evidence.filter((id) => shown.includes(texts.get(id)!)).length / question.evidence.length;
  };
  return {
    category: question.category,
    held: shareIn(window.messages),
    trimmed: shareIn(await trim([...history, counted], maxTokens)),
    valid: window.messages.at(-1)?.id === asked.id && (await tokensOf(window.messages)) <= maxTokens,
  };
}

/** Counted here once more, by the texts alone: not what the window says of itself. */
async function tokensOf(messages: readonly Message[]): Promise<number> {
  const { countTokens } = await import('gpt-tokenizer/encoding/o200k_base');
  return messages.reduce((sum, message) => sum + countTokens(textOf(message)), 0);
}

/** Lines may be broken elsewhere. */
function plain(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

function rowsOf(maxTokens: number, target: Target, outcomes: readonly Outcome[]): Row[] {
  const row = (categories: readonly number[], label: string): Row => {
    const some = outcomes.filter(({ category }) => categories.includes(category));
    const mean = (share: (outcome: Outcome) => number) =>
      some.reduce((sum, outcome) => sum + share(outcome), 0) / Math.max(1, some.length);
    return {
      case: `evidence in ${maxTokens.toLocaleString('en')} tokens, ${label}`,
      value: mean(({ held }) => held),
      unit: 'share',
      baseline: mean(({ trimmed }) => trimmed),
    };
  };
  return [{ ...row([1, 2, 3, 4], 'categories 1–4'), target }, row([5], 'category 5')];
}

async function outcomesOf(
  context: Context,
  engine: ContextEngine,
  data: readonly Conversation[],
  maxTokens: number,
  trim: Trim,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const total = data.reduce((sum, { questions }) => sum + questions.length, 0);
  for (const conversation of data) {
    const played = await play(engine, conversation, maxTokens);
    for (const question of conversation.questions) {
      context.progress(outcomes.length, total, `${maxTokens} tokens`);
      outcomes.push(await ask(played, question, maxTokens, trim));
    }
    await engine.sessions.delete(played.sessionId);
  }
  return outcomes;
}

const bench: Bench = {
  name: 'context',
  summary: 'turns that answer a question in the window for it, against the newest that fit (needs --data)',

  async run(context): Promise<Row[]> {
    const data = await readConversations(context);
    const trim = await trimmer(context);
    const url = context.store ?? `file:${join(await context.temporaryFolder(), 'context.db')}`;
    const engine = context.resources.use(await ContextEngine.open(url));
    const rows: Row[] = [];
    let broken = 0;
    for (const [maxTokens, target] of BUDGETS) {
      const outcomes = await outcomesOf(context, engine, data, maxTokens, trim);
      rows.push(...rowsOf(maxTokens, target, outcomes));
      broken += outcomes.filter(({ valid }) => !valid).length;
    }
    const what = 'windows that are too large, or do not end with the question';
    return [...rows, { case: what, value: broken, unit: 'windows', target: { atMost: 0 } }];
  },
};

export default bench;
