import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Sqlite from 'better-sqlite3';
import type { Cursor } from '../../src/core/store.ts';
import { ContextEngine, openStore } from '../../src/index.ts';
import { positiveInteger } from '../harness/options.ts';
import type { Bench, Context, Row } from '../harness/types.ts';
import { WorkerProcess } from './workers/process.ts';
import { allMessages } from './workers/read.ts';

const WRITERS = 4;
/** Each writer has been answered so often, at least, before all are killed in the middle of what comes next. */
const ANSWERS = 20;
const worker = new URL('./workers/appender.ts', import.meta.url);

/** What became of all messages, over all rounds. */
class Ledger {
  acknowledged = 0;
  found = 0;
  lost = 0;
  doubled = 0;
  misordered = 0;
  #lastSeq = 0;

  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** Holds what was acknowledged in a round against what is there since the round before, in the log's order. */
  enter(acknowledged: readonly string[], found: readonly { seq: number; content: unknown }[]): void {
    const seen = new Set<unknown>();
    const next = new Map<string, number>();
    for (const { seq, content } of found) {
      const [lane, number] = String(content).split(' ') as [string, string];
      if (seen.has(content)) this.doubled++;
      else if (Number(number) !== (next.get(lane) ?? 0) || seq !== this.#lastSeq + 1) this.misordered++;
      seen.add(content);
      next.set(lane, Number(number) + 1);
      this.#lastSeq = seq;
    }
    this.acknowledged += acknowledged.length;
    this.found += found.length;
    this.lost += acknowledged.filter((content) => !seen.has(content)).length;
  }
}

/** Follows the journal from a cursor that it saves, and notes which seqs of the session's messages it was told of. */
class Consumer {
  skipped = 0;
  twice = 0;
  #cursor: Cursor | 'oldest' = 'oldest';
  #told = 0;
  readonly #session: string;

  constructor(session: string) {
    this.#session = session;
  }

  async follow(store: Awaited<ReturnType<typeof openStore>>): Promise<void> {
    for (;;) {
      const { changes, cursor } = await store.readChanges(this.#cursor, 100);
      if (changes.length === 0) return;
      for (const { partition, operations } of changes) {
        if (partition.id !== this.#session) continue;
        for (const change of operations) {
          if (change.op === 'append' && change.log === 'messages') this.#note(change.firstSeq, change.count);
        }
      }
      this.#cursor = cursor;
    }
  }

  #note(first: number, count: number): void {
    this.skipped += Math.max(0, first - this.#told - 1);
    this.twice += Math.max(0, this.#told - first + 1);
    this.#told = Math.max(this.#told, first + count - 1);
  }

  /** To be called at the end: what was never told was skipped, too. */
  end(lastSeq: number): void {
    this.skipped += lastSeq - this.#told;
  }
}

/** One round: four processes append, and are killed in the middle of it. @returns what they had been told */
async function killInTheMiddle(
  url: string,
  session: string,
  round: number,
  folder: string,
): Promise<string[]> {
  await using crew = new AsyncDisposableStack();
  const workers = Array.from({ length: WRITERS }, (_, i) =>
    crew.use(new WorkerProcess(worker, [url, session, `${round}.${i}`], folder)),
  );
  await Promise.all(workers.map((one) => one.heard(1)));
  for (const one of workers) one.go();
  await Promise.all(workers.map((one) => one.heard(1 + ANSWERS)));
  await delay(Math.random() * 20);
  await Promise.all(workers.map((one) => one.kill()));
  return workers.flatMap(({ lines }) => lines.slice(1));
}

/** Problems that SQLite itself finds in the file. */
function integrityProblems(path: string): number {
  using db = Object.assign(new Sqlite(path), {
    [Symbol.dispose](this: Sqlite.Database) {
      this.close();
    },
  });
  const found = db.pragma('integrity_check') as { integrity_check: string }[];
  return found.filter(({ integrity_check: text }) => text !== 'ok').length;
}

async function run(context: Context): Promise<Row[]> {
  const folder = await context.temporaryFolder();
  const path = join(folder, 'drill.db');
  const url = context.store ?? `file:${path}`;
  const session = `crash-${randomUUID()}`;
  const rounds = context.options.rounds as number;
  const ledger = new Ledger();
  const consumer = new Consumer(session);
  let problems = 0;
  for (let round = 0; round < rounds; round++) {
    context.progress(round, rounds, `${ledger.acknowledged} acknowledged`);
    if (round === 0) {
      await using engine = await ContextEngine.open(url);
      await engine.sessions.create({ id: session, userId: 'drill' });
    }
    const acknowledged = await killInTheMiddle(url, session, round, folder);
    const store = await openStore(url);
    await using engine = new ContextEngine(store);
    ledger.enter(acknowledged, await allMessages(engine, session, ledger.lastSeq));
    await consumer.follow(store);
    if (context.store === undefined) problems += integrityProblems(path);
  }
  consumer.end(ledger.lastSeq);
  const none = { atMost: 0 };
  return [
    { case: 'rounds', value: rounds, unit: `kills of ${WRITERS} processes` },
    {
      case: 'acknowledged',
      value: ledger.acknowledged,
      unit: 'messages',
      target: { atLeast: rounds * WRITERS * ANSWERS },
    },
    { case: 'found', value: ledger.found, unit: 'messages', target: { atLeast: ledger.acknowledged } },
    { case: 'lost', value: ledger.lost, unit: 'messages', target: none },
    { case: 'doubled', value: ledger.doubled, unit: 'messages', target: none },
    { case: 'misordered', value: ledger.misordered, unit: 'messages', target: none },
    { case: 'journal: skipped', value: consumer.skipped, unit: 'messages', target: none },
    { case: 'journal: told twice', value: consumer.twice, unit: 'messages', target: none },
    { case: 'integrity_check', value: problems, unit: 'problems', target: none },
  ];
}

const drill: Bench = {
  name: 'crash',
  summary: 'kill -9 of four processes in the middle of their appends: nothing acknowledged is lost',
  options: [
    {
      flags: '--rounds <count>',
      description: 'how often to kill them',
      default: 100,
      parse: positiveInteger,
    },
  ],
  run,
};

export default drill;
