import type {
  Entry,
  IndexEntry,
  IndexHit,
  IndexRange,
  LogInfo,
  LogPage,
  LogRange,
  Page,
  Partition,
  RecordKey,
  RecordRange,
  Stored,
} from '../../core/store.ts';
import { pick, runsOf } from '../shared/log-ranges.ts';
import { compareBytes, decodePageToken, partitionKey, toPage, toStored } from '../shared/pages.ts';
import type { Keys } from './keys.ts';
import { mergeShards } from './merge.ts';
import { decodeOrder, encodeOrder } from './order.ts';
import { Pieces } from './outcomes.ts';
import { counterFields } from './pack.ts';
import type { Servers } from './servers.ts';

/** A record as it is kept: what its two fields hold. */
interface RecordRow {
  readonly kind: string;
  readonly id: string;
  readonly value: string;
  readonly version: number;
  readonly counter: boolean;
  readonly indexes: readonly IndexEntry[];
}

/** A member of an index. Its tail begins with the order and tells what is indexed; members sort by it. */
interface IndexRow {
  readonly order: string;
  readonly tail: string;
}

/** Reads of records, logs and indexes. Each is one call a partition or shard, and sees no half of a commit. */
export class Reads {
  readonly #servers: Servers;
  readonly #keys: Keys;

  constructor(servers: Servers, keys: Keys) {
    this.#servers = servers;
    this.#keys = keys;
  }

  async getRecords(wanted: readonly RecordKey[]): Promise<(Stored | undefined)[]> {
    const groups = new Map<string, { partition: Partition; places: number[] }>();
    for (const [place, { partition }] of wanted.entries()) {
      const name = partitionKey(partition);
      const group = groups.get(name);
      if (group) group.places.push(place);
      else groups.set(name, { partition, places: [place] });
    }
    const found: (Stored | undefined)[] = new Array(wanted.length);
    const reading = [...groups.values()].map(async ({ partition, places }) => {
      const { hash, shard } = this.#keys.partition(partition);
      const command = ['HMGET', hash];
      for (const place of places) {
        const name = `${wanted[place]!.kind}\0${wanted[place]!.id}`;
        command.push(`\0${name}`, name);
      }
      const fields = (await this.#servers.call({ slot: this.#keys.slots[shard]!, command })) as (
        | string
        | null
      )[];
      for (const [i, place] of places.entries()) {
        const { kind, id } = wanted[place]!;
        const row = toRow(kind, id, fields[i * 2], fields[i * 2 + 1]);
        found[place] = row && toStored(partition, row);
      }
    });
    await Promise.all(reading);
    return found;
  }

