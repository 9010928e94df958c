import type { Partition } from '../../core/store.ts';
import { partitionKey } from '../shared/pages.ts';

/**
 * The names of all keys. Those of a shard begin with its hash tag, so that they share one slot of a cluster; the rest
 * may have any bytes, as only the first braces count.
 */
export class Keys {
  readonly meta: string;
  readonly shards: number;
  readonly #tags: string[];
  /** A cluster's slot for each shard. */
  readonly slots: readonly number[];

  constructor(prefix: string, shards: number) {
    this.meta = metaKey(prefix);
    this.shards = shards;
    const tags = Array.from({ length: shards }, (_, shard) => `${prefix}:${shard}`);
    this.#tags = tags.map((tag) => `{${tag}}`);
    this.slots = tags.map(slotOf);
  }

  /** The shard of a partition. It must never change: FNV-1a of its key's UTF-16 code units. */
  shardOf(partition: Partition): number {
    return this.#shardOfName(partitionKey(partition));
  }

  /** A stream: every commit of the shard. It remembers what it was trimmed up to. */
  journal(shard: number): string {
    return `${this.#tags[shard]}journal`;
  }

  /** A sorted set: the places of records, partitions and scopes of texts in indexes that go across partitions. */
  index(shard: number): string {
    return `${this.#tags[shard]}index`;
  }

  /** A number: the last version that was given out. */
  counter(shard: number): string {
    return `${this.#tags[shard]}version`;
  }

  /** A hash: what came of batches with ids. */
  receipts(shard: number): string {
    return `${this.#tags[shard]}receipts`;
  }

  /** A sorted set: those batches by their positions in the journal. */
  receiptOrder(shard: number): string {
    return `${this.#tags[shard]}receipt-order`;
  }

  /** The reply to a writer's last call; it expires. */
  memo(shard: number, writer: string): string {
    return `${this.#tags[shard]}memo:${writer}`;
  }

  /** Where it is told that a shard's journal has grown. No key, but it has a slot like one. */
  channel(shard: number): string {
    return `${this.#tags[shard]}changes`;
  }

  /** The keys of a partition. */
  partition(partition: Partition): PartitionKeys {
    const name = partitionKey(partition);
    const shard = this.#shardOfName(name);
    return new PartitionKeys(this.#tags[shard]!, shard, name);
  }

  #shardOfName(name: string): number {
    let hash = 0x811c9dc5;
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
    return (hash >>> 0) % this.shards;
  }
}

/** The keys of one partition. They begin with its shard's tag, and a letter. */
export class PartitionKeys {
  readonly #tag: string;
  readonly shard: number;
  /** The partition as text. */
  readonly name: string;

  constructor(tag: string, shard: number, name: string) {
    this.#tag = tag;
    this.shard = shard;
    this.name = name;
  }

  /** A hash: the partition's expiry, and its records. */
  get hash(): string {
    return `${this.#tag}p:${this.name}`;
  }

  /** A sorted set: names of records, logs, text documents and their scopes. */
  get names(): string {
    return `${this.#tag}n:${this.name}`;
  }

  /** A hash: text documents, with their terms, values and vectors. */
  get texts(): string {
    return `${this.#tag}t:${this.name}`;
  }

  /** A stream: the entries of a log. */
  stream(log: string): string {
    return `${this.#tag}l:${this.name}\0${log}`;
  }

  /** A hash, where entries were rewritten: seq → what they are now. */
  overlay(log: string): string {
    return `${this.#tag}w:${this.name}\0${log}`;
  }

  /** A hash, where entries have ids: id → seq. */
  ids(log: string): string {
    return `${this.#tag}i:${this.name}\0${log}`;
  }

  /** A sorted set, where entries have marks: mark and seq. */
  marks(log: string): string {
    return `${this.#tag}m:${this.name}\0${log}`;
  }
}

export function metaKey(prefix: string): string {
  return `{${prefix}}meta`;
}

/** The slot of a hash tag: CRC16 (XMODEM) modulo 16384, as the cluster specification has it. */
export function slotOf(tag: string): number {
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff) >>> 0;
  }
  return crc % 16_384;
}
