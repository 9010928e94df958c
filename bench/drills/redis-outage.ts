import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startRedis } from '../../scripts/servers/redis.ts';
import { ContextEngine, isHoldfastError } from '../../src/index.ts';
import { positiveInteger } from '../harness/options.ts';
import type { Bench, Context, Row } from '../harness/types.ts';
import { type Load, underLoad } from './workers/load.ts';

const LOOK_MS = 20;

/** The last message of each lane that was acknowledged so far. */
function newestOf({ acknowledged }: Load): Map<string, string> {
  return new Map(acknowledged.map((line) => [line.split(' ')[0]!, line]));
}

/** Waits until the store has these messages, whatever still comes after them. */
async function arrived(url: string, session: string, messages: ReadonlyMap<string, string>): Promise<void> {
  await using engine = await ContextEngine.open(url, { maintenanceIntervalMs: 0 });
  for (const [lane, content] of messages) {
    const id = `${session}-${lane.split('.')[1]}`;
    while (!(await engine.messages.get(id, `id ${content}`).catch(notYet))) await delay(LOOK_MS);
  }
}

/** Replays what writers had left when they ended. @returns how much that was */
async function replayRest(url: string, spool: string): Promise<number> {
  await using engine = await ContextEngine.open(url, { fallback: spool, maintenanceIntervalMs: 0 });
  const left = (await engine.storeHealth()).facts.spooled as number;
  while ((await engine.storeHealth()).facts.fallback !== 'normal') await delay(LOOK_MS);
  return left;
}

function notYet(error: unknown): undefined {
  if (!isHoldfastError(error) || error.code !== 'not-found') throw error;
}

async function run(context: Context): Promise<Row[]> {
  const awayMs = (context.options.seconds as number) * 1000;
  const server = context.resources.use(await startRedis({ appendOnly: 'everysec' }));
  const spools = await context.temporaryFolder();
  const own = context.options.spool === 'own';
  const spoolOf = (writer: number) => `file:${join(spools, `${own ? writer : 'shared'}.db`)}`;
  let away = 0;
  let backMs = 0;
  let left = 0;
  const afterwards = async () => {
    for (const spool of new Set([0, 1, 2, 3].map(spoolOf))) left += await replayRest(server.url, spool);
  };
  const rows = await underLoad(
    context,
    {
      url: server.url,
      engine: (writer) => ({ fallback: spoolOf(writer) }),
      // What is not waited for can be overtaken.
      underWay: (writer) => (writer % 2 === 0 ? 1 : 8),
      afterwards,
    },
    async (load) => {
      await load.answered(50);
      await server.stop();
      const before = load.acknowledged.length;
      for (let passed = 0; passed < awayMs; passed += 100) {
        context.progress(passed, awayMs, 'the server is away');
        await delay(100);
      }
      away = load.acknowledged.length - before;
      const newest = newestOf(load);
      await server.restart();
      const start = performance.now();
      context.progress(awayMs, awayMs, 'the server is back');
      await arrived(server.url, load.session, newest);
      backMs = performance.now() - start;
      await load.answered(50);
    },
  );
  return [
    ...rows,
    { case: 'acknowledged while away', value: away, unit: 'messages', target: { atLeast: 1 } },
    { case: 'left in the spool at the end', value: left, unit: 'messages, then replayed' },
    { case: 'switch back', value: Math.round(backMs), unit: 'ms from the first answer to all in the store' },
  ];
}

const drill: Bench = {
  name: 'redis-outage',
  summary:
    'Redis is stopped for 20 s under load from 4 writers, which go on with a spool; two don’t wait for answers',
  options: [
    {
      flags: '--seconds <count>',
      description: 'how long it is away',
      default: 20,
      parse: positiveInteger,
    },
    {
      flags: '--spool <whose>',
      description: 'one for all writers (shared), or one each (own)',
      default: 'shared',
    },
  ],
  run,
};

export default drill;
