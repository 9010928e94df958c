/** What is told besides latencies, by name: the same for Prometheus and for OpenTelemetry. */
import type { Meter } from './meter.ts';
import type { MonitorSnapshot } from './snapshot.ts';

/** Few values, and never ids. */
export type Labels = Readonly<Record<string, string>>;

/** One figure of a metric. */
export interface Figure {
  readonly labels?: Labels;
  readonly value: number | undefined;
}

/** A metric whose figures are read when somebody asks. */
export interface Metric {
  /** As OpenTelemetry writes it, with dots. */
  readonly name: string;
  /** Seconds, bytes or a share; absent: a count. */
  readonly unit?: 's' | 'By' | '1';
  readonly help: string;
  read(snapshot: MonitorSnapshot, meter: Meter): readonly Figure[];
}

const one = (value: number | undefined): Figure[] => [{ value }];
const by = (label: string, values: Readonly<Record<string, number | undefined>>): Figure[] =>
  Object.entries(values).map(([name, value]) => ({ labels: { [label]: name }, value }));
const s = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000);
/** Part of a total would be taken for all of it. */
const total = ({ totals }: MonitorSnapshot, name: 'sessions' | 'activeSessions' | 'messages' | 'memories') =>
  one(totals?.complete ? totals[name] : undefined);

/** What goes up and down. */
export const GAUGES: readonly Metric[] = [
  { name: 'holdfast.sessions', help: 'Sessions of the tenant.', read: (x) => total(x, 'sessions') },
  {
    name: 'holdfast.active_sessions',
    help: 'Sessions of the tenant that are active.',
    read: (x) => total(x, 'activeSessions'),
  },
  { name: 'holdfast.messages', help: 'Messages of the tenant.', read: (x) => total(x, 'messages') },
  { name: 'holdfast.memories', help: 'Memories of the tenant.', read: (x) => total(x, 'memories') },
  {
    name: 'holdfast.totals.timestamp',
    unit: 's',
    help: 'When the totals were counted.',
    read: (x) => one(s(x.totals?.asOf)),
  },
  {
    name: 'holdfast.health.score',
    help: 'How healthy the engine is, 0 to 100.',
    read: (x) => one(x.health.score),
  },
  {
    name: 'holdfast.health.part_score',
    help: 'The parts of the health score, 0 to 100.',
    read: (x) => x.health.parts.map(({ name, score }) => ({ labels: { part: name }, value: score })),
  },
  {
    name: 'holdfast.commits.in_progress',
    help: 'Commits that were not answered yet.',
    read: (x) => one(x.queues.commits),
  },
  {
    name: 'holdfast.queue.depth',
    help: 'What waits, by queue.',
    read: ({ queues: { waitingCommits, tokens, index, background } }) => {
      const kinds = Object.entries(background).map(([kind, { queued }]) => [kind, queued] as const);
      return by('queue', { commits: waitingCommits, tokens, index, ...Object.fromEntries(kinds) });
    },
  },
  {
    name: 'holdfast.background.running',
    help: 'Work in the background, by kind.',
    read: ({ queues: { background } }) =>
      Object.entries(background).map(([kind, { running }]) => ({ labels: { kind }, value: running })),
  },
  {
    name: 'holdfast.journal.lag',
    unit: 's',
    help: 'How far the slowest consumer of the journal is behind.',
    read: (x) => one(s(x.lags?.journalMs)),
  },
  {
    name: 'holdfast.index.behind_changes',
    help: 'Changes that the text index may not have yet, counted up to a thousand or two.',
    read: (x) => one(x.lags?.index?.behind),
  },
  {
    name: 'holdfast.process.resident_memory',
    unit: 'By',
    help: 'Memory of the process.',
    read: (x) => one(x.process.memory.rssBytes),
  },
  {
    name: 'holdfast.process.heap_used',
    unit: 'By',
    help: 'Heap in use.',
    read: (x) => one(x.process.memory.heapUsedBytes),
  },
  {
    name: 'holdfast.process.heap_limit',
    unit: 'By',
    help: 'Where the heap ends.',
    read: (x) => one(x.process.memory.heapLimitBytes),
  },
  {
    name: 'holdfast.process.cpu',
    unit: '1',
    help: 'CPU time over time: 1 is one core.',
    read: (x) => one(x.process.cpu),
  },
  {
    name: 'holdfast.event_loop.delay',
    unit: 's',
    help: 'How late timers come, of the last half to whole minute.',
    read: ({ process: { eventLoop } }) =>
      by('stat', {
        mean: s(eventLoop.delayMeanMs),
        p99: s(eventLoop.delayP99Ms),
        max: s(eventLoop.delayMaxMs),
      }),
  },
  {
    name: 'holdfast.event_loop.utilization',
    unit: '1',
    help: 'The share of time in which the event loop was busy.',
    read: (x) => one(x.process.eventLoop.utilization),
  },
];

/** What only goes up. */
export const COUNTERS: readonly Metric[] = [
  {
    name: 'holdfast.errors',
    help: 'Calls that failed, by error code.',
    read: (_, { errors }) => by('code', Object.fromEntries(errors)),
  },
  {
    name: 'holdfast.messages.appended',
    help: 'Messages that were appended.',
    read: (_, { messages }) => one(messages),
  },
  {
    name: 'holdfast.batch.operations',
    help: 'Operations in the batches that were sent.',
    read: (_, { batchOperations }) => one(batchOperations.operations),
  },
  {
    name: 'holdfast.prompt.tokens',
    help: 'Input tokens that were reported, by where they came from.',
    read: (_, { promptTokens: { input, cached } }) => by('source', { cache: cached, input: input - cached }),
  },
  {
    name: 'holdfast.tool_cache.calls',
    help: 'Calls of tools with a cache, by whether the result came from it: hit or miss.',
    read: ({ toolCache }) => by('outcome', { hit: toolCache?.hits, miss: toolCache?.misses }),
  },
];
