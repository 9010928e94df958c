import { join } from 'node:path';
import { ContextEngine } from '../../src/index.ts';
import { RawRows } from '../floors/postgres.ts';
import { RawLists } from '../floors/redis.ts';
import { RawTable } from '../floors/sqlite.ts';
import { type Case, interleave, perSecond, type Rounds } from '../harness/rounds.ts';
import type { Bench, Context, Row, Target } from '../harness/types.ts';

const SESSIONS = 100;
const CONTENT = 'The quick brown fox jumps over the lazy dog, then writes home about it. '
  .repeat(3)
  .slice(0, 200);
const ids = Array.from({ length: SESSIONS }, (_, i) => `session-${i}`);
/** What a floor writes for each message. */
const text = JSON.stringify({ role: 'user', content: CONTENT, createdAt: Date.now() });

type Durability = 'full' | 'normal';
const durabilities: readonly Durability[] = ['normal', 'full'];
/** Messages of one round: about half a second of each case. A transaction of its own costs more with `full`. */
const counts = { one: { normal: 20_000, full: 4_000 }, many: { normal: 64_000, full: 48_000 } };
/** The same for servers, where a round trip to the server is the least. */
const served = { one: 2_000, many: 32_000 };

/** A case, and what it is held against. */
type Judged = Case & { readonly against?: readonly { readonly floor: string; readonly target?: Target }[] };
/** A floor, and the least part of it that the engine has to reach at concurrency 32. */
type Floor = Case & { readonly atLeast: number };

/** Appends `count` messages through the public API, `concurrency` calls at a time, one message a call. */
async function append(engine: ContextEngine, count: number, concurrency: number): Promise<void> {
  let next = 0;
  const caller = async () => {
    while (next < count)
      await engine.messages.append(ids[next++ % SESSIONS]!, { role: 'user', content: CONTENT });
  };
  await Promise.all(Array.from({ length: concurrency }, caller));
}

async function openEngine(context: Context, url: string, durability?: Durability): Promise<ContextEngine> {
  const engine = await ContextEngine.open(url, durability ? { durability } : {});
  context.resources.use(engine);
  for (const id of ids) await engine.sessions.create({ id, userId: 'bench' });
  return engine;
}

/** Tokens are counted after the append: what one case leaves to count must not fall into another's time. */
async function settledAfter<T>(engine: ContextEngine, work: () => Promise<T>): Promise<T> {
  const result = await work();
  await engine.messages.settled();
  return result;
}

async function onFile(context: Context, durability: Durability): Promise<Judged[]> {
  const folder = await context.temporaryFolder();
  const raw = new RawTable(join(folder, `raw-${durability}.db`), durability, ids);
  context.resources.defer(() => raw.close());
  const engine = await openEngine(context, `file:${join(folder, `holdfast-${durability}.db`)}`, durability);
  const one = counts.one[durability];
  const many = counts.many[durability];
  const single = `raw, 1 a transaction, ${durability}`;
  const hundred = `raw, 100 a transaction, ${durability}`;
  return [
    { name: single, run: () => perSecond(one, () => raw.insert(text, one, 1)) },
    { name: hundred, run: () => perSecond(many, () => raw.insert(text, many - (many % 100), 100)) },
    {
      name: `append, concurrency 1, ${durability}`,
      run: () => settledAfter(engine, () => perSecond(one, () => append(engine, one, 1))),
      against: [{ floor: single, target: { atLeast: 0.5 } }],
    },
    {
      name: `append, concurrency 32, ${durability}`,
      run: () => settledAfter(engine, () => perSecond(many, () => append(engine, many, 32))),
      against: [{ floor: hundred, target: { atLeast: 0.35 } }],
    },
    {
      name: `append and count tokens, concurrency 32, ${durability}`,
      run: () => perSecond(many, () => settledAfter(engine, () => append(engine, many, 32))),
      against: [{ floor: hundred }],
    },
  ];
}

/** The engine on a server, against floors of its driver that write the same texts to the same server. */
async function onServer(context: Context, url: string, floors: Floor[]): Promise<Judged[]> {
  const engine = await openEngine(context, url);
  const { one, many } = served;
  return [
    ...floors,
    {
      name: 'append, concurrency 1',
      run: () => settledAfter(engine, () => perSecond(one, () => append(engine, one, 1))),
    },
    {
      name: 'append, concurrency 32',
      run: () => settledAfter(engine, () => perSecond(many, () => append(engine, many, 32))),
      against: floors.map(({ name: floor, atLeast }) => ({ floor, target: { atLeast } })),
    },
  ];
}

