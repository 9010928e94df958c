import { join } from 'node:path';
import { ContextEngine } from '../../src/index.ts';
import { allMessages } from '../drills/workers/read.ts';
import type { Bench, Context, Row } from '../harness/types.ts';
import { WorkerProcess } from '../harness/worker-process.ts';

const SESSION = 'events';
const MESSAGES = 500;
const PAUSE_MS = 5;
const worker = new URL('../drills/workers/appender.ts', import.meta.url);

/** When the event of each message came (epoch milliseconds), by the message's seq. */
async function listen(
  context: Context,
  engine: ContextEngine,
  appender: WorkerProcess,
): Promise<Map<number, number>> {
  const arrivals = new Map<number, number>();
  const events = engine.events.subscribe({ types: ['message.appended'], sessionId: SESSION });
  const hearing = (async () => {
    for await (const event of events) {
      if (event.type === 'message.appended') arrivals.set(event.lastSeq, Date.now());
      context.progress(arrivals.size, MESSAGES, 'listening');
      if (arrivals.size === MESSAGES) return;
    }
  })();
  appender.go();
  await hearing;
  appender.go();
  await appender.ended();
  return arrivals;
}

const bench: Bench = {
  name: 'events',
  summary: 'from an append in one process to its event in another',

  async run(context): Promise<Row[]> {
    const folder = await context.temporaryFolder();
    const url = context.store ?? `file:${join(folder, 'events.db')}`;
    await using engine = await ContextEngine.open(url);
    await engine.sessions.create({ id: SESSION, userId: 'bench' });
    const how = JSON.stringify({ lanes: 1, pauseMs: PAUSE_MS });
    const appender = context.resources.use(new WorkerProcess(worker, [url, SESSION, 'w', how], folder));
    await appender.heard(1);
    const arrivals = await listen(context, engine, appender);
    const sent = new Map((await allMessages(engine, SESSION)).map(({ seq, createdAt }) => [seq, createdAt]));
    const delays = [...arrivals].map(([seq, at]) => at - sent.get(seq)!).sort((a, b) => a - b);
    const quantile = (part: number) => delays[Math.floor((delays.length - 1) * part)]!;
    return [
      { case: 'half of the events came within', value: quantile(0.5), unit: 'ms', target: { atMost: 50 } },
      { case: '99 of 100 within', value: quantile(0.99), unit: 'ms' },
    ];
  },
};

export default bench;
