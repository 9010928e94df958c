import { join } from 'node:path';
import { ContextEngine, type EngineOptions, type StoreOptions } from '../../src/index.ts';
import { textFrom } from '../harness/made-up.ts';
import { type Case, interleave, perSecond } from '../harness/rounds.ts';
import type { Bench, Context, Row } from '../harness/types.ts';
import { UsageError } from '../harness/usage.ts';

const SESSIONS = 100;
/**
 * Messages of one round, by how many calls are under way at a time. No append waits for the disk (durability normal): there
 * whatever is added shows most.
 */
const COUNTS = [
  [1, 3_000],
  [32, 12_000],
] as const;
/** Sessions whose new messages are searched, and in a window, before the next round. */
const IN_USE = 10;
const MAX_TOKENS = 4_000;
/** The most that search and compaction may add to an append's cost. */
const LEAST = 1 / 1.1;

const ids = Array.from({ length: SESSIONS }, (_, i) => `session-${i}`);
const texts = Array.from({ length: 1_000 }, (_, i) => textFrom(i));

async function openEngine(
  context: Context,
  url: string,
  options: EngineOptions & StoreOptions,
): Promise<ContextEngine> {
  const engine = context.resources.use(await ContextEngine.open(url, options));
  for (const id of ids) await engine.sessions.create({ id, userId: 'bench' });
  return engine;
}

async function append(engine: ContextEngine, count: number, concurrency: number): Promise<void> {
  let next = 0;
  const caller = async () => {
    while (next < count) {
      const i = next++;
      const content = texts[i % texts.length]!;
      await engine.messages.append(ids[i % SESSIONS]!, { role: i % 2 === 0 ? 'user' : 'assistant', content });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, caller));
}

/** Uses what is on: a session is searched, and has a window built that is compacted where it has to be. */
async function use(engine: ContextEngine, sessions: readonly string[]): Promise<void> {
  for (const id of sessions) {
    await engine.messages.search(texts[0]!, { sessionId: id });
    await engine.window.build(id, { maxTokens: MAX_TOKENS, recall: true });
  }
  await engine.window.settled();
}

function casesOf(engines: { plain: ContextEngine; extras: ContextEngine }): (Case & { floor?: string })[] {
  return COUNTS.flatMap(([concurrency, count]) => {
    const floor = `append, concurrency ${concurrency}`;
    const run = (engine: ContextEngine) => async () => {
      const rate = await perSecond(count, () => append(engine, count, concurrency));
      // What is left to do after an append must not fall into another case's time.
      await engine.messages.settled();
      if (engine === engines.extras) await use(engine, ids.slice(0, IN_USE));
      return rate;
    };
    return [
      { name: floor, run: run(engines.plain) },
      { name: `${floor}, search and autoCompact on`, run: run(engines.extras), floor },
    ];
  });
}

const bench: Bench = {
  name: 'append-extras',
  summary: 'messages/s with search and automatic compaction in use, against appends without',

  async run(context): Promise<Row[]> {
    if (context.store !== undefined)
      throw new UsageError('append-extras compares two files: it takes no --store.');
    const folder = await context.temporaryFolder();
    const urlOf = (name: string) => `file:${join(folder, `${name}.db`)}`;
    const plain = await openEngine(context, urlOf('plain'), {
      durability: 'normal',
      compaction: { autoCompact: false },
    });
    const extras = await openEngine(context, urlOf('extras'), {
      durability: 'normal',
      compaction: { autoCompact: true },
    });
    for (const engine of [plain, extras]) await append(engine, 10_000, 32);
    await use(extras, ids);
    const cases = casesOf({ plain, extras });
    const rounds = await interleave(cases, { rounds: 15, warmups: 2, progress: context.progress });
    return cases.map(({ name, floor }) =>
      rounds.row(name, 'messages/s', floor, floor === undefined ? undefined : { atLeast: LEAST }),
    );
  },
};

export default bench;
