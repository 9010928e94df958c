import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { ContextEngine } from '../../src/index.ts';
import { type Case, interleave, perSecond } from '../harness/rounds.ts';
import type { Bench, Context, Row } from '../harness/types.ts';

const SESSIONS = 100;
const CONTENT = 'The quick brown fox jumps over the lazy dog, then writes home about it. '
  .repeat(3)
  .slice(0, 200);
const ids = Array.from({ length: SESSIONS }, (_, i) => `session-${i}`);

type Durability = 'full' | 'normal';
const durabilities: readonly Durability[] = ['normal', 'full'];
/** Messages of one round: about half a second of each case. A transaction of its own costs more with `full`. */
const counts = { one: { normal: 20_000, full: 4_000 }, many: { normal: 64_000, full: 48_000 } };

/** What a message's row is without any engine: its session, its place, and its text. */
class RawTable {
  readonly #db: Sqlite.Database;
  readonly #insert: Sqlite.Statement;
  readonly #seqs = new Array<number>(SESSIONS).fill(0);

  constructor(path: string, durability: Durability) {
    this.#db = new Sqlite(path);
    this.#db.pragma('journal_mode = WAL');
    this.#db.pragma(`synchronous = ${durability}`);
    this.#db.exec(
      'CREATE TABLE messages (id INTEGER PRIMARY KEY, session TEXT, seq INTEGER, message TEXT) STRICT',
    );
    this.#insert = this.#db.prepare('INSERT INTO messages (session, seq, message) VALUES (?, ?, ?)');
  }

  /** Inserts `count` rows, `together` of them in each transaction. */
  insert(count: number, together: number): void {
    const begin = this.#db.prepare('BEGIN IMMEDIATE');
    const commit = this.#db.prepare('COMMIT');
    const message = JSON.stringify({ role: 'user', content: CONTENT, createdAt: Date.now() });
    for (let i = 0; i < count; i += together) {
      begin.run();
      for (let j = i; j < i + together; j++) {
        const session = j % SESSIONS;
        this.#seqs[session]! += 1;
        this.#insert.run(ids[session], this.#seqs[session], message);
      }
      commit.run();
    }
  }

  close(): void {
    this.#db.close();
  }
}

/** Appends `count` messages through the public API, `concurrency` calls at a time, one message a call. */
async function append(engine: ContextEngine, count: number, concurrency: number): Promise<void> {
  let next = 0;
  const caller = async () => {
    while (next < count)
      await engine.messages.append(ids[next++ % SESSIONS]!, { role: 'user', content: CONTENT });
  };
  await Promise.all(Array.from({ length: concurrency }, caller));
}

async function openEngine(context: Context, url: string, durability: Durability): Promise<ContextEngine> {
  const engine = await ContextEngine.open(url, { durability });
  context.resources.use(engine);
  for (const id of ids) await engine.sessions.create({ id, userId: 'bench' });
  return engine;
}

async function casesOf(context: Context, durability: Durability): Promise<Case[]> {
  const folder = await context.temporaryFolder();
  const raw = new RawTable(join(folder, `raw-${durability}.db`), durability);
  context.resources.defer(() => raw.close());
  const engine = await openEngine(context, `file:${join(folder, `holdfast-${durability}.db`)}`, durability);
  const one = counts.one[durability];
  const many = counts.many[durability];
  return [
    { name: `raw, 1 a transaction, ${durability}`, run: () => perSecond(one, () => raw.insert(one, 1)) },
    {
      name: `raw, 100 a transaction, ${durability}`,
      run: () => perSecond(many, () => raw.insert(many - (many % 100), 100)),
    },
    {
      name: `append, concurrency 1, ${durability}`,
      run: () => settledAfter(engine, () => perSecond(one, () => append(engine, one, 1))),
    },
    {
      name: `append, concurrency 32, ${durability}`,
      run: () => settledAfter(engine, () => perSecond(many, () => append(engine, many, 32))),
    },
    {
      name: `append and count tokens, concurrency 32, ${durability}`,
      run: () => perSecond(many, () => settledAfter(engine, () => append(engine, many, 32))),
    },
  ];
}

/** Tokens are counted after the append: what one case leaves to count must not fall into another's time. */
async function settledAfter<T>(engine: ContextEngine, work: () => Promise<T>): Promise<T> {
  const result = await work();
  await engine.messages.settled();
  return result;
}

const bench: Bench = {
  name: 'append',
  summary: 'messages/s into SQLite, against raw inserts of the same rows',

  async run(context): Promise<Row[]> {
    const rows: Row[] = [];
    for (const durability of durabilities) {
      const cases = await casesOf(context, durability);
      const rounds = await interleave(cases, {
        rounds: 5,
        progress: (done, total, what) =>
          context.progress(done + (rows.length > 0 ? total : 0), total * 2, what),
      });
      const [one, hundred, single, grouped, counted] = cases.map(({ name }) => name) as [
        string,
        string,
        string,
        string,
        string,
      ];
      rows.push(
        rounds.row(one, 'messages/s'),
        rounds.row(hundred, 'messages/s'),
        rounds.row(single, 'messages/s', one, { atLeast: 0.5 }),
        rounds.row(grouped, 'messages/s', hundred, { atLeast: 0.35 }),
        rounds.row(counted, 'messages/s', hundred),
      );
    }
    return rows;
  },
};

export default bench;
