import type { EventService } from './events/events.ts';
import type { ServiceContext } from './services.ts';
import { sweepExpired } from './sessions/sweep.ts';

export interface MaintenanceOptions {
  /** 0: never by itself. */
  intervalMs: number;
  journalKeepMs: number;
  onError(error: unknown): void;
}

/** Regular housekeeping of a store: expired sessions of all tenants go, and what the journal need not keep any longer. */
export class Maintenance {
  readonly #context: ServiceContext;
  readonly #events: EventService;
  readonly #options: MaintenanceOptions;
  readonly #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(context: ServiceContext, events: EventService, options: MaintenanceOptions) {
    this.#context = context;
    this.#events = events;
    this.#options = options;
    if (options.intervalMs === 0) return;
    this.#timer = setInterval(() => this.run(), options.intervalMs);
    // Housekeeping alone is no reason for a process to stay alive.
    this.#timer.unref();
  }

  /** Does it now; at most one at a time. */
  run(): Promise<void> {
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  async #work(): Promise<void> {
    try {
      await sweepExpired(this.#context.store, undefined, this.#context.clock.now());
      await this.#events.trim({ keepMs: this.#options.journalKeepMs });
    } catch (error) {
      this.#options.onError(error);
    }
  }
}
