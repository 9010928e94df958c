import { CursorExpiredError } from '../../core/errors.ts';
import type { Change, ChangeOperation, ChangePage, Cursor, Partition } from '../../core/store.ts';
import { badCursor } from '../shared/pages.ts';
import type { Database } from './database.ts';
import { cursorOf, type Position } from './facts.ts';
import { quoteName } from './schema.ts';

const MAX_NAMES = 20_000;
/** Begins a cursor that goes on beyond the horizon. */
const AHEAD = '~';

/** A function of the schema that reads the journal. */
interface Reader {
  readonly name: string;
  /** A transaction tells of a thousand changes at most. */
  readonly rowsAtOnce: number;
}
/** Up to the horizon. */
const READ: Reader = { name: 'read_journal', rowsAtOnce: 16 };
/** Up to the last that can be seen. What is held back for long is many small transactions. */
const READ_AHEAD: Reader = { name: 'read_ahead', rowsAtOnce: 128 };

type Row = [place: string, at: string, changes: string, bases: string | null];
/** `[partition, batch id or 0, …operations]`. */
type PackedChange = [number, string | 0, ...PackedOperation[]];
type PackedOperation = [string, ...(string | number | null)[]];

interface Told {
  position: Position;
  at: number;
  change: PackedChange;
  bases: readonly number[];
}

interface Read {
  /** The first position that may be read. */
  oldest: Position;
  /** Whether there are commits that can't be read yet. */
  held: boolean;
  rows: { place: number; at: number; changes: PackedChange[]; bases: number[] }[];
}

/**
 * The journal, in the order of transaction ids. A partition's commits have ids in their order, and what is read ends
 * before the oldest transaction that is still under way: nothing can turn up later between what was read.
 */
export class Journal {
  readonly #database: Database;
  readonly #schema: string;
  /** Partitions by primary key. These never change. */
  readonly #names = new Map<number, Partition>();

  constructor(database: Database, schema: string) {
    this.#database = database;
    this.#schema = quoteName(schema);
  }

