import { join } from 'node:path';
import { ContextEngine } from '../../src/index.ts';
import { BareIndex } from '../floors/full-text.ts';
import {
  addConversation,
  type Conversation,
  type Question,
  readConversations,
} from '../harness/conversations.ts';
import { type Case, interleave, milliseconds } from '../harness/rounds.ts';
import type { Bench, Context, Row, Target } from '../harness/types.ts';

const LIMIT = 50;
const DEPTHS = [5, 10, 20, 50];
const BARE = 'FTS5 porter, any word';
const targets: Record<string, Target> = {
  'r@5': { atLeast: 0.74, of: 'value' },
  'r@10': { atLeast: 0.8, of: 'value' },
  'r@50': { atLeast: 0.89, of: 'value' },
  'mrr@10': { atLeast: 0.65, of: 'value' },
  'session hit@1': { atLeast: 0.75, of: 'value' },
};

/** Something that finds turns: their ids, the best first. */
interface Finder {
  readonly name: string;
  find(conversation: Conversation, question: Question): Promise<string[]> | string[];
}
interface Asked {
  readonly conversation: Conversation;
  readonly question: Question;
}

async function engineOn(context: Context, name: string, url: string, data: readonly Conversation[]) {
  const engine = context.resources.use(await ContextEngine.open(url));
  const sessions = new Map<Conversation, string>();
  for (const conversation of data) {
    const sessionId = await addConversation(engine, conversation);
    context.resources.defer(async () => {
      await engine.sessions.delete(sessionId);
    });
    sessions.set(conversation, sessionId);
  }
  const finder: Finder = {
    name,
    async find(conversation, { text }) {
      const sessionId = sessions.get(conversation)!;
      const { hits } = await engine.messages.search(text, { sessionId, limit: LIMIT });
      return hits.map(({ message }) => String(message.metadata?.turn));
    },
  };
  return finder;
}

function bareIndexes(context: Context, folder: string, data: readonly Conversation[]): Finder {
  const indexes = new Map(
    data.map((conversation, i) => {
      const texts = conversation.turns.map(({ text, caption }) => (caption ? `${text} ${caption}` : text));
      const index = new BareIndex(join(folder, `bare-${i}.db`), texts);
      context.resources.defer(() => index.close());
      return [conversation, index];
    }),
  );
  return {
    name: BARE,
    find: (conversation, { text }) =>
      indexes
        .get(conversation)!
        .search(text, LIMIT)
        .map((place) => conversation.turns[place]!.id),
  };
}

/** How well the turns that were found answer one question, by the name of the measure. */
function judge(
  { conversation, question: { evidence } }: Asked,
  found: readonly string[],
): Map<string, number> {
  const sittings = new Map(conversation.turns.map(({ id, sitting }) => [id, sitting]));
  const places = evidence.map((id) => found.indexOf(id)).filter((place) => place >= 0);
  const first = Math.min(...places, Number.POSITIVE_INFINITY);
  const top = found[0] === undefined ? undefined : sittings.get(found[0]);
  return new Map([
    ...DEPTHS.map(
      (depth) => [`r@${depth}`, places.filter((place) => place < depth).length / evidence.length] as const,
    ),
    ['mrr@10', first < 10 ? 1 / (first + 1) : 0],
    ['session hit@1', evidence.some((id) => sittings.get(id) === top) ? 1 : 0],
  ]);
}

type Answers = ReadonlyMap<Asked, readonly string[]>;

async function answer(finder: Finder, asked: readonly Asked[]): Promise<Answers> {
  const answers = new Map<Asked, string[]>();
  for (const one of asked) answers.set(one, await finder.find(one.conversation, one.question));
  return answers;
}

/** The mean of each measure over the questions of some categories. */
function meansOf(answers: Answers, categories: readonly number[]): Map<string, number> {
  const judged = [...answers]
    .filter(([{ question }]) => categories.includes(question.category))
    .map(([asked, found]) => judge(asked, found));
  const names = [...(judged[0]?.keys() ?? [])];
  const mean = (name: string) => judged.reduce((sum, one) => sum + one.get(name)!, 0) / judged.length;
  return new Map(names.map((name) => [name, mean(name)]));
}

function qualityRows(name: string, answers: Answers, bare: Answers): Row[] {
  const rows = (categories: readonly number[], label: string, judged: boolean) => {
    const floor = meansOf(bare, categories);
    return [...meansOf(answers, categories)].map(([measure, value]): Row => {
      const target = judged ? targets[measure] : undefined;
      const row = { case: `${measure}, ${label}, ${name}`, value, unit: 'share', ...(target && { target }) };
      return { ...row, baseline: floor.get(measure)! };
    });
  };
  return [...rows([1, 2, 3, 4], 'categories 1–4', true), ...rows([5], 'category 5', false)];
}

/** r@10 of each category, to see where it is lost. */
function categoryRows(answers: Answers, bare: Answers): Row[] {
  return [1, 2, 3, 4].flatMap((category): Row[] => {
    const value = meansOf(answers, [category]).get('r@10');
    if (value === undefined) return [];
    const baseline = meansOf(bare, [category]).get('r@10')!;
    return [{ case: `r@10, category ${category}`, value, unit: 'share', baseline }];
  });
}

/** Ranks are core's: every store has to give the same turns in the same order. */
function differenceRow(name: string, answers: Answers, other: Answers): Row {
  const different = [...answers].filter(([asked, found]) => found.join() !== other.get(asked)!.join());
  return {
    case: `questions with other hits on ${name} than on memory`,
    value: different.length,
    unit: 'questions',
    target: { atMost: 0 },
  };
}

async function timeRows(
  context: Context,
  finders: readonly Finder[],
  asked: readonly Asked[],
): Promise<Row[]> {
  const cases: Case[] = finders.map((finder) => ({
    name: `a search, ${finder.name}`,
    run: async () => (await milliseconds(() => answer(finder, asked))) / asked.length,
  }));
  const rounds = await interleave(cases, { progress: context.progress });
  const floor = `a search, ${BARE}`;
  return cases.map(({ name }) => rounds.row(name, 'ms', name === floor ? undefined : floor));
}

const bench: Bench = {
  name: 'recall',
  summary:
    'turns that answer a question among the first that a search finds, against bare FTS5 (needs --data)',

  async run(context): Promise<Row[]> {
    const data = await readConversations(context);
    const folder = await context.temporaryFolder();
    const bare = bareIndexes(context, folder, data);
    const memory = await engineOn(context, 'memory', 'memory:', data);
    const stores = [await engineOn(context, 'SQLite', `file:${join(folder, 'recall.db')}`, data), memory];
    const { store } = context;
    if (store !== undefined && store !== 'memory:')
      stores.unshift(await engineOn(context, 'the given store', store, data));
    const asked = data.flatMap((conversation) =>
      conversation.questions.map((question): Asked => ({ conversation, question })),
    );
    const floor = await answer(bare, asked);
    const answers = new Map<Finder, Answers>();
    for (const finder of stores) answers.set(finder, await answer(finder, asked));
    const same = answers.get(memory)!;
    return [
      ...stores.flatMap((finder) => qualityRows(finder.name, answers.get(finder)!, floor)),
      ...categoryRows(same, floor),
      ...stores.flatMap((finder) =>
        finder === memory ? [] : [differenceRow(finder.name, answers.get(finder)!, same)],
      ),
      ...(await timeRows(context, [bare, ...stores], asked)),
    ];
  },
};

export default bench;
