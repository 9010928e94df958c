import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { ContextEngine } from '../../src/index.ts';
import type { Bench, Context, Row } from '../harness/types.ts';
import { WorkerProcess } from '../harness/worker-process.ts';
import { allMessages } from './workers/read.ts';

/** How much each process does of each kind, and how many messages there are in the end. */
export interface RaceCounts {
  increments: number;
  merges: number;
  appends: number;
  total: number;
}

const WRITERS = 4;
const counts: RaceCounts = { increments: 250, merges: 100, appends: 250, total: WRITERS * 250 };
const worker = new URL('./workers/racer.ts', import.meta.url);

/** Lets all processes race; @returns the order of messages that each saw at the end */
async function race(context: Context, url: string, session: string, folder: string): Promise<string[]> {
  await using crew = new AsyncDisposableStack();
  const workers = Array.from({ length: WRITERS }, (_, i) =>
    crew.use(new WorkerProcess(worker, [url, session, `writer${i}`, JSON.stringify(counts)], folder)),
  );
  for (const [step, what] of ['racing', 'reading', 'comparing'].entries()) {
    context.progress(step, 3, what);
    await Promise.all(workers.map((one) => one.heard(step + 1)));
    if (step < 2) for (const one of workers) one.go();
  }
  return workers.map(({ lines }) => lines[2]!);
}

/** Messages that stand before one that their writer had written earlier, and gaps in the seqs. */
function misordered(messages: readonly { seq: number; content: unknown }[]): number {
  const next = new Map<string, number>();
  return messages.filter(({ seq, content }, i) => {
    const [writer, number] = String(content).split(' ') as [string, string];
    const expected = next.get(writer) ?? 0;
    next.set(writer, Number(number) + 1);
    return Number(number) !== expected || seq !== i + 1;
  }).length;
}

async function run(context: Context): Promise<Row[]> {
  const folder = await context.temporaryFolder();
  const url = context.store ?? `file:${join(folder, 'drill.db')}`;
  const session = `races-${randomUUID()}`;
  await using engine = await ContextEngine.open(url);
  await engine.sessions.create({ id: session, userId: 'drill' });
  const orders = await race(context, url, session, folder);

  const { requests } = await engine.sessions.get(session);
  const { value } = await engine.state.get(session);
  const merged = Object.values((value.shared ?? {}) as Record<string, object>).flatMap((keys) =>
    Object.keys(keys),
  );
  const messages = await allMessages(engine, session);
  const texts = new Set(messages.map(({ content }) => content));
  const merges = WRITERS * counts.merges;
  const exactly = (name: string, found: number, wanted: number, unit: string): Row[] => [
    { case: `${name}: acknowledged`, value: wanted, unit },
    { case: `${name}: found`, value: found, unit },
    { case: `${name}: lost`, value: Math.max(0, wanted - found), unit, target: { atMost: 0 } },
    { case: `${name}: doubled`, value: Math.max(0, found - wanted), unit, target: { atMost: 0 } },
  ];
  return [
    ...exactly('counter', requests, WRITERS * counts.increments, 'increments'),
    ...exactly('deep merges', merged.length, merges, 'keys'),
    ...exactly('appends', messages.length, counts.total, 'messages'),
    { case: 'appends: twice', value: messages.length - texts.size, unit: 'messages', target: { atMost: 0 } },
    { case: 'appends: misordered', value: misordered(messages), unit: 'messages', target: { atMost: 0 } },
    { case: 'appends: orders seen', value: new Set(orders).size, unit: 'orders', target: { atMost: 1 } },
  ];
}

const drill: Bench = {
  name: 'races',
  summary: 'four processes count, merge and append at once: no increment, key or message is lost',
  run,
};

export default drill;
