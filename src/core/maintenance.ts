import type { EventService } from './events/events.ts';
import type { SessionService } from './sessions/sessions.ts';

export interface MaintenanceOptions {
  /** 0: never by itself. */
  intervalMs: number;
  journalKeepMs: number;
  onError(error: unknown): void;
}

/** Regular housekeeping: expired sessions go, and what the journal need not keep any longer. */
export class Maintenance {
  readonly #services: { sessions: SessionService; events: EventService };
  readonly #options: MaintenanceOptions;
  readonly #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(services: { sessions: SessionService; events: EventService }, options: MaintenanceOptions) {
    this.#services = services;
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
      await this.#services.sessions.sweep();
      await this.#services.events.trim({ keepMs: this.#options.journalKeepMs });
    } catch (error) {
      this.#options.onError(error);
    }
  }
}
