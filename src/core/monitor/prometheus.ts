import { type Metric as PrometheusMetric, Registry } from 'prom-client';
import type { CommitGroups } from '../store.ts';
import { COUNTERS, type Figure, GAUGES, type Labels, type Metric } from './figures.ts';
import type { Instruments } from './instruments.ts';
import { BUCKETS, type Latency } from './latency.ts';
import type { Meter } from './meter.ts';
import type { Series } from './series.ts';
import type { MonitorSnapshot } from './snapshot.ts';

/** One figure of a metric, or of a part of it. */
interface Line extends Figure {
  readonly metricName?: string;
}

/** OpenTelemetry has these in its histograms of durations. */
const CALLS: readonly Metric[] = [
  {
    name: 'holdfast.calls',
    help: 'Calls of services, by their outcome: ok, or an error code.',
    read: (_, { calls }) => outcomes(calls, callLabels),
  },
  {
    name: 'holdfast.store.calls',
    help: 'Calls of the store, by their outcome.',
    read: (_, { store }) => outcomes(store, (verb) => ({ verb })),
  },
];

const UNITS = { s: '_seconds', By: '_bytes', '1': '_ratio' } as const;

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
    const add = (type: 'gauge' | 'counter', { name, unit, help, read }: Metric) => {
      const suffix = (unit ? UNITS[unit] : '') + (type === 'counter' ? '_total' : '');
      const metric = { name: name.replaceAll('.', '_') + suffix, help, type };
      this.#add(metric, () => read(this.#snapshot!, meter));
    };
    for (const metric of GAUGES) add('gauge', metric);
    for (const metric of [...COUNTERS, ...CALLS]) add('counter', metric);
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
  #add(metric: { name: string; help: string; type: string }, read: () => readonly Line[]): void {
    const get = async () => ({ ...metric, values: read().filter(({ value }) => value !== undefined) });
    this.#registry.registerMetric({ ...metric, get } as unknown as PrometheusMetric);
  }
}

/** What a histogram tells: how many were up to each bound, in all, and their sum. */
interface Distribution {
  readonly upTo: readonly (readonly [bound: number, count: number])[];
  readonly count: number;
  readonly sum: number;
}

function histogramOf(name: string, labels: Labels, { upTo, count, sum }: Distribution): Line[] {
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
