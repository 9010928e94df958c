import { setTimeout as delay } from 'node:timers/promises';
import type { Cursor, Store } from '../../../src/core/store.ts';
import { isHoldfastError } from '../../../src/index.ts';

/** What became of the messages of one session, over all rounds. */
export class Ledger {
  acknowledged = 0;
  found = 0;
  lost = 0;
  doubled = 0;
  misordered = 0;
  #lastSeq = 0;

  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** Holds what was acknowledged in a round against what is there since the round before, in the log's order. */
  enter(acknowledged: readonly string[], found: readonly { seq: number; content: unknown }[]): void {
    const seen = new Set<unknown>();
    const next = new Map<string, number>();
    for (const { seq, content } of found) {
      const [lane, number] = String(content).split(' ') as [string, string];
      if (seen.has(content)) this.doubled++;
      else if (Number(number) !== (next.get(lane) ?? 0) || seq !== this.#lastSeq + 1) this.misordered++;
      seen.add(content);
      next.set(lane, Number(number) + 1);
      this.#lastSeq = seq;
    }
    this.acknowledged += acknowledged.length;
    this.found += found.length;
    this.lost += acknowledged.filter((content) => !seen.has(content)).length;
  }
}

/** Follows the journal from a cursor that it saves, and notes which seqs of the sessions' messages it was told of. */
export class Consumer {
  skipped = 0;
  twice = 0;
  #cursor: Cursor | 'oldest' = 'oldest';
  /** The last seq of each session that was told. */
  readonly #told: Map<string, number>;

  constructor(sessions: readonly string[]) {
    this.#told = new Map(sessions.map((session) => [session, 0]));
  }

  /** Follows to the journal's end. */
  async follow(store: Store): Promise<void> {
    for (;;) {
      const { changes, cursor } = await store.readChanges(this.#cursor, 1000);
      for (const { partition, operations } of changes) {
        for (const change of operations) {
          if (change.op === 'append' && change.log === 'messages')
            this.#note(partition.id, change.firstSeq, change.count);
        }
      }
      this.#cursor = cursor;
      if (changes.length === 0) return;
    }
  }

  /** Follows until it is stopped, also while the store can't be reached now and then. */
  async keepFollowing(store: Store, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      try {
        await this.follow(store);
        await store.waitForChanges(this.#cursor, stop);
      } catch (error) {
        if (stop.aborted) return;
        if (!isHoldfastError(error) || error.code !== 'store-unavailable') throw error;
        await delay(100);
      }
    }
  }

  /** To be called at the end: what was never told was skipped, too. */
  end(session: string, lastSeq: number): void {
    this.skipped += lastSeq - this.#told.get(session)!;
  }

  #note(session: string, first: number, count: number): void {
    const told = this.#told.get(session);
    if (told === undefined) return;
    this.skipped += Math.max(0, first - told - 1);
    this.twice += Math.max(0, told - first + 1);
    this.#told.set(session, Math.max(told, first + count - 1));
  }
}
