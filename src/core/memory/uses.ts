import { isHoldfastError } from '../errors.ts';
import type { Owner } from './owner.ts';
import { used } from './retention.ts';
import type { Shelf } from './shelf.ts';

/** So many memories are written in one commit. */
const AT_ONCE = 100;
/** More than this is not gathered before it is written. */
const MAX_GATHERED = 10_000;

interface Use {
  times: number;
  at: number;
}

/**
 * Counts how often memories are used. A search must not be a write: uses are gathered, and written in the background. A
 * crash loses the last moments of them.
 */
export class Uses {
  readonly #shelf: Shelf;
  readonly #onError: (error: unknown) => void;
  #gathered = new Map<string, { owner: Owner; uses: Map<string, Use> }>();
  #count = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;

  constructor(shelf: Shelf, onError: (error: unknown) => void) {
    this.#shelf = shelf;
    this.#onError = onError;
  }

  note(owner: Owner, ids: readonly string[]): void {
    if (ids.length === 0) return;
    const at = this.#shelf.context.clock.now();
    const { uses } = this.#gathered.get(owner.key) ?? { uses: new Map<string, Use>() };
    this.#gathered.set(owner.key, { owner, uses });
    for (const id of ids) uses.set(id, { times: (uses.get(id)?.times ?? 0) + 1, at });
    this.#count += ids.length;
    if (this.#count >= MAX_GATHERED) void this.settled();
    else this.#timer ??= this.#later();
  }

  /** Resolves when all uses so far are written, or could not be. */
  async settled(): Promise<void> {
    while (this.#writing || this.#gathered.size > 0) {
      const write = () => this.#write();
      this.#writing ??= this.#shelf.context.background.track('memory', write).finally(() => {
        this.#writing = undefined;
      });
      await this.#writing;
    }
  }

  #later(): NodeJS.Timeout {
    const timer = setTimeout(() => void this.settled(), this.#shelf.settings.settleMs);
    // Counting alone is no reason for a process to stay alive.
    timer.unref();
    return timer;
  }

  /** What can't be written is let go: it must neither pile up nor fail a search. */
  async #write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const gathered = [...this.#gathered.values()];
    this.#gathered = new Map();
    this.#count = 0;
    for (const { owner, uses } of gathered) {
      const all = [...uses];
      for (let start = 0; start < all.length; start += AT_ONCE) {
        await this.#writeSome(owner, all.slice(start, start + AT_ONCE)).catch((error: unknown) => {
          // An engine that closes has closed its store, or is about to.
          if (isHoldfastError(error) && error.code === 'closed') return;
          this.#shelf.context.background.failing('memory', error);
          this.#onError(error);
        });
      }
    }
  }

  async #writeSome(owner: Owner, uses: readonly [id: string, use: Use][]): Promise<void> {
    await this.#shelf.transact(owner, async (transaction) => {
      const held = await transaction.load(uses.map(([id]) => id));
      for (const [i, [, { times, at }]] of uses.entries()) {
        const memory = held[i];
        if (memory) transaction.change(memory, { life: used(memory.life, times, at, this.#shelf.settings) });
      }
    });
  }
}
