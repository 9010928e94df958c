import { setTimeout as delay } from 'node:timers/promises';
import type { MonitorSnapshot } from '../../core/monitor/snapshot.ts';
import type { Cli } from '../cli.ts';
import { type Define, examples, wholeNumber } from '../help.ts';
import { count, facts, safeLine, size, table, when } from '../text.ts';

interface Options {
  url?: string;
  watch?: number | true;
}

const WATCH_SECONDS = 5;
/** A server that is asked has so long to answer. */
const TIMEOUT_MS = 30_000;
/** The first count of a large store takes long, and a person waits for it. */
const COUNT_MS = 10 * 60_000;

export const monitorCommand: Define = (program, run) => {
  program
    .command('monitor')
    .summary('show how an engine is doing')
    .description(
      'Shows how an engine is doing: what it holds, how fast and how long it works, what waits, a score, and what would\n' +
        'help. Of a running server with --url; without it of the store, opened for this: its counts begin now.',
    )
    .option('--url <url>', 'the server to ask, such as http://127.0.0.1:7420')
    .option(
      '--watch [seconds]',
      `go on, every so many seconds (${WATCH_SECONDS}), until it is stopped`,
      wholeNumber,
    )
    .addHelpText(
      'after',
      examples([
        ['holdfast monitor --url http://127.0.0.1:7420', 'how is the server?'],
        ['holdfast monitor --url http://127.0.0.1:7420 --watch 2', 'and how does it go on?'],
        ['holdfast monitor --json', 'what the store holds, for scripts'],
      ]),
    )
    .action(
      run<Options>(async (cli, _args, { url, watch }) => {
        if (url !== undefined) await show(cli, () => ask(cli, url), watch);
        else
          await cli.withEngine(({ engine }) =>
            show(cli, () => engine.monitor.snapshot({ waitMs: COUNT_MS }), watch),
          );
        return undefined;
      }),
    );
};

async function show(
  cli: Cli,
  look: () => Promise<MonitorSnapshot>,
  watch: number | true | undefined,
): Promise<void> {
  for (;;) {
    const snapshot = await look();
    if (cli.json) cli.out.json(snapshot);
    else for (const line of lines(snapshot)) cli.out.line(line);
    if (watch === undefined) return;
    if (!cli.json) cli.out.line();
    await delay((watch === true ? WATCH_SECONDS : Math.max(1, watch)) * 1000);
  }
}

/** @throws StoreUnavailableError where nobody answers there, or somebody else */
async function ask(cli: Cli, url: string): Promise<MonitorSnapshot> {
  const { StoreUnavailableError } = await import('../../core/errors.ts');
  const { config, sources } = await cli.settings();
  // The server has a tenant of its own: another one is asked for only where it was named.
  const tenant = sources.tenant.from === 'default' ? {} : { 'holdfast-tenant': config.tenant };
  const hint = 'Start one with `holdfast serve`, or look at the address.';
  try {
    // It may be behind a proxy, below a path of its own.
    const answer = await fetch(new URL('v1/monitor', url.endsWith('/') ? url : `${url}/`), {
      headers: tenant,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!answer.ok)
      throw new StoreUnavailableError(`the server answers with status ${answer.status}`, { hint });
    return (await answer.json()) as MonitorSnapshot;
  } catch (cause) {
    if (cause instanceof StoreUnavailableError) throw cause;
    throw new StoreUnavailableError('no server answers there', { cause, hint });
  }
}

function lines(snapshot: MonitorSnapshot): string[] {
  const { health, recommendations } = snapshot;
  const weak = health.parts.filter(({ score }) => score < 100).map(({ name, score }) => `${name} ${score}`);
  return [
    ...facts([
      ['at', when(snapshot.at)],
      ['score', `${health.score} of 100${weak.length > 0 ? ` (${weak.join(', ')})` : ''}`],
      ...totalLines(snapshot),
      ...workLines(snapshot),
      ...processLines(snapshot),
    ]),
    ...latencyLines(snapshot),
    ...recommendations.map(({ setting, reason, advice }) => `→ ${setting}: ${safeLine(reason)}. ${advice}`),
  ];
}

function totalLines({ totals }: MonitorSnapshot): [string, string][] {
  if (!totals) return [['totals', 'not counted yet']];
  const { sessions, activeSessions, messages, memories, complete } = totals;
  const least = complete ? '' : 'at least ';
  return [
    ['sessions', `${least}${count(sessions)}, ${count(activeSessions)} of them active`],
    ['messages', `${least}${count(messages)}`],
    ['memories', `${least}${count(memories)}`],
  ];
}

function workLines(snapshot: MonitorSnapshot): [string, string][] {
  const { rates, queues, lags, store, promptCache, toolCache, errors } = snapshot;
  const waiting = Object.values(queues.background).reduce((sum, { queued }) => sum + queued, 0);
  const failed = Object.entries(errors).map(([code, number]) => `${count(number)} ${code}`);
  const { groups } = store;
  return [
    [
      'a second',
      `${rates.callsPerSecond.toFixed(1)} calls, ${rates.commitsPerSecond.toFixed(1)} commits, ${rates.messagesPerSecond.toFixed(1)} messages`,
    ],
    [
      'waiting',
      `${count(queues.waitingCommits)} commits, ${count(waiting)} jobs, ${count(queues.index)} to index`,
    ],
    [
      'journal lag',
      lags ? `${(lags.journalMs / 1000).toFixed(1)} s` : 'not known: the store can not be read',
    ],
    ...(groups && groups.groups > 0
      ? [['batches a group', groups.meanBatches.toFixed(1)] as [string, string]]
      : []),
    ...(promptCache
      ? [['prompt cache hits', `${(promptCache.hitRate * 100).toFixed(1)} %`] as [string, string]]
      : []),
    ...(toolCache
      ? [['tool cache hits', `${(toolCache.hitRate * 100).toFixed(1)} %`] as [string, string]]
      : []),
    ...(failed.length > 0 ? [['failed calls', failed.join(', ')] as [string, string]] : []),
  ];
}

function processLines({ process: { memory, eventLoop, cpu } }: MonitorSnapshot): [string, string][] {
  return [
    [
      'memory',
      `${size(memory.rssBytes)}, heap ${size(memory.heapUsedBytes)} of ${size(memory.heapLimitBytes)}`,
    ],
    [
      'event loop delay',
      `${eventLoop.delayP99Ms.toFixed(1)} ms (p99), ${eventLoop.delayMaxMs.toFixed(1)} ms at most`,
    ],
    ['cpu', `${(cpu * 100).toFixed(0)} % of a core`],
  ];
}

/** The calls that came most often, with those of the store. */
function latencyLines({ calls, operations, store }: MonitorSnapshot): string[] {
  const all = [
    ...Object.entries(calls),
    ...Object.entries(operations),
    ...Object.entries(store.calls).map(([verb, call]) => [`store.${verb}`, call] as const),
  ];
  if (all.length === 0) return [];
  const rows = all
    .sort(([, a], [, b]) => b.count - a.count)
    .slice(0, 15)
    .map(([name, { count: calls, p50Ms, p95Ms, p99Ms, maxMs }]) => [
      safeLine(name),
      count(calls),
      ...[p50Ms, p95Ms, p99Ms, maxMs].map((ms) => ms.toFixed(2)),
    ]);
  const right = true;
  const heads = ['count', 'p50 ms', 'p95 ms', 'p99 ms', 'max ms'].map((head) => ({ head, right }));
  return ['', ...table([{ head: 'call' }, ...heads], rows)];
}
