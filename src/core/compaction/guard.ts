import { isUnavailable } from '../errors.ts';
import { kinds } from '../partitions.ts';
import type { Operation } from '../store.ts';
import { type CompactedLog, type CompactionLog, headId, isLostHead, putHead } from './compaction-log.ts';
import { withChange, withTouch } from './head.ts';

const MAX_ATTEMPTS = 32;

/**
 * Lets messages be changed: compactions that cover them no longer count from the same commit on, and their texts are
 * erased right after it. What was deleted must not live on in a summary.
 */
export class CompactionGuard {
  readonly #compactions: CompactionLog;

  constructor(compactions: CompactionLog) {
    this.#compactions = compactions;
  }

  /**
   * Runs a write that changes or takes away messages.
   * @param firstChanged the least seq that changes; only asked for where there are compactions. Undefined: none does
   * @param write commits, with the operations it is given
   */
  async changing<T>(
    at: CompactedLog,
    firstChanged: () => Promise<number | undefined>,
    write: (also: readonly Operation[]) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const { operations, erase } = await this.#operations(at, firstChanged);
      try {
        const result = await write(operations);
        // The next compaction does it where this fails.
        if (erase) await this.#compactions.erase(at).catch(() => undefined);
        return result;
      } catch (error) {
        if (!isLostHead(error) || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  }

  async #operations(
    at: CompactedLog,
    firstChanged: () => Promise<number | undefined>,
  ): Promise<{ operations: Operation[]; erase: boolean }> {
    const record = { kind: kinds.compaction, id: headId(at) };
    try {
      const found = await this.#compactions.head(at);
      if (!found) return { operations: [{ op: 'check', ...record, ifVersion: 'absent' }], erase: false };
      const { value: head, version } = found;
      const seq = await firstChanged();
      if (seq === undefined) return { operations: [], erase: false };
      if (seq <= head.covers) {
        const lastId = await this.#compactions.lastId(at);
        const changed = withTouch(withChange(head, lastId, seq, this.#compactions.context.clock.now()), seq);
        const counted = await this.#compactions.recounted(at, changed);
        return { operations: [putHead(at, counted, version)], erase: true };
      }
      if (head.lease) return { operations: [putHead(at, withTouch(head, seq), version)], erase: false };
      return { operations: [{ op: 'check', ...record, ifVersion: version }], erase: false };
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      // What can't be looked at can't be judged: without its head no compaction counts.
      return { operations: [{ op: 'delete', ...record }], erase: false };
    }
  }
}