  async listRecords(
    partition: Partition,
    kind: string | undefined,
    { after, limit, reverse, whole }: RecordRange,
  ): Promise<Page<Stored>> {
    const { hash, names, shard } = this.#keys.partition(partition);
    let from = kind === undefined ? '[\x01' : `[${kind}\0`;
    let to = kind === undefined ? '+' : `(${kind}\x01`;
    if (after !== undefined) {
      const bound = `(${decodePageToken(after, 2).join('\0')}`;
      if (reverse) to = bound;
      else from = bound;
    }
    const args = [from, to, String(limit + 1), reverse ? 'rev' : ''];
    const slot = this.#keys.slots[shard]!;
    const found = (await this.#servers.run('list-records', slot, [hash, names], args)) as string[];
    const rows: RecordRow[] = [];
    for (let i = 0; i < found.length; i += 3) {
      const [ofKind, id] = found[i]!.split('\0') as [string, string];
      const row = toRow(ofKind, id, found[i + 1], found[i + 2]);
      if (row) rows.push(row);
    }
    return toPage(
      rows,
      limit,
      (row) => [row.kind, row.id],
      (row) => (whole ? toWhole(partition, row) : toStored(partition, row)),
    );
  }

  /** The names of a partition's logs, sorted by their bytes. */
  async logNames(partition: Partition): Promise<string[]> {
    const { names, shard } = this.#keys.partition(partition);
    const command = ['ZRANGE', names, '[\0\x01', '(\x01', 'BYLEX'];
    const found = (await this.#servers.call({ slot: this.#keys.slots[shard]!, command })) as string[];
    return found.map((name) => name.slice(1));
  }

  async listLogs(partition: Partition): Promise<LogInfo[]> {
    const names = await this.logNames(partition);
    const infos = names.map(async (log) => {
      const { firstSeq, lastSeq, count } = await this.readLog(partition, log, { limit: 0 });
      return { log, firstSeq, lastSeq, count };
    });
    // The partition may be dropped meanwhile.
    return (await Promise.all(infos)).filter(({ lastSeq }) => lastSeq > 0);
  }

  async readLog(partition: Partition, log: string, range: LogRange): Promise<LogPage> {
    const { after = 0, before, limit, reverse, mark, ids, seqs } = range;
    const names = this.#keys.partition(partition);
    const keys = [names.stream(log), names.overlay(log), names.ids(log), names.marks(log)];
    const last = before === undefined ? '' : String(Math.max(before - 1, 0));
    const bounds = [String(Math.max(after, 0) + 1), last];
    const args = ids
      ? ['ids', ...bounds, ...new Set(ids)]
      : seqs
        ? ['runs', ...bounds, ...runsOf(range).flat().map(String)]
        : [mark === undefined ? 'range' : 'mark', ...bounds, String(limit), reverse ? 'rev' : '', mark ?? ''];
    const reply = await this.#servers.run('read-log', this.#keys.slots[names.shard]!, keys, args);
    const pieces = new Pieces(reply as string);
    const [firstSeq, lastSeq, count] = [pieces.number(), pieces.number(), pieces.number()];
    const entries: Entry[] = [];
    while (pieces.more) entries.push(readEntry(pieces));
    return { entries: ids || seqs ? pick(entries, range) : entries, firstSeq, lastSeq, count };
  }

  async queryIndex(range: IndexRange): Promise<Page<IndexHit>> {
    const { tenant, index, key, limit, reverse = false } = range;
    const prefix = `${tenant ?? ''}\0${index}\0${key}\0`;
    const [low, high] = boundsOf(range, prefix);
    const sign = reverse ? -1 : 1;
    const compare = (a: IndexRow, b: IndexRow) =>
      (a.order < b.order ? -1 : a.order > b.order ? 1 : compareBytes(a.tail, b.tail)) * sign;
    const rows = await mergeShards<IndexRow>(this.#keys.shards, limit + 1, compare, (wanted) =>
      Promise.all(
        wanted.map(async ({ shard, last, count }) => {
          const bound = last && `(${prefix}${last.tail}`;
          const ends = reverse ? [bound ?? high, low, 'BYLEX', 'REV'] : [bound ?? low, high, 'BYLEX'];
          const command = ['ZRANGE', this.#keys.index(shard), ...ends, 'LIMIT', '0', String(count)];
          const members = (await this.#servers.call({ slot: this.#keys.slots[shard]!, command })) as string[];
          return members.map((member) => toIndexRow(member.slice(prefix.length)));
        }),
      ),
    );
    return toPage(
      rows,
      limit,
      ({ tail }) => [tail],
      ({ tail }) => toHit(tail, tenant),
    );
  }
}

function boundsOf({ after, from, to, reverse }: IndexRange, prefix: string): [string, string] {
  let low = `[${prefix}${from === undefined ? '' : encodeOrder(from)}`;
  // Beyond all that begins with it: members go on with a NUL, and an order has no letter after f.
  let high = to === undefined ? `(${prefix}g` : `(${prefix}${encodeOrder(to)}\x01`;
  if (after !== undefined) {
    const bound = `(${prefix}${decodePageToken(after, 1)[0]}`;
    if (reverse) high = bound;
    else low = bound;
  }
  return [low, high];
}

function toIndexRow(tail: string): IndexRow {
  return { order: tail.slice(0, 16), tail };
}

function toHit(tail: string, tenant: string | undefined): IndexHit {
  const [order = '', ...names] = tail.split('\0');
  const [of = '', type = '', id = '', kind = '', record = ''] =
    tenant === undefined ? names : [tenant, ...names];
  return { partition: { tenant: of, type, id }, kind, id: record, order: decodeOrder(order) };
}

function toRow(
  kind: string,
  id: string,
  meta: string | null | undefined,
  value: string | null | undefined,
): RecordRow | undefined {
  if (meta === null || meta === undefined || value === null || value === undefined) return undefined;
  const [version, flag, ...places] = meta.split('\0');
  const counter = flag === 'c';
  const indexes: IndexEntry[] = [];
  for (let i = 0; i < places.length; i += 3)
    indexes.push({ index: places[i]!, key: places[i + 1]!, order: decodeOrder(places[i + 2]!) });
  const text = counter ? JSON.stringify(counterFields(value)) : value;
  return { kind, id, value: text, version: Number(version), counter, indexes };
}

function toWhole(partition: Partition, row: RecordRow): Stored {
  return { ...toStored(partition, row), indexes: row.indexes, counter: row.counter };
}

function readEntry(pieces: Pieces): Entry {
  const seq = pieces.number();
  const version = pieces.number();
  const id = pieces.text();
  const mark = pieces.text();
  const value = pieces.text();
  return { seq, value, version, ...(id && { id }), ...(mark && { mark }) };
}
