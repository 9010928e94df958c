import { isUnavailable } from './errors.ts';
import type { EventService } from './events/events.ts';
import type { TextIndex } from './search/text-index.ts';
import type { ServiceContext } from './services.ts';
import { sweepExpired } from './sessions/sweep.ts';

export interface MaintenanceOptions {
  /** 0: never by itself. */
  intervalMs: number;
  journalKeepMs: number;
  onError(error: unknown): void;
}

export interface MaintainedServices {
  readonly events: EventService;
  readonly textIndex: TextIndex;
  /** Memories that have ended or faded go. */
  sweepMemories(): Promise<void>;
}

/** Regular housekeeping of a store: expired sessions of all tenants go, the full-text index catches up, and
 * what the journal need not keep any longer goes. */
export class Maintenance {
  readonly #context: ServiceContext;
  readonly #services: MaintainedServices;
  readonly #options: MaintenanceOptions;
  readonly #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(context: ServiceContext, services: MaintainedServices, options: MaintenanceOptions) {
    this.#context = context;
    this.#services = services;
    this.#options = options;
    if (options.intervalMs === 0) return;
    this.#timer = setInterval(() => this.run(), options.intervalMs);
    // Housekeeping alone is no reason for a process to stay alive.
    this.#timer.unref();
  }

  /** Does it now; at most one at a time. */
  run(): Promise<void> {
    this.#running ??= this.#context.background
      .run('maintenance', () => this.#work())
      .catch(this.#options.onError)
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  /** A step that fails does not hold up the others, unless the store is away. */
  async #work(): Promise<void> {
    const failures: unknown[] = [];
    for (const step of [this.#sweep, () => this.#services.sweepMemories(), this.#catchUp]) {
      try {
        await step();
      } catch (error) {
        failures.push(error);
        if (isUnavailable(error)) break;
      }
    }
    const [first, ...others] = failures;
    for (const error of others) this.#options.onError(error);
    if (failures.length > 0) throw first;
  }

  readonly #sweep = async (): Promise<void> => {
    const { store, clock, log } = this.#context;
    const expired = await sweepExpired(store, undefined, clock.now());
    if (expired > 0) log.info({ expired }, 'sessions expired');
  };

  readonly #catchUp = async (): Promise<void> => {
    const { log } = this.#context;
    // What the index has not taken in must not be forgotten.
    await this.#services.textIndex.drain();
    log.debug({}, 'index caught up');
    const trimmed = await this.#services.events.trim({ keepMs: this.#options.journalKeepMs });
    log.debug({ trimmed: trimmed !== undefined }, 'sweep done');
  };
}
