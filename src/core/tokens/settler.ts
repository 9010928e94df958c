import type { BackgroundWork } from '../concurrency/background.ts';
import { kinds } from '../partitions.ts';
import { type Partition, PROVISIONAL, type Store } from '../store.ts';
import type { TokenLedger } from './ledger.ts';

/** Counting waits until nothing was appended for so long: appends go first. */
const QUIET_MS = 25;
/** How many messages are counted at one go; about a millisecond of work. */
const SLICE = 128;

interface Due {
  partition: Partition;
  after: number;
}

/** Counts messages soon after they were appended, when there is nothing more urgent to do. */
export class TokenSettler {
  readonly #store: Store;
  readonly #ledger: TokenLedger;
  readonly #background: BackgroundWork;
  /** Where the uncounted stretches of logs begin: by log name, then by the id of the (one tenant's) session. */
  readonly #due = new Map<string, Map<string, Due>>();
  #timer: NodeJS.Timeout | undefined;
  #appends = 0;
  #working: Promise<void> | undefined;
  #closed = false;

  constructor(store: Store, ledger: TokenLedger, background: BackgroundWork) {
    this.#store = store;
    this.#ledger = ledger;
    this.#background = background;
  }

  /** To be called when messages from `firstSeq` on were appended. Costs next to nothing. */
  appended(partition: Partition, log: string, firstSeq: number): void {
    // Its place is not known yet: a window counts it when it is.
    if (firstSeq >= PROVISIONAL) return;
    const partitions = this.#due.get(log) ?? new Map<string, Due>();
    if (partitions.size === 0) this.#due.set(log, partitions);
    if (!partitions.has(partition.id)) partitions.set(partition.id, { partition, after: firstSeq - 1 });
    this.#appends++;
    if (!this.#timer) this.#schedule(QUIET_MS);
  }

  /** How many stretches of logs wait to be counted. */
  get waiting(): number {
    return [...this.#due.values()].reduce((sum, partitions) => sum + partitions.size, 0);
  }

  /** Resolves when everything that was appended is counted. */
  async settled(): Promise<void> {
    while (this.#due.size > 0 && !this.#closed) await this.#work();
    await this.#ledger.saved();
  }

  /** Stops counting; what is not counted is counted when a window needs it. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#working?.catch(ignore);
  }

  #schedule(ms: number): void {
    if (this.#closed) return;
    const before = this.#appends;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#appends !== before) this.#schedule(QUIET_MS);
      // A failure here is no loss: a window counts what it finds uncounted.
      else this.#work().then(() => this.#due.size > 0 && !this.#timer && this.#schedule(0), ignore);
    }, ms);
    // Counting alone is no reason for a process to stay alive.
    this.#timer.unref();
  }

  #work(): Promise<void> {
    this.#working ??= this.#background
      .track('counting', () => this.#slice())
      .finally(() => {
        this.#working = undefined;
      });
    return this.#working;
  }

  async #slice(): Promise<void> {
    for (const [log, partitions] of this.#due) {
      for (const [id, due] of partitions) {
        // What is appended from now on is due anew: this read may not see it.
        partitions.delete(id);
        const after = await this.#countFrom(due, log);
        if (after !== undefined) partitions.set(id, { ...due, after });
        return;
      }
      this.#due.delete(log);
    }
  }

  /** Counts a slice; gives where the next one begins, if there is more. */
  async #countFrom({ partition, after }: Due, log: string): Promise<number | undefined> {
    const [session] = await this.#store.getRecords([{ partition, kind: kinds.session, id: kinds.session }]);
    if (!session) return undefined;
    const { entries } = await this.#store.readLog(partition, log, { after, limit: SLICE });
    const source = { partition, log, sessionVersion: session.version };
    await this.#ledger.count(source, entries, await this.#ledger.counter());
    await this.#ledger.saved();
    return entries.length === SLICE ? entries.at(-1)!.seq : undefined;
  }
}

function ignore(): void {}
