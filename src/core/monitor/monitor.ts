import { z } from 'zod';
import { before } from '../before.ts';
import type { ConcurrencyController, ConcurrencyStats } from '../concurrency/controller.ts';
import { ClosedError, UnsupportedError } from '../errors.ts';
import { idSchema, parseInput } from '../input.ts';
import type { ServiceContext } from '../services.ts';
import type { StoreHealth } from '../store.ts';
import { MAX_TIMER_MS } from '../store-options.ts';
import { timed } from '../timed.ts';
import { Census } from './census.ts';
import type { Instruments } from './instruments.ts';
import { type Lags, readLags, sureMs } from './lags.ts';
import type { Meter } from './meter.ts';
import { observe } from './observed.ts';
import { OperationTimer } from './operation-timer.ts';
import type { MonitorOptions } from './options.ts';
import type { ProcessFacts } from './process.ts';
import { PrometheusText } from './prometheus.ts';
import { recommend, type Situation } from './recommendations.ts';
import { Sampler } from './sampler.ts';
import { type Score, scoreOf } from './score.ts';
import type { CacheSummary, MonitorSample, MonitorSnapshot, Queues } from './snapshot.ts';
import { rates, storeSummary, summaries } from './summaries.ts';

/** Names of operations beyond these are timed together. */
const MAX_OPERATIONS = 100;
const OTHERS = 'other';

/** A store that has not answered by then can't be read (milliseconds): Prometheus waits ten seconds for a scrape. */
const LOOK_MS = 5000;

const snapshotSchema = z.strictObject({ waitMs: z.number().min(0).max(MAX_TIMER_MS).optional() });

export interface SnapshotOptions {
  /**
   * How long to wait for totals that are counted just now (milliseconds; 1000). The first count of a large store takes
   * longer: until it is done there are no totals, and after that those of the last count.
   */
  waitMs?: number | undefined;
}

/** What the monitor looks at besides what its instruments tell. */
export interface Monitored {
  readonly concurrency: ConcurrencyController;
  /** How many stretches of logs wait for their tokens to be counted, and partitions for the text index. */
  waiting(): { tokens: number; index: number };
  toolCache(): CacheSummary | undefined;
  readonly maintenanceIntervalMs: number;
  /** Aborted when the engine closes. */
  readonly closing: AbortSignal;
}

/** What was read of the store for one snapshot. */
interface StoreLook {
  health?: StoreHealth;
  lags?: Lags;
}

/** How an engine is doing: counts, latencies, queues, lags, the process, a score, and what would help. */
export class MonitorService {
  readonly #context: ServiceContext;
  /** Undefined where monitoring is switched off. */
  readonly #instruments: Instruments | undefined;
  readonly #monitored: Monitored;
  readonly #census: Census | undefined;
  #prometheus: PrometheusText | undefined;
  /** One for all tenants. */
  readonly #sampler: Sampler | undefined;
  readonly #owner: boolean;
  readonly #unobserve: (() => void) | undefined;
  /** Asked beside the watch on services: looking is no call of a user's. */
  readonly #work: () => ConcurrencyStats;

  /** @param root the monitor of the engine that was opened, for that of a tenant's view */
  constructor(
    context: ServiceContext,
    instruments: Instruments | undefined,
    {
      options = {},
      root,
      ...monitored
    }: Monitored & { options?: MonitorOptions | undefined; root?: MonitorService | undefined },
  ) {
    this.#context = context;
    this.#instruments = instruments;
    this.#monitored = monitored;
    this.#owner = root === undefined;
    const { concurrency } = monitored;
    this.#work = root ? root.#work : concurrency.stats.bind(concurrency);
    if (!instruments) return;
    const { tenant, clock } = context;
    this.#census = new Census(instruments.bare, { tenant, clock });
    const { sampleIntervalMs: intervalMs = 60_000, historySize: size = 60 } = options;
    this.#sampler = root ? root.#sampler : new Sampler(() => this.#sample(), { intervalMs, size });
    if (root) return;
    const { meter, telemetry } = instruments;
    this.#unobserve = observe(telemetry.meter, { meter, snapshot: () => this.snapshot() });
  }

