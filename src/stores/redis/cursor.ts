import type { Cursor } from '../../core/store.ts';
import { badCursor } from '../shared/pages.ts';

/** What four bytes hold, at 7 bits each. */
const LOW = 0x80 ** 4;

/**
 * Cursors: the position in each shard's journal, as numbers of variable length behind the keyspace's id, so that the
 * cursor of another keyspace is not mistaken for one of this.
 */
export class Cursors {
  readonly #id: Buffer;
  readonly #shards: number;
  readonly #buffer: Buffer;

  /** @param id 8 hex digits */
  constructor(id: string, shards: number) {
    this.#id = Buffer.from(id, 'hex');
    this.#shards = shards;
    this.#buffer = Buffer.alloc(this.#id.length + shards * 8);
    this.#id.copy(this.#buffer);
  }

  encode(positions: ArrayLike<number>): Cursor {
    const buffer = this.#buffer;
    let end = this.#id.length;
    for (let shard = 0; shard < this.#shards; shard++) {
      const position = positions[shard]!;
      let rest = position;
      if (position >= LOW) {
        // In two parts that are integers of 32 bits: a page has a cursor for each of its changes.
        const low = (position % LOW) | 0;
        buffer[end++] = low | 0x80;
        buffer[end++] = (low >>> 7) | 0x80;
        buffer[end++] = (low >>> 14) | 0x80;
        buffer[end++] = (low >>> 21) | 0x80;
        rest = (position - low) / LOW;
      }
      for (rest |= 0; rest >= 0x80; rest >>>= 7) buffer[end++] = rest | 0x80;
      buffer[end++] = rest;
    }
    return buffer.toString('base64url', 0, end);
  }

  /** @throws InvalidInputError */
  decode(cursor: Cursor): number[] {
    const positions = this.tryDecode(cursor);
    if (!positions) throw badCursor();
    return positions;
  }

  /** Undefined for what this keyspace can't have given. */
  tryDecode(cursor: Cursor): number[] | undefined {
    if (typeof cursor !== 'string' || !/^[\w-]+$/.test(cursor)) return undefined;
    const bytes = Buffer.from(cursor, 'base64url');
    if (!bytes.subarray(0, this.#id.length).equals(this.#id)) return undefined;
    const positions: number[] = [];
    for (let at = this.#id.length; at < bytes.length; ) {
      let position = 0;
      let scale = 1;
      for (; bytes[at]! >= 0x80; at++, scale *= 0x80) position += (bytes[at]! & 0x7f) * scale;
      if (at >= bytes.length) return undefined;
      positions.push(position + bytes[at++]! * scale);
    }
    const whole = positions.length === this.#shards && positions.every(Number.isSafeInteger);
    return whole ? positions : undefined;
  }
}
