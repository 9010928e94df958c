import { join } from 'node:path';
import { z } from 'zod';
import type { ToolCallOptions } from '../../src/core/tools/tools.ts';
import { ContextEngine, defineTool, type EngineOptions } from '../../src/index.ts';
import { type Case, interleave } from '../harness/rounds.ts';
import type { Bench, Context, Row } from '../harness/types.ts';

/** Calls of one case in one round. Those that write to a store take longer. */
const CALLS = 20_000;
const WRITING_CALLS = 2_000;
/** The most that a call may cost beside checking the same input alone (microseconds). */
const MOST_MICROSECONDS = 20;

const schema = z.object({
  city: z.string().max(100),
  days: z.int().min(1).max(14),
  units: z.enum(['metric', 'imperial']),
});
type Input = z.output<typeof schema>;
const input: Input = { city: 'Ulaanbaatar', days: 3, units: 'metric' };

/** What the tool does: as good as nothing. */
async function work({ city, days }: Input): Promise<{ city: string; degrees: number[] }> {
  return { city, degrees: [days, 2, 3] };
}

const about = { description: 'Tells the weather of a city.', input: schema, execute: work };
const tools = [
  defineTool({ name: 'plain', ...about }),
  defineTool({ name: 'cached', ...about, cache: { ttlMs: 3_600_000 } }),
  defineTool({ name: 'limited', ...about, rateLimit: { calls: 1e9, perMs: 3_600_000 } }),
];

async function openEngine(context: Context, options: EngineOptions): Promise<ContextEngine> {
  const url = context.store ?? `file:${join(await context.temporaryFolder(), 'tools.db')}`;
  const engine = context.resources.use(await ContextEngine.open(url, options));
  engine.tools.register(tools);
  await engine.sessions.getOrCreate({ id: 'bench-tools', userId: 'bench' });
  return engine;
}

/** Microseconds of one call, one after another. */
async function perCall(calls: number, call: () => unknown): Promise<number> {
  const started = performance.now();
  for (let i = 0; i < calls; i++) await call();
  return ((performance.now() - started) * 1000) / calls;
}

async function succeeding(engine: ContextEngine, name: string, options?: ToolCallOptions): Promise<void> {
  const { success, error } = await engine.tools.execute(name, input, options);
  if (!success) throw new Error(`${name}: ${error.code}`);
}

const PARSE = 'zod parse of the input';

function casesOf(engine: ContextEngine, watched: ContextEngine): Case[] {
  const of = (name: string, call: () => unknown, calls = CALLS): Case => ({
    name,
    run: () => perCall(calls, call),
  });
  return [
    of('direct call', () => work(input)),
    of(PARSE, () => schema.parse(input)),
    of('execute', () => succeeding(engine, 'plain')),
    of('execute, monitored', () => succeeding(watched, 'plain')),
    of('execute, for a user', () => succeeding(engine, 'plain', { userId: 'ada', toolCallId: 'c1' })),
    of('execute, cache hit', () => succeeding(engine, 'cached')),
    of('execute, rate limit', () => succeeding(engine, 'limited'), WRITING_CALLS),
    of(
      'execute, recorded in a session',
      () => succeeding(engine, 'plain', { sessionId: 'bench-tools' }),
      WRITING_CALLS,
    ),
  ];
}

const bench: Bench = {
  name: 'tools',
  summary: 'microseconds that tools.execute adds to a call, beside a parse of the same input',
  store: 'memory:',

  async run(context): Promise<Row[]> {
    const quiet = { maintenanceIntervalMs: 0 };
    const engine = await openEngine(context, { ...quiet, monitor: { enabled: false } });
    const watched = await openEngine(context, quiet);
    const cases = casesOf(engine, watched);
    const rounds = await interleave(cases, { rounds: 7, warmups: 2, progress: context.progress });
    return cases.map(({ name }) => {
      const target = name === 'execute' ? ({ atMost: MOST_MICROSECONDS, of: 'value' } as const) : undefined;
      return rounds.row(name, 'µs/call', name === PARSE ? undefined : PARSE, target);
    });
  },
};

export default bench;
