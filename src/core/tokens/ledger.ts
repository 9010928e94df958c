import { isConflict } from '../errors.ts';
import { decodeJson, encodeJson } from '../json.ts';
import { decodeMessage } from '../messages/codec.ts';
import { kinds } from '../partitions.ts';
import { type Entry, type Operation, type Partition, PROVISIONAL, type Store } from '../store.ts';
import type { TokenCounter, TokenCounters } from './counter.ts';
import { countMessage } from './message-tokens.ts';

/** Counts are stored by stretches of so many seqs, so that counting a message rewrites a small record. */
const STRETCH = 128;

/**
 * Counts of a stretch, one for each of its seqs: null where it was not counted yet, and with the entry's version where
 * that is not 1, since a rewritten entry is another text.
 */
type Stretch = (number | [version: number, tokens: number] | null)[];

/** Whose messages are counted. `sessionVersion` is the session's from before its entries were read. */
export interface CountedLog {
  partition: Partition;
  log: string;
  sessionVersion: number;
}

/** Token counts of a log's messages: counted once by each counter, stored beside the log, and given out by seq. */
export class TokenLedger {
  readonly #store: Store;
  readonly #counters: TokenCounters;
  readonly #saves = new Set<Promise<void>>();

  constructor(store: Store, counters: TokenCounters) {
    this.#store = store;
    this.#counters = counters;
  }

  counter(model?: string): Promise<TokenCounter> {
    return this.#counters.for(model);
  }

  /** The tokens of entries of one log, in their order; those not counted yet are counted now, and stored. */
  async count(
    { partition, log, sessionVersion }: CountedLog,
    entries: readonly Entry[],
    counter: TokenCounter,
  ): Promise<number[]> {
    if (entries.length === 0) return [];
    // Places that will not last: nothing is kept under them.
    if (entries[0]!.seq >= PROVISIONAL) return entries.map((entry) => countEntry(entry, counter));
    const starts = [...new Set(entries.map((entry) => startOf(entry.seq)))];
    const keys = starts.map((start) => ({ partition, ...recordOf(log, counter, start) }));
    const records = await this.#store.getRecords(keys);
    const stretches = new Map(
      starts.map((start, i) => [start, this.#open(records[i]?.value, records[i]?.version)]),
    );
    const counts = entries.map((entry) => {
      const start = startOf(entry.seq);
      const stretch = stretches.get(start)!;
      const place = entry.seq - start;
      const known = countOf(stretch.counts[place], entry.version);
      if (known !== undefined) return known;
      stretch.changed = true;
      const tokens = countEntry(entry, counter);
      stretch.counts[place] = entry.version === 1 ? tokens : [entry.version, tokens];
      return tokens;
    });
    const changed = [...stretches].filter(([, stretch]) => stretch.changed);
    if (changed.length > 0) this.#saveSoon({ partition, log, sessionVersion }, counter, changed);
    return counts;
  }

  #open(value: string | undefined, version: number | undefined) {
    return { counts: value === undefined ? [] : decodeJson<Stretch>(value), version, changed: false };
  }

  /**
   * Saves counts in the background: whoever reads need not wait for a write, nor fail with it. Counts that are not
   * saved are counted again.
   */
  #saveSoon(
    source: CountedLog,
    counter: TokenCounter,
    stretches: readonly [start: number, { counts: Stretch; version: number | undefined }][],
  ): void {
    const saving = this.#save(source, counter, stretches).catch(() => undefined);
    this.#saves.add(saving);
    saving.finally(() => this.#saves.delete(saving));
  }

  /** Resolves when the counts so far are saved, or could not be. */
  async saved(): Promise<void> {
    await Promise.all(this.#saves);
  }

  /**
   * Who loses a race has counted in vain: the winner's counts are as good. Nothing is saved to a session that was
   * deleted meanwhile, nor to one that was then made anew with the same id: its texts are others.
   */
  async #save(
    { partition, log, sessionVersion }: CountedLog,
    counter: TokenCounter,
    stretches: readonly [start: number, { counts: Stretch; version: number | undefined }][],
  ): Promise<void> {
    const check: Operation = {
      op: 'check',
      kind: kinds.session,
      id: kinds.session,
      ifVersion: sessionVersion,
    };
    const saves = stretches.map(async ([start, { counts, version }]) => {
      const value = encodeJson(
        Array.from(counts, (tokens) => tokens ?? null),
        'tokens',
      );
      const record = recordOf(log, counter, start);
      const put: Operation = { op: 'put', ...record, value, ifVersion: version ?? 'absent' };
      try {
        await this.#store.commit({ partition, operations: [check, put] });
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
    });
    await Promise.all(saves);
  }
}

function countEntry(entry: Entry, counter: TokenCounter): number {
  return countMessage(counter, decodeMessage(entry.value, entry.seq, ''));
}

function startOf(seq: number): number {
  return seq - (seq % STRETCH);
}

function recordOf(log: string, counter: TokenCounter, start: number): { kind: string; id: string } {
  return { kind: kinds.tokens, id: `${counter.name}/${start}/${log}` };
}

function countOf(stored: Stretch[number] | undefined, version: number): number | undefined {
  if (typeof stored === 'number') return version === 1 ? stored : undefined;
  return stored?.[0] === version ? stored[1] : undefined;
}
