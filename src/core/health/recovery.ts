import { ClosedError, UnsupportedError } from '../errors.ts';
import type { TextIndex } from '../search/text-index.ts';
import type { Store } from '../store.ts';
import { TookTooLong, timed } from '../timed.ts';

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
  readonly #closing = new AbortController();

  /** @param onError hears of what fails after nobody waited for it any more */
  constructor(store: Store, index: TextIndex, onError: (error: unknown) => void) {
    this.#store = store;
    this.#index = index;
    this.#onError = onError;
  }

  /** @throws ClosedError also where it is closed meanwhile; what the action throws */
  async run(action: RecoveryAction, timeoutMs: number): Promise<RecoveryResult> {
    const start = performance.now();
    const work = this.#start(action);
    const since = () => Math.round(performance.now() - start);
    try {
      const message = await timed(() => work, { timeoutMs, signal: this.#closing.signal });
      return { action, done: true, message, durationMs: since() };
    } catch (error) {
      if (!(error instanceof TookTooLong)) throw error;
      work.catch((late: unknown) => this.#closing.signal.aborted || this.#onError(late));
      return {
        action,
        done: false,
        message: `goes on: ${timeoutMs} ms were not enough`,
        durationMs: since(),
      };
    }
  }

  /** Nobody waits any longer; what is under way ends with the store and the index. */
  close(): void {
    this.#closing.abort(new ClosedError('engine'));
  }

  #start(action: RecoveryAction): Promise<string> {
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
