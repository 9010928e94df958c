import { CursorExpiredError } from '../../core/errors.ts';
import type { Change, ChangePage, Cursor } from '../../core/store.ts';
import type { Cursors } from './cursor.ts';
import type { Keys } from './keys.ts';
import { mergeShards } from './merge.ts';
import { Pieces, readOperations } from './outcomes.ts';
import type { Servers } from './servers.ts';

/** Part of a shard's journal, and where the whole of it begins and ends. */
interface Stretch {
  /** Everything up to here was forgotten. */
  readonly trimmed: number;
  readonly last: number;
  /** Whether the journal has the position that was asked for. */
  readonly known: boolean;
  /** One after the other, from that position on. */
  readonly changes: readonly { readonly position: number; readonly text: string }[];
}

/** A change on its way into a page. */
interface Told {
  readonly shard: number;
  readonly position: number;
  /** Microseconds, by its server's clock. */
  readonly at: number;
  readonly text: string;
}

/**
 * The journal: a stream a shard, read as one. Changes are told in the order of their times, those of one shard in the
 * order they were made; reading on from any cursor of a page tells the rest of it, and what came since.
 */
export class Journal {
  readonly #servers: Servers;
  readonly #keys: Keys;
  readonly #cursors: Cursors;

  constructor(servers: Servers, keys: Keys, cursors: Cursors) {
    this.#servers = servers;
    this.#keys = keys;
    this.#cursors = cursors;
  }

  async read(after: Cursor | 'oldest' | 'newest', limit: number): Promise<ChangePage> {
    const start = after === 'oldest' || after === 'newest' ? undefined : this.#cursors.decode(after);
    if (after === 'newest' || limit === 0) {
      const ends = await this.#ends(start);
      const positions = start ?? ends.map(({ trimmed, last }) => (after === 'newest' ? last : trimmed));
      return { changes: [], cursor: this.#cursors.encode(positions) };
    }
    const positions: number[] = start ?? [];
    const told = await mergeShards<Told>(this.#keys.shards, limit, earlier, async (wanted) => {
      const asked = wanted.map(({ shard, last, count }) => {
        const position = last ? last.position : start?.[shard];
        return { shard, count, ...(position !== undefined && { after: position }) };
      });
      const found = await this.#stretches(asked);
      check(asked, found);
      return found.map(({ trimmed, changes }, i) => {
        const { shard, after: from = trimmed } = asked[i]!;
        if (wanted[i]!.last === undefined) positions[shard] = from;
        return changes.map(({ position, text }) => ({ shard, position, at: timeOf(text), text }));
      });
    });
    const changes = told.map((one) => {
      positions[one.shard] = one.position;
      return toChange(one.text, this.#cursors.encode(positions));
    });
    return { changes, cursor: this.#cursors.encode(positions) };
  }

  /** The last position of each shard. */
  async ends(): Promise<number[]> {
    return (await this.#ends()).map(({ last }) => last);
  }

  /** The positions of a cursor, and the last ones. @throws CursorExpiredError, InvalidInputError */
  async check(cursor: Cursor): Promise<{ positions: number[]; ends: number[] }> {
    const positions = this.#cursors.decode(cursor);
    const stretches = await this.#ends(positions);
    return { positions, ends: stretches.map(({ last }) => last) };
  }

  async trim(upTo: Cursor, keep: readonly Cursor[]): Promise<void> {
    const positions = this.#cursors.decode(upTo);
    const stretches = await this.#ends(positions);
    for (const cursor of keep) {
      const kept = this.#cursors.tryDecode(cursor);
      if (!kept || (await this.#stretches(asking(kept))).some(({ known }) => !known)) continue;
      for (const [shard, position] of kept.entries())
        positions[shard] = Math.min(positions[shard]!, position);
    }
    const trimming = positions.flatMap((position, shard) => {
      if (position <= stretches[shard]!.trimmed) return [];
      const { journal, receipts, receiptOrder } = keysOf(this.#keys, shard);
      const args = [String(position), String(position + 1)];
      const keys = [journal, receipts, receiptOrder];
      return [this.#servers.run('trim-journal', this.#keys.slots[shard]!, keys, args)];
    });
    await Promise.all(trimming);
  }

  /** Where each journal begins and ends. @throws CursorExpiredError where one does not have its position */
  async #ends(positions?: readonly number[]): Promise<Stretch[]> {
    const asked = positions
      ? asking(positions)
      : Array.from({ length: this.#keys.shards }, (_, shard) => ({ shard, count: 0 }));
    const stretches = await this.#stretches(asked);
    check(asked, stretches);
    return stretches;
  }

  /** Parts of journals, as many a call as there are that share a server. */
  async #stretches(asked: readonly Asked[]): Promise<Stretch[]> {
    if (asked.length === 0) return [];
    const calls = this.#servers.cluster ? asked.map((one) => [one]) : [asked];
    const replies = await Promise.all(
      calls.map((call) => {
        const keys = call.map(({ shard }) => this.#keys.journal(shard));
        const args = call.flatMap(({ after = '', count }) => [String(after), String(count)]);
        return this.#servers.run('read-journal', this.#keys.slots[call[0]!.shard]!, keys, args);
      }),
    );
    return replies.flatMap((reply) => readStretches(reply as (string | number)[]));
  }
}

interface Asked {
  readonly shard: number;
  /** The oldest that there is where absent. */
  readonly after?: number;
  readonly count: number;
}

/** Asks for no changes, but whether the journals have these positions. */
function asking(positions: readonly number[]): Asked[] {
  return positions.map((after, shard) => ({ shard, after, count: 0 }));
}

function keysOf(keys: Keys, shard: number) {
  return {
    journal: keys.journal(shard),
    receipts: keys.receipts(shard),
    receiptOrder: keys.receiptOrder(shard),
  };
}

function readStretches(reply: readonly (string | number)[]): Stretch[] {
  const stretches: Stretch[] = [];
  for (let at = 0; at < reply.length; ) {
    const [trimmed, last, known, count] = reply.slice(at, at + 4).map(Number) as [
      number,
      number,
      number,
      number,
    ];
    at += 4;
    const changes = Array.from({ length: count }, (_, i) => ({
      position: Number(reply[at + i * 2]),
      text: reply[at + i * 2 + 1] as string,
    }));
    stretches.push({ trimmed, last, known: known === 1, changes });
    at += count * 2;
  }
  return stretches;
}

/** @throws CursorExpiredError */
function check(asked: readonly Asked[], stretches: readonly Stretch[]): void {
  for (const [i, { trimmed, known }] of stretches.entries())
    if (!known) throw new CursorExpiredError({ after: asked[i]!.after, oldest: trimmed });
}

function earlier(a: Told, b: Told): number {
  return a.at - b.at || a.shard - b.shard;
}

/** A change is `tenant NUL type NUL id NUL batch id NUL time NUL operations`, the time in microseconds. */
function timeOf(text: string): number {
  return Number(text.split('\0', 5)[4]);
}

function toChange(text: string, cursor: Cursor): Change {
  const pieces = new Pieces(text);
  const [tenant = '', type = '', id = '', batchId = '', at = ''] = pieces.texts(5);
  const partition = { tenant, type, id };
  const change = { cursor, at: Math.floor(Number(at) / 1000), partition, operations: readOperations(pieces) };
  return batchId === '' ? change : { ...change, batchId };
}