  async read(after: Cursor | 'oldest' | 'newest', limit: number): Promise<ChangePage> {
    if (after === 'newest') return { changes: [], cursor: cursorOf(await this.#newest()) };
    if (after.startsWith(AHEAD)) {
      const { changes, cursor } = await this.#tell(READ_AHEAD, positionOf(after.slice(AHEAD.length)), limit);
      return { changes, cursor: AHEAD + cursor };
    }
    return this.#tell(READ, after === 'oldest' ? undefined : positionOf(after), limit);
  }

  async #tell(reader: Reader, after: Position | undefined, limit: number): Promise<ChangePage> {
    const told: Told[] = [];
    const most = Math.min(limit + 2, reader.rowsAtOnce);
    for (let position = after; ; ) {
      const { oldest, held, rows } = await this.#read(reader, position?.place, most, position);
      position ??= oldest;
      for (const { place, at, changes, bases } of rows) {
        const start: number = place === position.place ? position.count : 0;
        for (let i = start; i < changes.length; i++) {
          if (told.length === limit) return this.#page(told, position);
          position = { place, count: i + 1 };
          told.push({ position, at, change: changes[i]!, bases });
        }
      }
      if (rows.length < most) {
        const page = await this.#page(told, position);
        return held ? { ...page, ahead: AHEAD + page.cursor } : page;
      }
    }
  }

  /** Whether there is a change after a cursor, and whether there are commits that can't be read yet. */
  async peek(after: Cursor): Promise<{ found: boolean; held: boolean }> {
    const position = positionOf(after);
    const { rows, held } = await this.#read(READ, position.place, 2, position);
    const found = rows.some(
      ({ place, changes }) => place > position.place || changes.length > position.count,
    );
    return { found, held };
  }

  /** Forgets what is behind a cursor, but nothing after one of `keep`. */
  async trim(upTo: Cursor, keep: readonly Cursor[]): Promise<void> {
    let position = positionOf(upTo);
    const { oldest } = await this.#read(READ, position.place, 0, position);
    for (const cursor of keep) {
      const kept = parseCursor(cursor);
      if (kept && !isBefore(kept, oldest) && isBefore(kept, position)) position = kept;
    }
    await this.#database.query(`SELECT ${this.#schema}.trim_journal($1, $2)`, [
      position.place,
      position.count,
    ]);
  }

  async #newest(): Promise<Position> {
    const statement = `SELECT * FROM ${this.#schema}.newest_position()`;
    const [row] = await this.#database.call<[string, number]>(statement, []);
    return { place: Number(row![0]), count: row![1] };
  }

  /** @throws CursorExpiredError for a cursor before what is kept, or of commits that the server has lost */
  async #read(
    { name }: Reader,
    from: number | undefined,
    most: number,
    after: Position | undefined,
  ): Promise<Read> {
    const statement = `SELECT * FROM ${this.#schema}.${name}($1, $2)`;
    const [edge, ...rows] = await this.#database.call<Row>(statement, [from ?? null, most]);
    const [count, held, found] = JSON.parse(edge![2]) as [number, boolean, boolean];
    const oldest = { place: Number(edge![0]), count };
    if (after) {
      const lost = after.place > Number(edge![1]) || (after.count > 0 && !found && isBefore(oldest, after));
      if (lost || isBefore(after, oldest)) {
        throw new CursorExpiredError({ after: cursorOf(after), oldest: cursorOf(oldest) });
      }
    }
    return {
      oldest,
      held,
      rows: rows.map(([place, at, changes, bases]) => {
        return {
          place: Number(place),
          at: Number(at),
          changes: JSON.parse(changes) as PackedChange[],
          bases: bases === null ? [] : bases.split(',').map(Number),
        };
      }),
    };
  }

  async #page(told: readonly Told[], end: Position): Promise<ChangePage> {
    const names = await this.#namesOf(told.map(({ change: [pk] }) => pk));
    const changes = told.map(({ position, at, change: [pk, batchId, ...operations], bases }): Change => {
      const partition = names.get(pk);
      // Trimmed since the rows were read, and its name with it.
      if (!partition) throw new CursorExpiredError();
      return {
        cursor: cursorOf(position),
        at,
        partition: { ...partition },
        operations: operations.map((operation) => unpack(operation, bases)),
        ...(batchId !== 0 && { batchId }),
      };
    });
    return { changes, cursor: cursorOf(end) };
  }

  /** The names of partitions, by primary key; of those that are gone from the journal as well, none. */
  async #namesOf(pks: readonly number[]): Promise<Map<number, Partition>> {
    const names = new Map<number, Partition>();
    const unknown = new Set<number>();
    for (const pk of pks) {
      const known = this.#names.get(pk);
      if (known) names.set(pk, known);
      else unknown.add(pk);
    }
    if (unknown.size === 0) return names;
    const columns = 'SELECT t.pk, t.tenant, t.type, t.id FROM';
    const rows = await this.#database.query<[string, string, string, string]>(
      `${columns} ${this.#schema}.partitions t WHERE t.pk = ANY ($1::bigint[])
       UNION ALL ${columns} ${this.#schema}.dropped_partitions t WHERE t.pk = ANY ($1::bigint[])`,
      [[...unknown]],
    );
    if (this.#names.size > MAX_NAMES) this.#names.clear();
    for (const [pk, tenant, type, id] of rows) {
      const partition = { tenant, type, id };
      names.set(Number(pk), partition);
      this.#names.set(Number(pk), partition);
    }
    return names;
  }
}

function positionOf(cursor: Cursor): Position {
  const position = parseCursor(cursor);
  if (!position) throw badCursor();
  return position;
}

function parseCursor(cursor: Cursor): Position | undefined {
  const match = /^(\d{1,16})\.(\d{1,9})$/.exec(cursor);
  const [place, count] = [Number(match?.[1]), Number(match?.[2])];
  return Number.isSafeInteger(place) ? { place, count } : undefined;
}

function isBefore(one: Position, other: Position): boolean {
  return one.place < other.place || (one.place === other.place && one.count < other.count);
}

function unpack([op, ...fields]: PackedOperation, bases: readonly number[]): ChangeOperation {
  const [text, a, b, c] = fields as [string, number, number, number];
  switch (op) {
    case 'put':
    case 'add':
      return { op, kind: text, id: String(a), version: b, created: c === 1 };
    case 'delete':
      return { op, kind: text, id: String(a) };
    case 'a':
      return { op: 'append', log: text, firstSeq: a, count: b };
    case 'A':
      return { op: 'append', log: text, firstSeq: bases[a - 1]! + b + 1, count: c };
    case 'rewrite':
      return { op, log: text, seq: a, version: b };
    case 'truncate':
      return { op, log: text, firstSeq: a, lastSeq: b };
    case 'expire':
      return { op, at: fields[0] as number | null };
    default:
      return { op: 'drop', expired: fields[0] === 1 };
  }
}
