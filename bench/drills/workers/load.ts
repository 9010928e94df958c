import { randomUUID } from 'node:crypto';
import { ContextEngine, openStore } from '../../../src/index.ts';
import type { Context, Row } from '../../harness/types.ts';
import { WorkerProcess } from '../../harness/worker-process.ts';
import type { AppenderOptions } from './appender.ts';
import { Consumer, Ledger } from './ledger.ts';
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
  /** How many appends each lane of a writer has under way at a time (1). Only for stores that fail none of them. */
  underWay?: (writer: number) => number;
  /** Rest of each lane after each message (milliseconds): so that a long drill does not fill the machine. */
  pauseMs?: number;
  /** Done after the writers have ended, before it is counted. */
  afterwards?: () => Promise<void>;
}

/** Writers that append while something happens to their store. */
export class Load {
  /** Lane 3 appends to this and `-3`, and so on. */
  readonly session: string;
  readonly #workers: readonly WorkerProcess[];

  constructor(session: string, workers: readonly WorkerProcess[]) {
    this.session = session;
    this.#workers = workers;
  }

  /** What was acknowledged so far. */
  get acknowledged(): readonly string[] {
    return this.#workers.flatMap(({ lines }) => lines.filter((line) => line.includes(' ')));
  }

  /** Resolves when every lane of every writer, and so each session, has been answered so many times more. */
  async answered(count: number): Promise<void> {
    await Promise.all(this.#workers.map((one) => this.#everyLane(one, count)));
  }

  async #everyLane(worker: WorkerProcess, count: number): Promise<void> {
    const answers = new Map<string, number>();
    for (let read = worker.lines.length; ; read++) {
      await worker.heard(read + 1);
      const lane = worker.lines[read]!.split(' ')[0]!;
      answers.set(lane, (answers.get(lane) ?? 0) + 1);
      if (answers.size === SESSIONS && [...answers.values()].every((times) => times >= count)) return;
    }
  }
}

/**
 * Four processes append to eight sessions, each of them to all, while `during` breaks and mends things. Then what was
 * acknowledged is held against what is there, and against what the journal told.
 */
export async function underLoad(
  context: Context,
  { url, writersUrl = url, engine: options, underWay, pauseMs = 1, afterwards }: LoadOptions,
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
      ...(underWay && { underWay: underWay(i) }),
      ...(given && { engine: given }),
    };
    return crew.use(new WorkerProcess(worker, [writersUrl, name, `${i}`, JSON.stringify(how)], folder));
  });
  await Promise.all(workers.map((one) => one.heard(1)));
  for (const one of workers) one.go();
  const load = new Load(name, workers);
  const consumer = new Consumer(sessions);
  const following = new AbortController();
  const followed = consumer.keepFollowing(store, following.signal);
  try {
    await during(load);
    for (const one of workers) one.go();
    await Promise.all(workers.map((one) => one.ended()));
    await afterwards?.();
  } finally {
    following.abort();
    await followed;
  }
  await consumer.follow(store);
  return await account(load.acknowledged, sessions, engine, consumer);
}

async function account(
  acknowledged: readonly string[],
  sessions: readonly string[],
  engine: ContextEngine,
  consumer: Consumer,
): Promise<Row[]> {
  const sum = { acknowledged: 0, found: 0, lost: 0, doubled: 0, misordered: 0 };
  for (const [lane, session] of sessions.entries()) {
    const ledger = new Ledger();
    const own = acknowledged.filter((line) => line.split(' ')[0]!.endsWith(`.${lane}`));
    ledger.enter(own, await allMessages(engine, session));
    consumer.end(session, ledger.lastSeq);
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += ledger[key];
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
    none('journal: skipped', consumer.skipped),
    none('journal: told twice', consumer.twice),
  ];
}
