import { ClosedError, UnsupportedError } from '../errors.ts';
import type { TextIndex } from '../search/text-index.ts';
import type { Store } from '../store.ts';

export const recoveryActions = ['reconnect', 'replay-spool', 'catch-up-index', 'rebuild-index'] as const;
export type RecoveryAction = (typeof recoveryActions)[number];

export interface RecoveryResult {
  action: RecoveryAction;
  /** False where it took longer than it was waited for: it goes on. */
  done: boolean;
  /** What came of it, in a sentence. */
  message: string;
  durationMs: number;
}

/** Does what helps, once at a time each. */
export class Recovery {
  readonly #store: Store;
  readonly #index: TextIndex;
  readonly #onError: (error: unknown) => void;
  readonly #underWay = new Map<RecoveryAction, Promise<string>>();
  #closed = false;

  /** @param onError hears of what fails after nobody waited for it any more */
  constructor(store: Store, index: TextIndex, onError: (error: unknown) => void) {
    this.#store = store;
    this.#index = index;
    this.#onError = onError;
  }

  async run(action: RecoveryAction, timeoutMs: number): Promise<RecoveryResult> {
    const start = performance.now();
    const work = this.#start(action);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), timeoutMs);
    });
    try {
      const message = await Promise.race([work, late]);
      const durationMs = Math.round(performance.now() - start);
      if (message !== undefined) return { action, done: true, message, durationMs };
      work.catch((error: unknown) => this.#closed || this.#onError(error));
      return { action, done: false, message: `goes on: ${timeoutMs} ms were not enough`, durationMs };
    } finally {
      clearTimeout(timer);
    }
  }

  /** What is under way ends with the store and the index. */
  async close(): Promise<void> {
    this.#closed = true;
  }

  #start(action: RecoveryAction): Promise<string> {
    if (this.#closed) throw new ClosedError('engine');
    const known = this.#underWay.get(action);
    if (known) return known;
    const work = this.#do(action).finally(() => this.#underWay.delete(action));
    this.#underWay.set(action, work);
    return work;
  }

  async #do(action: RecoveryAction): Promise<string> {
    const { recovery } = this.#store;
    switch (action) {
      case 'reconnect':
        if (!recovery?.reconnect) throw this.#meaningless('has no server to reconnect to');
        await recovery.reconnect();
        return 'the store answers';
      case 'replay-spool': {
        if (!recovery?.replay) throw this.#meaningless('has no fallback, and so no spool');
        const left = await recovery.replay();
        return left === 0 ? 'the spool is empty' : `left in the spool: ${left}`;
      }
      case 'catch-up-index':
        this.#needsIndex();
        await this.#index.drain();
        return 'the index has what was committed';
      case 'rebuild-index':
        this.#needsIndex();
        await this.#index.rebuild();
        return 'everything is indexed anew';
    }
  }

  #needsIndex(): void {
    if (!this.#store.features.textSearch) throw this.#meaningless('has no full-text index');
  }

  #meaningless(why: string): UnsupportedError {
    return new UnsupportedError(`the store ${this.#store.name} ${why}`, {
      hint: 'health.report() says what is not well, and what helps.',
    });
  }
}
