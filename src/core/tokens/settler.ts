import type { Partition, Store } from '../store.ts';
import type { TokenLedger } from './ledger.ts';

/** Counting waits until nothing was appended for so long: appends go first. */
const QUIET_MS = 25;
/** How many messages are counted at one go; about a millisecond of work. */
const SLICE = 128;

/** Counts messages soon after they were appended, when there is nothing more urgent to do. */
export class TokenSettler {
  readonly #store: Store;
  readonly #ledger: TokenLedger;
  /** Where uncounted stretches of logs begin. */
  readonly #due = new Map<string, { partition: Partition; log: string; after: number }>();
  #timer: NodeJS.Timeout | undefined;
  #lastAppend = 0;
  #working: Promise<void> | undefined;
  #closed = false;

  constructor(store: Store, ledger: TokenLedger) {
    this.#store = store;
    this.#ledger = ledger;
  }

  /** To be called when messages from `firstSeq` on were appended. Costs next to nothing. */
  appended(partition: Partition, log: string, firstSeq: number): void {
    const key = `${partition.tenant}\0${partition.id}\0${log}`;
    if (!this.#due.has(key)) this.#due.set(key, { partition, log, after: firstSeq - 1 });
    this.#lastAppend = performance.now();
    this.#schedule(QUIET_MS);
  }

  /** Resolves when everything that was appended is counted. */
  async settled(): Promise<void> {
    while (this.#due.size > 0 && !this.#closed) await this.#work();
  }

  /** Stops counting; what is not counted is counted when a window needs it. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#working;
  }

  #schedule(ms: number): void {
    if (this.#timer || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const quietFor = performance.now() - this.#lastAppend;
      if (quietFor < QUIET_MS) this.#schedule(QUIET_MS - quietFor);
      // A failure here is no loss: a window counts what it finds uncounted.
      else
        this.#work().then(
          () => this.#due.size > 0 && this.#schedule(1),
          () => undefined,
        );
    }, ms);
    // Counting alone is no reason for a process to stay alive.
    this.#timer.unref();
  }

  #work(): Promise<void> {
    this.#working ??= this.#slice().finally(() => {
      this.#working = undefined;
    });
    return this.#working;
  }

  async #slice(): Promise<void> {
    const [key, due] = this.#due.entries().next().value ?? [];
    if (!key || !due) return;
    const { entries } = await this.#store.readLog(due.partition, due.log, { after: due.after, limit: SLICE });
    await this.#ledger.count(due.partition, due.log, entries, await this.#ledger.counter());
    if (entries.length < SLICE) this.#due.delete(key);
    else due.after = entries.at(-1)!.seq;
  }
}
