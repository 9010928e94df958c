import { join } from 'node:path';
import { ContextEngine } from '../../src/index.ts';
import { BareScopedIndex } from '../floors/scoped-full-text.ts';
import { questionAbout, randomFrom, textFrom } from '../harness/made-up.ts';
import { positiveInteger } from '../harness/options.ts';
import { milliseconds, Rounds } from '../harness/rounds.ts';
import type { Bench, Context, Row } from '../harness/types.ts';

const SESSIONS = 2;
const PER_SESSION = 500;
const PER_USER = SESSIONS * PER_SESSION;
/** What a bare query gives; a search gives ten unless told. */
const LIMIT = 50;
const QUERIES = 200;
const ROUNDS = 3;
/** Users who are there before the crowd comes, and who are asked the same before and after. */
const EARLY = 10;
const BY_TERM = 'bare FTS5, user as a term, bm25';
const BY_ROWS = 'bare FTS5, user as a range of rows, no order';
const OURS = 'scoped search, 10 hits';
const OURS_MANY = `scoped search, ${LIMIT} hits`;

interface Query {
  readonly user: number;
  readonly words: readonly string[];
}
/** Searches as one of those that are compared. */
type Search = (query: Query) => unknown;

const userOf = (user: number) => `user-${user}`;
const textOf = (user: number, i: number) => textFrom(user * PER_USER + i);

/** What a user might ask: words of one of the user's own messages. */
function queryOf(user: number, seed: number): Query {
  const random = randomFrom(seed);
  return { user, words: questionAbout(textOf(user, Math.floor(random() * PER_USER)), seed) };
}

async function addUser(engine: ContextEngine, user: number): Promise<void> {
  for (let session = 0; session < SESSIONS; session++) {
    const id = `${userOf(user)}-${session}`;
    await engine.sessions.create({ id, userId: userOf(user) });
    const messages = Array.from({ length: PER_SESSION }, (_, i) => ({
      role: i % 2 === 0 ? ('user' as const) : ('assistant' as const),
      content: textOf(user, session * PER_SESSION + i),
    }));
    await engine.messages.append(id, messages);
  }
}

function search(engine: ContextEngine, { user, words }: Query, limit = LIMIT) {
  return engine.messages.search(words.join(' '), { userId: userOf(user), limit });
}

/** What early users find, with its scores, as text to compare. */
async function findingsOf(engine: ContextEngine): Promise<string[]> {
  const findings: string[] = [];
  for (let user = 0; user < EARLY; user++) {
    for (let i = 0; i < 5; i++) {
      const { hits } = await search(engine, queryOf(user, user * 5 + i));
      findings.push(hits.map(({ sessionId, message, score }) => [sessionId, message.seq, score]).join());
    }
  }
  return findings;
}

/** Fills engine and bare index with the crowd, and has each user's messages indexed. @returns rates a second */
async function addCrowd(context: Context, engine: ContextEngine, bare: BareScopedIndex, users: number) {
  const spent = { append: 0, index: 0, bare: 0 };
  for (let user = 0; user < users; user++) {
    context.progress(user, users, 'filling');
    if (user >= EARLY) spent.append += await milliseconds(() => addUser(engine, user));
    const texts = Array.from({ length: PER_USER }, (_, i) => textOf(user, i));
    spent.bare += await milliseconds(() => bare.add(user, texts));
  }
  await engine.messages.settled();
  for (let user = EARLY; user < users; user++) {
    context.progress(user, users, 'indexing');
    spent.index += await milliseconds(() => search(engine, queryOf(user, user)));
  }
  const rate = (ms: number, count: number) => (count * PER_USER * 1000) / ms;
  return {
    append: rate(spent.append, users - EARLY),
    index: rate(spent.index, users - EARLY),
    bare: rate(spent.bare, users),
  };
}

/** The searches take turns query by query; the first round only warms up. Figures are quantiles of a round. */
async function compare(context: Context, searches: ReadonlyMap<string, Search>, users: number) {
  const figures = new Map<string, number[]>();
  for (let round = 0; round <= ROUNDS; round++) {
    const times = new Map([...searches.keys()].map((name) => [name, [] as number[]]));
    for (let i = 0; i < QUERIES; i++) {
      context.progress(round * QUERIES + i, (ROUNDS + 1) * QUERIES, 'searching');
      const seed = round * QUERIES + i;
      const query = queryOf(Math.floor(randomFrom(seed)() * users), seed);
      const turns = i % 2 === 0 ? [...searches] : [...searches].reverse();
      for (const [name, run] of turns) times.get(name)!.push(await milliseconds(() => run(query)));
    }
    if (round === 0) continue;
    for (const [name, all] of times) {
      all.sort((a, b) => a - b);
      for (const part of [0.5, 0.99])
        figures.set(nameOf(name, part), [
          ...(figures.get(nameOf(name, part)) ?? []),
          all[Math.floor((all.length - 1) * part)]!,
        ]);
    }
  }
  return new Rounds(figures);
}

const nameOf = (name: string, part: number) => `${name}, p${part * 100}`;

function timeRows(rounds: Rounds): Row[] {
  return [0.5, 0.99].flatMap((part): Row[] => {
    const name = nameOf(OURS, part);
    const [byTerm, byRows] = [nameOf(BY_TERM, part), nameOf(BY_ROWS, part)];
    return [
      rounds.row(byTerm, 'ms'),
      rounds.row(byRows, 'ms'),
      { ...rounds.row(name, 'ms', byTerm, { atMost: 2 }), case: `${name}, against bm25` },
      { ...rounds.row(name, 'ms', byRows), case: `${name}, against no order` },
      {
        ...rounds.row(nameOf(OURS_MANY, part), 'ms', byTerm),
        case: `${nameOf(OURS_MANY, part)}, against bm25`,
      },
    ];
  });
}

const bench: Bench = {
  name: 'search-scale',
  summary: 'searches of one user among a thousand (1,000,000 messages in one file), against bare FTS5',
  options: [
    {
      flags: '--users <count>',
      description: `how many users there are, with ${PER_USER.toLocaleString('en')} messages each`,
      default: 1_000,
      parse: positiveInteger,
    },
  ],

  async run(context): Promise<Row[]> {
    const users = Math.max(EARLY + 1, Number(context.options.users));
    const folder = await context.temporaryFolder();
    const url = context.store ?? `file:${join(folder, 'scale.db')}`;
    const engine = context.resources.use(await ContextEngine.open(url));
    const bare = new BareScopedIndex(join(folder, 'bare.db'), PER_USER);
    context.resources.defer(() => bare.close());
    for (let user = 0; user < EARLY; user++) await addUser(engine, user);
    const before = await findingsOf(engine);
    const rates = await addCrowd(context, engine, bare, users);
    const after = await findingsOf(engine);
    const rounds = await compare(
      context,
      new Map<string, Search>([
        [BY_TERM, ({ user, words }) => bare.searchByTerm(user, words, LIMIT)],
        [BY_ROWS, ({ user, words }) => bare.searchByRows(user, words, LIMIT)],
        [OURS, (query) => search(engine, query, 10)],
        [OURS_MANY, (query) => search(engine, query)],
      ]),
      users,
    );
    return [
      { case: 'append, without the index', value: rates.append, unit: 'messages/s' },
      { case: 'index', value: rates.index, unit: 'messages/s', baseline: rates.bare },
      ...timeRows(rounds),
      {
        case: `searches of ${before.length} that others' messages changed`,
        value: before.filter((finding, i) => finding !== after[i]).length,
        unit: 'searches',
        target: { atMost: 0 },
      },
    ];
  },
};

export default bench;
