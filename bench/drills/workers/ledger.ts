import type { Cursor, Store } from '../../../src/core/store.ts';

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

/** Follows the journal from a cursor that it saves, and notes which seqs of the session's messages it was told of. */
export class Consumer {
  skipped = 0;
  twice = 0;
  #cursor: Cursor | 'oldest' = 'oldest';
  #told = 0;
  readonly #session: string;

  constructor(session: string) {
    this.#session = session;
  }

  async follow(store: Store): Promise<void> {
    for (;;) {
      const { changes, cursor } = await store.readChanges(this.#cursor, 100);
      if (changes.length === 0) return;
      for (const { partition, operations } of changes) {
        if (partition.id !== this.#session) continue;
        for (const change of operations) {
          if (change.op === 'append' && change.log === 'messages') this.#note(change.firstSeq, change.count);
        }
      }
      this.#cursor = cursor;
    }
  }

  #note(first: number, count: number): void {
    this.skipped += Math.max(0, first - this.#told - 1);
    this.twice += Math.max(0, this.#told - first + 1);
    this.#told = Math.max(this.#told, first + count - 1);
  }

  /** To be called at the end: what was never told was skipped, too. */
  end(lastSeq: number): void {
    this.skipped += lastSeq - this.#told;
  }
}
