import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import Sqlite from 'better-sqlite3';
import { ContextEngine } from '../../src/index.ts';
import { type Case, interleave, milliseconds, type Rounds } from '../harness/rounds.ts';
import type { Bench, Context, Row } from '../harness/types.ts';

const LENGTHS = [100, 1_000, 10_000, 100_000, 1_000_000];
const longest = LENGTHS.at(-1)!;
const MAX_TOKENS = 8_000;
/** One window takes a fraction of a millisecond: a figure is the mean of so many. */
const BUILDS = 250;
const SENTENCE = 'We looked at the numbers again, and the second shipment is late by nine days. ';
/** What LangChain offers for the same job; it is given the whole history, so a long one takes it seconds. */
const PEER_LENGTH = 1_000;

function message(i: number): { role: string; content: string } {
  return { role: i % 2 === 0 ? 'user' : 'assistant', content: `${i}: ${SENTENCE.repeat(3)}`.slice(0, 200) };
}

function sessionOf(length: number): string {
  return `history-${length}`;
}

async function fill(context: Context, engine: ContextEngine): Promise<void> {
  const total = LENGTHS.reduce((sum, length) => sum + length, 0);
  let done = 0;
  for (const length of LENGTHS) {
    const id = sessionOf(length);
    await engine.sessions.create({ id, userId: 'bench' });
    for (let i = 0; i < length; i += 1_000) {
      const messages = Array.from({ length: Math.min(1_000, length - i) }, (_, j) => message(i + j));
      await engine.messages.append(id, messages);
      done += messages.length;
      context.progress(done, total, 'filling the store');
    }
  }
}

/** The floor: the rows of the window from a table clustered by session and seq, and their JSON parsed. */
class BareTable {
  readonly #db: Sqlite.Database;
  readonly #newest: Sqlite.Statement;
  readonly #texts: Sqlite.Statement;

  constructor(path: string, length: number) {
    this.#db = new Sqlite(path);
    this.#db.pragma('journal_mode = WAL');
    this.#db.exec(
      'CREATE TABLE messages (session TEXT, seq INTEGER, message TEXT, PRIMARY KEY (session, seq)) WITHOUT ROWID',
    );
    const insert = this.#db.prepare('INSERT INTO messages VALUES (?, ?, ?)');
    this.#db.transaction(() => {
      const createdAt = Date.now();
      for (let i = 0; i < length; i++)
        insert.run(sessionOf(length), i + 1, JSON.stringify({ ...message(i), createdAt }));
    })();
    this.#newest = this.#db.prepare(
      'SELECT seq, message FROM messages WHERE session = ? ORDER BY seq DESC LIMIT ?',
    );
    this.#texts = this.#db
      .prepare('SELECT message FROM messages WHERE session = ? ORDER BY seq DESC LIMIT ?')
      .pluck();
  }

  /** Each message with its place in the conversation. */
  read(session: string, count: number): unknown[] {
    const rows = this.#newest.all(session, count) as { seq: number; message: string }[];
    return rows.map(({ seq, message }) => ({ seq, message: JSON.parse(message) }));
  }

  /** The texts alone, without a word on which message is which. */
  readTexts(session: string, count: number): unknown[] {
    return (this.#texts.all(session, count) as string[]).map((text) => JSON.parse(text));
  }

  close(): void {
    this.#db.close();
  }
}

/** What is used of `@langchain/core/messages`. */
interface LangChainMessages {
  trimMessages(history: object[], options: Record<string, unknown>): Promise<object[]>;
  HumanMessage: new (content: string) => object;
  AIMessage: new (content: string) => object;
}

