import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Sqlite from 'better-sqlite3';
import { ContextEngine, openStore } from '../../src/index.ts';
import { positiveInteger } from '../harness/options.ts';
import type { Bench, Context, Row } from '../harness/types.ts';
import { WorkerProcess } from '../harness/worker-process.ts';
import { Consumer, Ledger } from './workers/ledger.ts';
import { allMessages } from './workers/read.ts';

const WRITERS = 4;
/** Each writer has been answered so often, at least, before all are killed in the middle of what comes next. */
const ANSWERS = 20;
const worker = new URL('./workers/appender.ts', import.meta.url);

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
  const consumer = new Consumer([session]);
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
  consumer.end(session, ledger.lastSeq);
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
