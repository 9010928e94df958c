import { randomUUID } from 'node:crypto';
import { ContextEngine, openStore } from '../../../src/index.ts';
import type { Context, Row } from '../../harness/types.ts';
import type { AppenderOptions } from './appender.ts';
import { Consumer, Ledger } from './ledger.ts';
import { WorkerProcess } from './process.ts';
import { allMessages } from './read.ts';

const worker = new URL('./appender.ts', import.meta.url);
const WRITERS = 4;
const SESSIONS = 8;

export interface LoadOptions {
  url: string;
  /** For the writers, where what is broken stands between them and the store. */
  writersUrl?: string;
  /** For `ContextEngine.open`; of each writer where it is a function. */
  engine?: object | ((writer: number) => object);
  /** Rest of each lane after each message (milliseconds): so that a long drill does not fill the machine. */
  pauseMs?: number;
}

/** Writers that append while something happens to their store. */
export class Load {
  readonly #workers: readonly WorkerProcess[];

  constructor(workers: readonly WorkerProcess[]) {
    this.#workers = workers;
  }

  /** What was acknowledged so far. */
  get acknowledged(): readonly string[] {
    return this.#workers.flatMap(({ lines }) => lines.slice(1).filter((line) => line !== 'stopped'));
  }

  /** Resolves when each writer has been answered so many times more. */
  async answered(count: number): Promise<void> {
    await Promise.all(this.#workers.map((one) => one.heard(one.lines.length + count)));
  }
}

/**
 * Four processes append to eight sessions, each of them to all, while `during` breaks and mends things. Then what was
 * acknowledged is held against what is there, and against what the journal told.
 */
export async function underLoad(
  context: Context,
  { url, writersUrl = url, engine: options, pauseMs = 1 }: LoadOptions,
  during: (load: Load) => Promise<void>,
): Promise<Row[]> {
  const folder = await context.temporaryFolder();
  const name = `drill-${randomUUID()}`;
  const sessions = Array.from({ length: SESSIONS }, (_, i) => `${name}-${i}`);
  const store = await openStore(url);
  await using engine = new ContextEngine(store, { maintenanceIntervalMs: 0 });
  for (const id of sessions) await engine.sessions.create({ id, userId: 'drill' });

  await using crew = new AsyncDisposableStack();
  const workers = Array.from({ length: WRITERS }, (_, i) => {
    const given = typeof options === 'function' ? options(i) : options;
    const how: AppenderOptions = {
      lanes: SESSIONS,
      sessionEach: true,
      insist: true,
      pauseMs,
      ...(given && { engine: given }),
    };
    return crew.use(new WorkerProcess(worker, [writersUrl, name, `${i}`, JSON.stringify(how)], folder));
  });
  await Promise.all(workers.map((one) => one.heard(1)));
  for (const one of workers) one.go();
  const load = new Load(workers);
  await during(load);
  for (const one of workers) one.go();
  await Promise.all(workers.map((one) => one.ended()));
  return account(load.acknowledged, sessions, engine, store);
}

async function account(
  acknowledged: readonly string[],
  sessions: readonly string[],
  engine: ContextEngine,
  store: Awaited<ReturnType<typeof openStore>>,
): Promise<Row[]> {
  const sum = { acknowledged: 0, found: 0, lost: 0, doubled: 0, misordered: 0, skipped: 0, twice: 0 };
  for (const [lane, session] of sessions.entries()) {
    const ledger = new Ledger();
    const consumer = new Consumer(session);
    const own = acknowledged.filter((line) => line.split(' ')[0]!.endsWith(`.${lane}`));
    ledger.enter(own, await allMessages(engine, session));
    await consumer.follow(store);
    consumer.end(ledger.lastSeq);
    for (const key of ['acknowledged', 'found', 'lost', 'doubled', 'misordered'] as const)
      sum[key] += ledger[key];
    for (const key of ['skipped', 'twice'] as const) sum[key] += consumer[key];
  }
  const none = (name: string, value: number): Row => ({
    case: name,
    value,
    unit: 'messages',
    target: { atMost: 0 },
  });
  return [
    { case: 'acknowledged', value: sum.acknowledged, unit: 'messages', target: { atLeast: 1 } },
    { case: 'found', value: sum.found, unit: 'messages', target: { atLeast: sum.acknowledged } },
    none('lost', sum.lost),
    none('doubled', sum.doubled),
    none('misordered', sum.misordered),
    none('journal: skipped', sum.skipped),
    none('journal: told twice', sum.twice),
  ];
}
