import {
  type Entry,
  EXPIRY_INDEX,
  type IndexHit,
  type IndexRange,
  type LogInfo,
  type LogPage,
  type LogRange,
  PARTITION_INDEX,
  type Page,
  type Partition,
  type RecordKey,
  type RecordRange,
  type Stored,
} from '../../core/store.ts';
import { runsOf } from '../shared/log-ranges.ts';
import { decodePageToken, toPage, toStored } from '../shared/pages.ts';
import { bigintArray, textArray } from './arrays.ts';
import type { Database } from './database.ts';
import { quoteName } from './schema.ts';

type EntryRow = [seq: string, version: string, mark: string | null, givenId: string | null, value: string];
type RecordRow = [
  kind: string,
  id: string,
  version: string,
  value: string,
  counter: boolean,
  places: string | null,
];
type HitRow = [
  order: number,
  pk: string,
  kind: string,
  id: string,
  tenant: string,
  type: string,
  partition: string,
];
type PartitionRow = [tenant: string, type: string, id: string];

/** Reads of records, logs and indexes, each one statement. */
export class Reads {
  readonly #database: Database;
  readonly #schema: string;

  constructor(database: Database, schema: string) {
    this.#database = database;
    this.#schema = quoteName(schema);
  }

  async getRecords(keys: readonly RecordKey[]): Promise<(Stored | undefined)[]> {
    const found: (Stored | undefined)[] = Array(keys.length).fill(undefined);
    if (keys.length === 0) return found;
    const of = (name: (key: RecordKey) => string) => textArray(keys.map(name));
    const rows = await this.#database.call<[number, string, string]>(
      `SELECT * FROM ${this.#schema}.get_records($1, $2, $3, $4, $5)`,
      [
        of((key) => key.partition.tenant),
        of((key) => key.partition.type),
        of((key) => key.partition.id),
        of((key) => key.kind),
        of((key) => key.id),
      ],
    );
    for (const [place, version, value] of rows) {
      const { partition, kind, id } = keys[place - 1]!;
      found[place - 1] = toStored(partition, { kind, id, version: Number(version), value });
    }
    return found;
  }

  async listRecords(
    partition: Partition,
    kind: string | undefined,
    range: RecordRange,
  ): Promise<Page<Stored>> {
    const { tenant, type, id } = partition;
    const values: unknown[] = [tenant, type, id, range.limit + 1];
    const given = (value: unknown) => `$${values.push(value)}`;
    const where = [kind === undefined ? 'true' : `r.kind = ${given(kind)}`];
    if (range.after !== undefined) {
      const [afterKind, afterId] = decodePageToken(range.after, 2);
      where.push(`(r.kind, r.id) ${range.reverse ? '<' : '>'} (${given(afterKind)}, ${given(afterId)})`);
    }
    const direction = range.reverse ? 'DESC' : 'ASC';
    const places = range.whole ? `CASE WHEN r.indexed THEN ${this.#places()} END` : 'NULL';
    const rows = await this.#database.query<RecordRow>(
      `SELECT r.kind, r.id, r.version, r.value, r.counter, ${places} FROM ${this.#schema}.records r
       WHERE r.partition = (SELECT p.pk FROM ${this.#partition()}) AND ${where.join(' AND ')}
       ORDER BY r.kind ${direction}, r.id ${direction} LIMIT $4`,
      values,
    );
    return toPage(
      rows,
      range.limit,
      (row) => [row[0], row[1]],
      (row) => toItem(partition, row, range.whole === true),
    );
  }

  async listLogs({ tenant, type, id }: Partition): Promise<LogInfo[]> {
    const rows = await this.#database.query<[string, string, string, string]>(
      `SELECT g.name, g.first, g.last, g.count FROM ${this.#schema}.logs g
       WHERE g.partition = (SELECT p.pk FROM ${this.#partition()}) ORDER BY g.name`,
      [tenant, type, id],
    );
    return rows.map(([log, first, last, count]) => {
      return { log, firstSeq: Number(first), lastSeq: Number(last), count: Number(count) };
    });
  }

  async readLog(partition: Partition, log: string, range: LogRange): Promise<LogPage> {
    const [bounds, ...rows] = await (range.seqs
      ? this.#readRuns(partition, log, range)
      : this.#readRange(partition, log, range));
    if (!bounds) return { entries: [], firstSeq: 1, lastSeq: 0, count: 0 };
    const [firstSeq, lastSeq, count] = bounds;
    return {
      entries: rows.map(toEntry),
      firstSeq: Number(firstSeq),
      lastSeq: Number(lastSeq),
      count: Number(count),
    };
  }

  #readRange({ tenant, type, id }: Partition, log: string, range: LogRange): Promise<EntryRow[]> {
    const { after = 0, before = Number.MAX_SAFE_INTEGER, limit, reverse = false, mark, ids } = range;
    return this.#database.call<EntryRow>(
      `SELECT * FROM ${this.#schema}.read_log($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
      [tenant, type, id, log, after, before, limit, reverse, mark ?? null, ids ? textArray(ids) : null],
    );
  }

  #readRuns({ tenant, type, id }: Partition, log: string, range: LogRange): Promise<EntryRow[]> {
    const { limit, reverse = false, mark } = range;
    const runs = runsOf(range);
    const [firsts, lasts] = ([0, 1] as const).map((end) => bigintArray(runs.map((run) => run[end])));
    return this.#database.call<EntryRow>(
      `SELECT * FROM ${this.#schema}.read_runs($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
      [tenant, type, id, log, firsts, lasts, limit, reverse, mark ?? null],
    );
  }

  queryIndex(range: IndexRange): Promise<Page<IndexHit>> {
    return range.index === PARTITION_INDEX ? this.#listPartitions(range) : this.#queryPlaces(range);
  }

  async #queryPlaces(range: IndexRange): Promise<Page<IndexHit>> {
    const values: unknown[] = [range.limit + 1];
    const given = (value: unknown) => `$${values.push(value)}`;
    const expiry = range.index === EXPIRY_INDEX;
    const order = expiry ? ['p.expires_at', 'p.pk'] : ['i.position', 'i.partition', 'i.kind', 'i.id'];
    const where = expiry ? ['p.expires_at IS NOT NULL'] : isAt(given(range.index), given(range.key));
    if (range.tenant !== undefined) where.push(`${expiry ? 'p' : 'i'}.tenant = ${given(range.tenant)}`);
    // Times are whole numbers, and their index is one of whole numbers.
    const [from, to] = expiry ? [ceil(range.from), floor(range.to)] : [range.from, range.to];
    const type = expiry ? 'bigint' : 'float8';
    if (from !== undefined) where.push(`${order[0]} >= ${given(from)}::${type}`);
    if (to !== undefined) where.push(`${order[0]} <= ${given(to)}::${type}`);
    if (range.after !== undefined) {
      const after = decodePageToken(range.after, 4).slice(0, order.length);
      const types = [type, 'bigint', 'text', 'text'];
      const bounds = after.map((value, i) => `${given(value)}::${types[i]}`);
      where.push(`(${order.join(', ')}) ${range.reverse ? '<' : '>'} (${bounds.join(', ')})`);
    }
    const sorted = order.map((column) => `${column} ${range.reverse ? 'DESC' : 'ASC'}`);
    const source = expiry
      ? `'', '', p.tenant, p.type, p.id FROM ${this.#schema}.partitions p`
      : `i.kind, i.id, p.tenant, p.type, p.id FROM ${this.#schema}.index_entries i
         JOIN ${this.#schema}.partitions p ON p.pk = i.partition`;
    const rows = await this.#database.query<HitRow>(
      `SELECT float8send(${order[0]}::float8), ${order[1]}, ${source}
       WHERE ${where.join(' AND ')} ORDER BY ${sorted.join(', ')} LIMIT $1`,
      values,
    );
    return toPage(
      rows.map(readOrder),
      range.limit,
      ([at, pk, kind, id]) => [at, Number(pk), kind, id],
      toHit,
    );
  }

  /** In the order of names, which the table's own indexes have. */
  async #listPartitions(range: IndexRange): Promise<Page<IndexHit>> {
    const within = (range.from ?? 0) <= 0 && (range.to ?? 0) >= 0;
    if (!within) return { items: [] };
    const values: unknown[] = [range.limit + 1];
    const given = (value: unknown) => `$${values.push(value)}`;
    const order = range.key === '' ? ['tenant', 'type', 'id'] : ['type', 'tenant', 'id'];
    const where = ['true'];
    if (range.key !== '') where.push(`p.type = ${given(range.key)}`);
    if (range.tenant !== undefined) where.push(`p.tenant = ${given(range.tenant)}`);
    if (range.after !== undefined) {
      const [tenant, type, id] = decodePageToken(range.after, 3) as [string, string, string];
      const after: Record<string, string> = { tenant, type, id };
      const bounds = order.map((column) => given(after[column]));
      const columns = order.map((column) => `p.${column}`);
      where.push(`(${columns.join(', ')}) ${range.reverse ? '<' : '>'} (${bounds.join(', ')})`);
    }
    const sorted = order.map((column) => `p.${column} ${range.reverse ? 'DESC' : 'ASC'}`);
    const rows = await this.#database.query<PartitionRow>(
      `SELECT p.tenant, p.type, p.id FROM ${this.#schema}.partitions p
       WHERE ${where.join(' AND ')} ORDER BY ${sorted.join(', ')} LIMIT $1`,
      values,
    );
    return toPage(
      rows,
      range.limit,
      (row) => row,
      ([tenant, type, id]) => ({ partition: { tenant, type, id }, kind: '', id: '', order: 0 }),
    );
  }

  /** The partition that the first three parameters name. */
  #partition(): string {
    return `${this.#schema}.partitions p WHERE p.tenant = $1 AND p.type = $2 AND p.id = $3`;
  }

  /** A record's places in indexes, as JSON text. */
  #places(): string {
    return `(SELECT json_agg(json_build_array(i.name, i.key, encode(float8send(i.position), 'hex')))::text
      FROM ${this.#schema}.index_entries i
      WHERE i.partition = r.partition AND i.kind = r.kind AND i.id = r.id)`;
  }
}

