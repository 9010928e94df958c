import { type Metric, Registry } from 'prom-client';
import type { CommitGroups } from '../store.ts';
import type { Instruments } from './instruments.ts';
import { BUCKETS, type Latency } from './latency.ts';
import type { Meter } from './meter.ts';
import type { Series } from './series.ts';
import type { MonitorSnapshot } from './snapshot.ts';

type Labels = Readonly<Record<string, string>>;

/** One figure of a metric. */
interface Figure {
  readonly metricName?: string;
  readonly labels?: Labels;
  readonly value: number | undefined;
}

type Read = (snapshot: MonitorSnapshot) => readonly Figure[];

const one = (value: number | undefined): Figure[] => [{ value }];
const by = (label: string, values: Readonly<Record<string, number | undefined>>): Figure[] =>
  Object.entries(values).map(([name, value]) => ({ labels: { [label]: name }, value }));
const s = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000);

/** What goes up and down: name, what it is, and where it is in a snapshot. Labels have few values, and never ids. */
const GAUGES: readonly (readonly [name: string, help: string, read: Read])[] = [
  ['holdfast_sessions', 'Sessions of the tenant.', (x) => one(x.totals?.sessions)],
  [
    'holdfast_active_sessions',
    'Sessions of the tenant that are active.',
    (x) => one(x.totals?.activeSessions),
  ],
  ['holdfast_messages', 'Messages of the tenant.', (x) => one(x.totals?.messages)],
  ['holdfast_memories', 'Memories of the tenant.', (x) => one(x.totals?.memories)],
  ['holdfast_totals_timestamp_seconds', 'When the totals were counted.', (x) => one(s(x.totals?.asOf))],
  ['holdfast_health_score', 'How healthy the engine is, 0 to 100.', (x) => one(x.health.score)],
  [
    'holdfast_health_part_score',
    'The parts of the health score, 0 to 100.',
    (x) => x.health.parts.map(({ name, score }) => ({ labels: { part: name }, value: score })),
  ],
  ['holdfast_commits_in_progress', 'Commits that were not answered yet.', (x) => one(x.queues.commits)],
  [
    'holdfast_queue_depth',
    'What waits, by queue.',
    ({ queues: { waitingCommits, tokens, index, background } }) => {
      const kinds = Object.entries(background).map(([kind, { queued }]) => [kind, queued] as const);
      return by('queue', { commits: waitingCommits, tokens, index, ...Object.fromEntries(kinds) });
    },
  ],
  [
    'holdfast_background_running',
    'Work in the background, by kind.',
    ({ queues: { background } }) =>
      Object.entries(background).map(([kind, { running }]) => ({ labels: { kind }, value: running })),
  ],
  [
    'holdfast_journal_lag_seconds',
    'How far the slowest consumer of the journal is behind.',
    (x) => one(s(x.lags?.journalMs)),
  ],
  [
    'holdfast_index_behind_changes',
    'Changes that the text index may not have yet, counted up to a thousand or two.',
    (x) => one(x.lags?.index?.behind),
  ],
  ['holdfast_process_resident_memory_bytes', 'Memory of the process.', (x) => one(x.process.memory.rssBytes)],
  ['holdfast_process_heap_used_bytes', 'Heap in use.', (x) => one(x.process.memory.heapUsedBytes)],
  ['holdfast_process_heap_limit_bytes', 'Where the heap ends.', (x) => one(x.process.memory.heapLimitBytes)],
  ['holdfast_process_cpu_ratio', 'CPU time over time: 1 is one core.', (x) => one(x.process.cpu)],
  [
    'holdfast_event_loop_delay_seconds',
    'How late timers come, of the last half to whole minute.',
    ({ process: { eventLoop } }) =>
      by('quantile', {
        mean: s(eventLoop.delayMeanMs),
        '0.99': s(eventLoop.delayP99Ms),
        max: s(eventLoop.delayMaxMs),
      }),
  ],
  [
    'holdfast_event_loop_utilization_ratio',
    'The share of time in which the event loop was busy.',
    (x) => one(x.process.eventLoop.utilization),
  ],
];

