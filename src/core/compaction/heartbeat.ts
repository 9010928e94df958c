import type { ServiceContext } from '../services.ts';
import { type CompactedLog, type CompactionLog, isLostHead } from './compaction-log.ts';

/** The right to make a compaction lasts so long: who dies with it stands in nobody's way for longer. */
export const LEASE_MS = 20_000;
const RENEW_MS = LEASE_MS / 4;

/** Holds the right to make a compaction for as long as it takes. */
export class Heartbeat implements Disposable {
  readonly #compactions: CompactionLog;
  readonly #clock: ServiceContext['clock'];
  readonly #at: CompactedLog;
  readonly #holder: string;
  readonly #lost = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #until: number;

  /** @param until when the right ends that was taken */
  constructor(compactions: CompactionLog, at: CompactedLog, holder: string, until: number) {
    this.#compactions = compactions;
    this.#clock = compactions.context.clock;
    this.#at = at;
    this.#holder = holder;
    this.#until = until;
    this.#timer = setInterval(() => void this.#beat(), RENEW_MS).unref();
  }

  /** Aborted when somebody else may have the right. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #beat(): Promise<void> {
    try {
      if (await this.#renew()) return;
    } catch {
      // A store that is away may be back for the next one.
      if (this.#clock.now() < this.#until) return;
    }
    this.#lost.abort();
    clearInterval(this.#timer);
  }

  /** @returns whether it is still ours */
  async #renew(): Promise<boolean> {
    const found = await this.#compactions.head(this.#at);
    const lease = found?.value.lease;
    if (!found || lease?.holder !== this.#holder) return false;
    const until = this.#clock.now() + LEASE_MS;
    try {
      await this.#compactions.write(this.#at, { ...found.value, lease: { ...lease, until } }, found.version);
      this.#until = until;
      return true;
    } catch (error) {
      if (!isLostHead(error)) throw error;
      return this.#renew();
    }
  }
}