/** What holds for the places under a key of an index: its hash is what they are looked up by. */
function isAt(name: string, key: string): string[] {
  const [n, k] = [`${name}::text COLLATE "C"`, `${key}::text COLLATE "C"`];
  return [`i.place = hashtextextended(${k}, hashtextextended(${n}, 0))`, `i.name = ${n}`, `i.key = ${k}`];
}

function ceil(bound: number | undefined): number | undefined {
  return bound === undefined ? undefined : Math.ceil(Math.max(bound, Number.MIN_SAFE_INTEGER));
}

function floor(bound: number | undefined): number | undefined {
  return bound === undefined ? undefined : Math.floor(Math.min(bound, Number.MAX_SAFE_INTEGER));
}

function toEntry([seq, version, mark, givenId, value]: EntryRow): Entry {
  return {
    seq: Number(seq),
    value,
    version: Number(version),
    ...(givenId !== null && { id: givenId }),
    ...(mark !== null && { mark }),
  };
}

function toItem(
  partition: Partition,
  [kind, id, version, value, counter, places]: RecordRow,
  whole: boolean,
): Stored {
  const stored = toStored(partition, { kind, id, version: Number(version), value });
  if (!whole) return stored;
  const indexes = (JSON.parse(places ?? '[]') as [string, string, string][]).map(([index, key, bits]) => {
    return { index, key, order: Buffer.from(bits, 'hex').readDoubleBE() };
  });
  return { ...stored, counter, indexes };
}

/** As its bits: how many digits a server shows of a number is a setting. */
function readOrder([order, ...rest]: HitRow): HitRow {
  return [(order as unknown as Buffer).readDoubleBE(), ...rest] as unknown as HitRow;
}

function toHit([order, , kind, id, tenant, type, partition]: HitRow): IndexHit {
  return { partition: { tenant, type, id: partition }, kind, id, order };
}