/** LangChain's trimmer on the same history, its token counts memoised. */
async function trimmer(context: Context): Promise<Case> {
  const { trimMessages, HumanMessage, AIMessage } =
    await context.peer<LangChainMessages>('@langchain/core/messages');
  const { countTokens } = await import('gpt-tokenizer/encoding/o200k_base');
  const counts = new Map<object, number>();
  const history = Array.from({ length: PEER_LENGTH }, (_, i) => {
    const { role, content } = message(i);
    const peer = role === 'user' ? new HumanMessage(content) : new AIMessage(content);
    counts.set(peer, countTokens(content) + 4);
    return peer;
  });
  const tokenCounter = (items: object[]) => items.reduce((sum, item) => sum + counts.get(item)!, 0);
  const options = { maxTokens: MAX_TOKENS, strategy: 'last', tokenCounter };
  return { name: peerName, run: () => milliseconds(() => trimMessages(history, options)) };
}

const peerName = `LangChain trimMessages, ${PEER_LENGTH} messages`;

const bench: Bench = {
  name: 'window',
  summary: 'time to build an 8,000-token window, by the length of the history',
  options: [
    {
      flags: '--peer',
      description: "measure LangChain's trimMessages beside it (installs it)",
      default: false,
    },
  ],

  async run(context): Promise<Row[]> {
    const folder = await context.temporaryFolder();
    // Reading alone: what is recalled, and how a session is compacted, have benches of their own.
    const engine = await ContextEngine.open(context.store ?? `file:${join(folder, 'holdfast.db')}`, {
      compaction: { autoCompact: false },
    });
    context.resources.use(engine);
    await fill(context, engine);
    await engine.messages.settled();
    const build = (length: number) =>
      engine.window.build(sessionOf(length), { maxTokens: MAX_TOKENS, recall: false });
    const cases: Case[] = LENGTHS.map((length) => ({
      name: nameOf(length),
      run: () => perCall(() => build(length)),
    }));
    // The floor is SQLite's own: on a server a window is held only against shorter histories on it.
    const { messages } = await build(longest);
    const floors = context.store === undefined ? bareReads(context, folder, messages.length) : [];
    cases.push(...floors);
    if (context.options.peer) cases.push(await trimmer(context));
    const rounds = await interleave(cases, { rounds: 7, warmups: 2, progress: context.progress });
    return [
      ...floors.map(({ name }) => rounds.row(name, 'ms')),
      ...rowsOf(rounds, floors.length > 0),
      ...(context.options.peer ? [rounds.row(peerName, 'ms', nameOf(PEER_LENGTH))] : []),
    ];
  },
};

function bareReads(context: Context, folder: string, count: number): Case[] {
  const bare = new BareTable(join(folder, 'bare.db'), longest);
  context.resources.defer(() => bare.close());
  const session = sessionOf(longest);
  return [
    { name: bareName, run: () => perCall(() => bare.read(session, count)) },
    { name: textsName, run: () => perCall(() => bare.readTexts(session, count)) },
  ];
}

function rowsOf(rounds: Rounds, hasFloor: boolean): Row[] {
  const name = nameOf(longest);
  const shorter = LENGTHS.slice(0, -1).map((length) =>
    rounds.row(nameOf(length), 'ms', hasFloor ? bareName : undefined),
  );
  const floors: Row[] = hasFloor
    ? [
        rounds.row(name, 'ms', bareName, { atMost: 3 }),
        { ...rounds.row(name, 'ms', textsName), case: `${name}, against the texts alone` },
      ]
    : [];
  const flat = { ...rounds.row(name, 'ms', nameOf(1_000), { atMost: 1.3 }), case: `${name}, against 1,000` };
  return [...shorter, ...floors, flat];
}

const bareName = 'bare SELECT and JSON.parse of the same rows';
const textsName = 'the same, the texts alone';

function nameOf(length: number): string {
  return `window, ${length.toLocaleString('en')} messages`;
}

/** Milliseconds of one call, over some calls. Each has a turn of the event loop, as a request to a server has. */
async function perCall(call: () => unknown): Promise<number> {
  let total = 0;
  for (let i = 0; i < BUILDS; i++) {
    await setImmediate();
    total += await milliseconds(call);
  }
  return total / BUILDS;
}

export default bench;