/** What only goes up. */
const COUNTERS: readonly (readonly [
  name: string,
  help: string,
  read: (meter: Meter) => readonly Figure[],
])[] = [
  [
    'holdfast_errors_total',
    'Calls that failed, by error code.',
    ({ errors }) => by('code', Object.fromEntries(errors)),
  ],
  [
    'holdfast_calls_total',
    'Calls of services, by their outcome: ok, or an error code.',
    ({ calls }) => outcomes(calls, callLabels),
  ],
  [
    'holdfast_store_calls_total',
    'Calls of the store, by their outcome.',
    ({ store }) => outcomes(store, (verb) => ({ verb })),
  ],
  ['holdfast_messages_appended_total', 'Messages that were appended.', (x) => one(x.messages)],
  [
    'holdfast_batch_operations_total',
    'Operations in committed batches.',
    (x) => one(x.batchOperations.operations),
  ],
  [
    'holdfast_prompt_tokens_total',
    'Input tokens that were reported, by where they came from.',
    ({ promptTokens: { input, cached } }) => by('source', { cache: cached, input: input - cached }),
  ],
];

/** Latencies in seconds. */
const LATENCIES: readonly (readonly [
  name: string,
  help: string,
  read: (meter: Meter) => readonly (readonly [Labels, Latency])[],
])[] = [
  [
    'holdfast_call_duration_seconds',
    'How long calls of services took.',
    ({ calls }) => latencies(calls, callLabels),
  ],
  [
    'holdfast_store_call_duration_seconds',
    'How long calls of the store took.',
    ({ store }) => latencies(store, (verb) => ({ verb })),
  ],
  [
    'holdfast_operation_duration_seconds',
    'How long operations took that were timed by name.',
    ({ operations }) => latencies(operations, (name) => ({ name })),
  ],
];

/** The text that Prometheus scrapes, of one engine: it has a registry of its own, and leaves the global one alone. */
export class PrometheusText {
  readonly #registry = new Registry();
  #snapshot: MonitorSnapshot | undefined;

  constructor({ meter, bare }: Instruments) {
    for (const [name, help, read] of GAUGES)
      this.#add({ name, help, type: 'gauge' }, () => read(this.#snapshot!));
    for (const [name, help, read] of COUNTERS) this.#add({ name, help, type: 'counter' }, () => read(meter));
    for (const [name, help, read] of LATENCIES)
      this.#add({ name, help, type: 'histogram' }, () =>
        read(meter).flatMap(([labels, latency]) => histogramOf(name, labels, durations(latency))),
      );
    const name = 'holdfast_commit_group_batches';
    this.#add({ name, help: 'Batches that went out together.', type: 'histogram' }, () =>
      bare.groups ? histogramOf(name, {}, groupSizes(bare.groups)) : [],
    );
  }

  async of(snapshot: MonitorSnapshot): Promise<{ contentType: string; text: string }> {
    this.#snapshot = snapshot;
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  /** Metrics that are read when they are scraped: prom-client's own are written to, which costs each call more. */
  #add(metric: { name: string; help: string; type: string }, read: () => readonly Figure[]): void {
    const get = async () => ({ ...metric, values: read().filter(({ value }) => value !== undefined) });
    this.#registry.registerMetric({ ...metric, get } as unknown as Metric);
  }
}

/** What a histogram tells: how many were up to each bound, in all, and their sum. */
interface Distribution {
  readonly upTo: readonly (readonly [bound: number, count: number])[];
  readonly count: number;
  readonly sum: number;
}

function histogramOf(name: string, labels: Labels, { upTo, count, sum }: Distribution): Figure[] {
  const bucket = (le: string, value: number) => ({
    metricName: `${name}_bucket`,
    labels: { ...labels, le },
    value,
  });
  return [
    ...upTo.map(([bound, value]) => bucket(String(bound), value)),
    bucket('+Inf', count),
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ];
}

function durations(latency: Latency): Distribution {
  const counts = latency.cumulative();
  return {
    upTo: BUCKETS.map((bound, i) => [bound, counts[i]!]),
    count: latency.count,
    sum: latency.sumMs / 1000,
  };
}

function groupSizes({ groups, batches, sizes }: CommitGroups): Distribution {
  let upTo = 0;
  return {
    upTo: sizes.slice(0, -1).map((count, power) => {
      upTo += count;
      return [2 ** power, upTo];
    }),
    count: groups,
    sum: batches,
  };
}

function callLabels(name: string): Labels {
  const [service = '', verb = ''] = name.split('.');
  return { service, verb };
}

function outcomes<K>(all: ReadonlyMap<K, Series>, labelsOf: (name: K) => Labels): Figure[] {
  return [...all].flatMap(([name, series]) =>
    Object.entries(series.outcomes()).map(([outcome, value]) => ({
      labels: { ...labelsOf(name), outcome },
      value,
    })),
  );
}

function latencies<K>(
  all: ReadonlyMap<K, Series>,
  labelsOf: (name: K) => Labels,
): (readonly [Labels, Latency])[] {
  return [...all].map(([name, { latency }]) => [labelsOf(name), latency]);
}