async function redisFloors(context: Context, url: string): Promise<Floor[]> {
  const raw = await RawLists.open(url, ids);
  context.resources.defer(() => raw.close());
  const { many } = served;
  const floors: Floor[] = [
    {
      name: 'raw RPUSH, pipelines of 100',
      run: () => perSecond(many, () => raw.push(text, many, 100)),
      atLeast: 0.35,
    },
    {
      name: 'raw RPUSH, concurrency 32',
      run: () => perSecond(many, () => raw.pushFrom(text, many, 32)),
      atLeast: 0.35,
    },
  ];
  return url.startsWith('redis:') ? [...floors, await langChain(context, url)] : floors;
}

/** What is used of `@langchain/redis`. */
interface LangChainRedis {
  RedisChatMessageHistory: new (options: object) => { addMessage(message: object): Promise<void> };
}

/** LangChain's history of a session in Redis: a list, and nothing else. */
async function langChain(context: Context, url: string): Promise<Floor> {
  const { RedisChatMessageHistory } = await context.peer<LangChainRedis>('@langchain/redis');
  const { HumanMessage } = await context.peer<{ HumanMessage: new (text: string) => object }>(
    '@langchain/core/messages',
  );
  const config = { url };
  const histories = ids.map((id) => new RedisChatMessageHistory({ sessionId: `langchain:${id}`, config }));
  // Its client is shared by all histories of one configuration, and not closed by any of them.
  const { client } = histories[0] as unknown as {
    client: { connect(): Promise<void>; quit(): Promise<void> };
  };
  await client.connect();
  context.resources.defer(() => client.quit());
  const add = async () => {
    let next = 0;
    const caller = async () => {
      while (next < served.many) await histories[next++ % SESSIONS]!.addMessage(new HumanMessage(CONTENT));
    };
    await Promise.all(Array.from({ length: 32 }, caller));
  };
  return {
    name: 'LangChain RedisChatMessageHistory, concurrency 32',
    run: () => perSecond(served.many, add),
    atLeast: 1,
  };
}

async function postgresFloors(context: Context, url: string): Promise<Floor[]> {
  const raw = await RawRows.open(url, ids);
  context.resources.defer(() => raw.close());
  const { many } = served;
  return [
    {
      name: 'raw INSERT, 100 rows a statement',
      run: () => perSecond(many, () => raw.insert(text, many, 100)),
      atLeast: 0.35,
    },
    {
      name: 'raw INSERT, 32 rows a statement',
      run: () => perSecond(many, () => raw.insert(text, many, 32)),
      atLeast: 0.35,
    },
  ];
}

async function groupsOf(context: Context): Promise<(() => Promise<Judged[]>)[]> {
  const url = context.store;
  if (url === undefined || url.startsWith('file:'))
    return durabilities.map((durability) => () => onFile(context, durability));
  if (/^redis/.test(url)) return [async () => onServer(context, url, await redisFloors(context, url))];
  if (/^postgres/.test(url)) return [async () => onServer(context, url, await postgresFloors(context, url))];
  return [() => onServer(context, url, [])];
}

function rowsOf({ name, against = [] }: Judged, rounds: Rounds): Row[] {
  if (against.length === 0) return [rounds.row(name, 'messages/s')];
  return against.map(({ floor, target }) => {
    const row = rounds.row(name, 'messages/s', floor, target);
    return against.length > 1 ? { ...row, case: `${name}, against ${floor}` } : row;
  });
}

const bench: Bench = {
  name: 'append',
  summary: 'messages/s through the engine, against the driver alone writing the same texts',

  async run(context): Promise<Row[]> {
    const rows: Row[] = [];
    const groups = await groupsOf(context);
    for (const [i, group] of groups.entries()) {
      const cases = await group();
      const rounds = await interleave(cases, {
        rounds: 5,
        progress: (done, total, what) => context.progress(done + i * total, total * groups.length, what),
      });
      rows.push(...cases.flatMap((one) => rowsOf(one, rounds)));
    }
    return rows;
  },
};

export default bench;
