import { type Clock, systemClock } from './clock.ts';
import { BackgroundWork } from './concurrency/background.ts';
import { Tally } from './concurrency/tally.ts';
import type { EngineOptions } from './engine-options.ts';
import { HealthService } from './health/health.ts';
import { Recovery } from './health/recovery.ts';
import { EngineLog } from './logger.ts';
import { Instruments } from './monitor/instruments.ts';
import { TextIndex } from './search/text-index.ts';
import type { Store } from './store.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** What an engine shares with its views of tenants: the store, and what there is once for all of it. */
export class Foundation {
  readonly options: EngineOptions;
  readonly clock: Clock;
  /** As services are to use it: watched, where monitoring is on. */
  readonly store: Store;
  /** Undefined where monitoring is switched off. */
  readonly instruments: Instruments | undefined;
  readonly background: BackgroundWork;
  readonly textIndex: TextIndex;
  readonly health: HealthService;
  /** Hears of failures that are no tenant's. */
  readonly onError: (error: unknown) => void;
  readonly maintenanceIntervalMs: number;
  readonly journalKeepMs: number;

  constructor(store: Store, options: EngineOptions, tenant: string) {
    const {
      clock = systemClock,
      logger,
      maintenanceIntervalMs = 60_000,
      journalKeepMs = 7 * DAY_MS,
    } = options;
    const log = new EngineLog(logger, tenant);
    this.options = options;
    this.clock = clock;
    this.maintenanceIntervalMs = maintenanceIntervalMs;
    this.journalKeepMs = journalKeepMs;
    this.onError = this.onErrorOf(log);
    this.instruments = options.monitor?.enabled === false ? undefined : new Instruments(store);
    this.store = this.instruments?.store ?? store;
    this.background = new BackgroundWork(new Tally(clock), options.concurrency?.maxCompactions);
    const { onError, background } = this;
    this.textIndex = new TextIndex(this.store, { ...options, clock, onError, background });
    this.health = this.#makeHealth(log);
  }

  /** What hears of a tenant's failures in the background. */
  onErrorOf(log: EngineLog): (error: unknown) => void {
    return this.options.onError ?? (log.isOn ? (error) => log.failed(error) : warn);
  }

  #makeHealth(log: EngineLog): HealthService {
    const { store, clock, journalKeepMs, onError, instruments } = this;
    const recovery = new Recovery(store, this.textIndex, onError);
    const health = new HealthService(
      { store, recovery, process: instruments?.process, clock, journalKeepMs, onError },
      this.options.health,
    );
    if (instruments) instruments.meter.onUnavailable = () => health.doubt();
    health.onChange(({ status, reasons }, before) =>
      log[status === 'healthy' ? 'info' : 'warn']({ status, before, reasons }, 'health changed'),
    );
    return health;
  }
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error), 'HoldfastWarning');
}