  /**
   * How the engine is doing now.
   * @throws UnsupportedError where monitoring is switched off, ClosedError
   */
  async snapshot(options: SnapshotOptions = {}): Promise<MonitorSnapshot> {
    const { waitMs = 1000 } = parseInput(snapshotSchema, options, 'monitor.snapshot');
    const { meter, bare } = this.#open();
    const [look] = await Promise.all([this.#look(), this.#count(waitMs)]);
    const { clock, tenant } = this.#context;
    const facts = this.#process();
    const situation = this.#situation(look, facts);
    const { input, cached } = meter.promptTokens;
    const { totals } = this.#census!;
    const toolCache = this.#monitored.toolCache();
    return {
      at: clock.now(),
      tenant,
      openForMs: performance.now() - meter.startedAt,
      ...(totals && { totals }),
      rates: rates(meter),
      calls: summaries(meter.calls),
      operations: summaries(meter.operations),
      store: storeSummary(bare, meter),
      ...(input > 0 && {
        promptCache: { inputTokens: input, cachedTokens: cached, hitRate: cached / input },
      }),
      ...(toolCache && { toolCache }),
      queues: this.#queues(),
      ...(look.lags && { lags: look.lags }),
      process: facts,
      errors: Object.fromEntries(meter.errors),
      health: scoreOf(situation),
      recommendations: recommend(situation),
    };
  }

  /** How healthy the engine is, from 0 to 100, and what that is made of: docs/monitoring.md. @throws as `snapshot` */
  async score(): Promise<Score> {
    this.#open();
    return scoreOf(this.#situation(await this.#look(), this.#process()));
  }

  /** The last samples, the oldest first: one each `sampleIntervalMs`, of all tenants together. @throws as `snapshot` */
  history(): MonitorSample[] {
    this.#open();
    return this.#sampler!.samples;
  }

  /**
   * Times an operation of your own until it is stopped or disposed of; it shows among `operations`, in Prometheus and in
   * a span. Of more than 100 names those that come last are timed together, as `other`.
   * @throws InvalidInputError, UnsupportedError, ClosedError
   */
  operationTimer(name: string): OperationTimer {
    const { meter, telemetry } = this.#open();
    parseInput(idSchema, name, 'monitor.operationTimer: name');
    const known = meter.operations.has(name) || meter.operations.size < MAX_OPERATIONS;
    const counted = known ? name : OTHERS;
    const series = meter.operation(counted);
    series.begin();
    const endSpan = telemetry.startOperation(counted);
    return new OperationTimer(name, (durationMs, outcome) => {
      series.count(outcome);
      series.time(durationMs, 1);
      endSpan(durationMs, outcome);
    });
  }

  /** The snapshot in the text format of Prometheus, for a scrape. @throws as `snapshot` */
  async prometheus(): Promise<{ contentType: string; text: string }> {
    const snapshot = await this.snapshot();
    // Views of tenants are many, and few of them are scraped.
    this.#prometheus ??= new PrometheusText(this.#open());
    return this.#prometheus.of(snapshot);
  }

  async close(): Promise<void> {
    this.#unobserve?.();
    await this.#census?.close();
    if (!this.#owner) return;
    await this.#sampler?.close();
    this.#instruments?.close();
  }

  #open(): Instruments {
    if (this.#monitored.closing.aborted) throw new ClosedError('engine');
    if (!this.#instruments)
      throw new UnsupportedError('monitoring is switched off', {
        hint: 'Open the engine without `monitor: { enabled: false }`.',
      });
    return this.#instruments;
  }

  #process(): ProcessFacts {
    return this.#instruments!.process.read();
  }

  async #count(waitMs: number): Promise<void> {
    // A store that is away is seen elsewhere: the totals are then those of the last count.
    const counted = this.#census!.count().catch(() => undefined);
    await before(performance.now() + waitMs, counted);
  }

  async #look(): Promise<StoreLook> {
    const { bare } = this.#instruments!;
    const { tenant, clock } = this.#context;
    const limits = { timeoutMs: LOOK_MS, signal: this.#monitored.closing };
    const [health, lags] = await Promise.allSettled([
      timed(() => bare.health(), limits),
      timed((signal) => readLags(bare, tenant, { now: clock.now(), signal }), limits),
    ]);
    return {
      ...(health.status === 'fulfilled' && { health: health.value }),
      ...(lags.status === 'fulfilled' && { lags: lags.value }),
    };
  }

  #queues(): Queues {
    const { meter, bare } = this.#instruments!;
    const { kinds } = this.#work();
    return {
      commits: meter.commitsUnderWay,
      waitingCommits: bare.groups?.waiting ?? 0,
      ...this.#monitored.waiting(),
      background: Object.fromEntries(
        Object.entries(kinds).map(([name, { running, queued }]) => [name, { running, queued }]),
      ),
    };
  }

  #situation({ health, lags }: StoreLook, { memory, eventLoop }: ProcessFacts): Situation {
    const { meter, bare } = this.#instruments!;
    const { maintenanceIntervalMs } = this.#monitored;
    const { maxConcurrent, queued, kinds } = this.#work();
    const jobs = kinds.job ?? { queued: 0, running: 0, refused: 0 };
    const heapShare = memory.heapUsedBytes / memory.heapLimitBytes;
    const slowest = lags?.consumers.map((one) => ({ name: one.name, lagMs: sureMs(one) }));
    slowest?.sort((a, b) => b.lagMs - a.lagMs);
    return {
      storeReadable: health !== undefined && lags !== undefined,
      ...faultsOf(meter),
      commitP50Ms: meter.recentCommits.percentile(50),
      commitP99Ms: meter.recentCommits.percentile(99),
      queued: meter.commitsUnderWay + queued,
      lagMs: lags?.journalMs ?? 0,
      indexMs: lags?.index ? sureMs(lags.index) : 0,
      slowest: slowest?.[0],
      heapShare,
      memoryShare: Math.max(heapShare, memory.limitBytes ? memory.rssBytes / memory.limitBytes : 0),
      eventLoopDelayMs: eventLoop.delayP99Ms,
      utilization: eventLoop.utilization,
      store: bare.name,
      hasFallback: health?.facts.fallback !== undefined,
      durability: health?.facts.durability as string | undefined,
      jobs,
      maxConcurrent,
      maintenanceIntervalMs,
    };
  }

  async #sample(): Promise<MonitorSample> {
    const { meter } = this.#instruments!;
    const look = await this.#look();
    const { memory, eventLoop } = this.#process();
    const situation = this.#situation(look, this.#process());
    return {
      at: this.#context.clock.now(),
      score: scoreOf(situation).score,
      rates: rates(meter),
      commitP50Ms: situation.commitP50Ms,
      commitP99Ms: situation.commitP99Ms,
      queued: situation.queued,
      ...(look.lags && { lagMs: look.lags.journalMs }),
      rssBytes: memory.rssBytes,
      heapUsedBytes: memory.heapUsedBytes,
      eventLoopDelayP99Ms: eventLoop.delayP99Ms,
    };
  }
}

function faultsOf({ rates }: Meter) {
  return { calls: rates.sum('calls'), faults: rates.sum('faults'), unavailable: rates.sum('unavailable') };
}
