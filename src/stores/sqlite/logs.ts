import type { Entry, LogPage, LogRange, Operation, OperationResult } from '../../core/store.ts';
import { pick, runsOf } from '../shared/log-ranges.ts';
import type { Database, Statement } from './database.ts';
import type { LogState } from './journal.ts';

/** A waypoint is kept at every seq that is a multiple of this, so a walk to any seq takes about as many steps at most. */
const WAYPOINT_EVERY = 128;
/** Entries among so many others each, at most, are deleted by one look at their part of the table. */
const SPARSE = 16;
/** Rows of one insert statement, most first: fewer calls for a large group, no detour for a single entry. */
const ROWS_AT_ONCE = [32, 8, 2, 1] as const;
const COLUMNS = 'id, log, seq, previous, value';
const COLUMN_COUNT = 5;

/** What is read of an entry: as an array, which is faster than an object. */
const READ = 'seq, version, mark, given_id, value';
type EntryRow = [seq: number, version: number, mark: string | null, givenId: string | null, value: string];

/** Entries of a log from the id `upper` down to, not with, `lower`; `dense` where few others stand in between. */
interface Stretch {
  upper: number;
  lower: number;
  dense: boolean;
}

/**
 * Entries of all logs in one table, in the order of arrival; each points to the one before it in its log. Appending
 * to many logs so dirties few pages of the file, and reading a log's end is a walk along the chain.
 */
export class Logs {
  readonly #inserts: { rows: number; insert: Statement }[];
  readonly #label: Statement;
  readonly #entry: Statement;
  readonly #near: Statement;
  readonly #far: Statement;
  readonly #stretch: Statement;
  readonly #chain: Statement;
  readonly #step: Statement;
  readonly #maxId: Statement;
  readonly #waypoint: Statement;
  readonly #isThere: Statement;
  readonly #addWaypoint: Statement;
  readonly #addMark: Statement;
  readonly #addGivenId: Statement;
  readonly #givenId: Statement;
  readonly #marked: Statement;
  readonly #markedReverse: Statement;
  readonly #rewrite: Statement;
  readonly #waypoints: Statement;
  readonly #anyGivenId: Statement;
  readonly #deleteBetween: Statement;
  readonly #deleteChain: Statement;
  readonly #deleteGivenIds: Statement;
  readonly #deleteIdsBetween: Statement;
  readonly #deleteIdsOnChain: Statement;
  readonly #deleteWaypoints: Statement;
  readonly #deleteMarks: Statement;
  readonly #deleteMark: Statement;
  readonly #setLog: Statement;
  readonly #deleteLog: Statement;
  #pending: (string | number)[] = [];
  /** Marks, given ids and versions of pending entries. Most have none, and are written the faster for it. */
  #labels: [mark: string | null, givenId: string | null, version: number, entry: number][] = [];
  #nextId = 0;

  constructor(db: Database) {
    const row = `(${Array(COLUMN_COUNT).fill('?').join(', ')})`;
    this.#inserts = ROWS_AT_ONCE.map((rows) => {
      const insert = db.prepare(
        `INSERT INTO entries (${COLUMNS}) VALUES ${Array(rows).fill(row).join(', ')}`,
      );
      return { rows, insert };
    });
    this.#label = db.prepare('UPDATE entries SET mark = ?, given_id = ?, version = ? WHERE id = ?');
    this.#entry = db.prepare(`SELECT ${READ} FROM entries WHERE id = ?`).raw();
    this.#near = db
      .prepare(
        'SELECT id FROM entries WHERE id <= ? AND id > ? AND log = ? AND seq <= ? ORDER BY id DESC LIMIT 1',
      )
      .pluck();
    this.#far = db
      .prepare(
        `WITH RECURSIVE chain (id, seq, previous) AS (
           SELECT id, seq, previous FROM entries WHERE id = ?
           UNION ALL
           SELECT e.id, e.seq, e.previous FROM chain JOIN entries e ON e.id = chain.previous WHERE chain.seq > ?
         )
         SELECT id FROM chain WHERE seq <= ? LIMIT 1`,
      )
      .pluck();
    this.#stretch = db
      .prepare(
        `SELECT ${READ} FROM entries WHERE id <= ? AND id > ? AND log = ? AND seq > ? ORDER BY id DESC LIMIT ?`,
      )
      .raw();
    this.#chain = db
      .prepare(
        `WITH RECURSIVE chain (${READ}, previous, steps) AS (
           SELECT ${READ}, previous, 0 FROM entries WHERE id = ?
           UNION ALL
           SELECT e.seq, e.version, e.mark, e.given_id, e.value, e.previous, steps + 1
           FROM chain JOIN entries e ON e.id = chain.previous WHERE steps < ? AND e.seq > ?
         )
         SELECT ${READ} FROM chain WHERE steps > 0`,
      )
      .raw();
    this.#step = db.prepare('SELECT seq, previous FROM entries WHERE id = ?').raw();
    this.#maxId = db.prepare('SELECT max(id) FROM entries').pluck();
    this.#waypoint = db
      .prepare('SELECT seq, entry FROM waypoints WHERE log = ? AND seq >= ? ORDER BY seq LIMIT 1')
      .raw();
    this.#isThere = db.prepare('SELECT 1 FROM entries WHERE id = ? AND log = ? AND seq = ?').pluck();
    this.#addWaypoint = db.prepare('INSERT INTO waypoints VALUES (?, ?, ?)');
    this.#addMark = db.prepare('INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?)');
    this.#addGivenId = db.prepare('INSERT INTO given_ids VALUES (?, ?, ?, ?)');
    this.#givenId = db.prepare('SELECT seq, entry FROM given_ids WHERE log = ? AND given_id = ?').raw();
    const marked = 'SELECT entry FROM marks WHERE log = ? AND mark = ? AND seq > ? AND seq < ? ORDER BY seq';
    this.#marked = db.prepare(`${marked} LIMIT ?`).pluck();
    this.#markedReverse = db.prepare(`${marked} DESC LIMIT ?`).pluck();
    this.#rewrite = db.prepare('UPDATE entries SET value = ?, mark = ?, version = version + 1 WHERE id = ?');
    this.#waypoints = db
      .prepare('SELECT entry FROM waypoints WHERE log = ? AND seq >= ? AND seq <= ? ORDER BY seq DESC')
      .pluck();
    this.#anyGivenId = db.prepare('SELECT 1 FROM given_ids WHERE log = ? LIMIT 1').pluck();
    const between = 'FROM entries WHERE id > ? AND id <= ? AND log = ?';
    const onChain = `FROM entries WHERE id IN (
      WITH RECURSIVE chain (id, previous) AS (
        SELECT id, previous FROM entries WHERE id = ?
        UNION ALL
        SELECT e.id, e.previous FROM chain JOIN entries e ON e.id = chain.previous WHERE e.id > ?
      )
      SELECT id FROM chain)`;
    const givenIds = 'DELETE FROM given_ids WHERE log = ? AND given_id IN (SELECT given_id';
    this.#deleteBetween = db.prepare(`DELETE ${between}`);
    this.#deleteChain = db.prepare(`DELETE ${onChain}`);
    this.#deleteGivenIds = db.prepare('DELETE FROM given_ids WHERE log = ? AND seq > ? AND seq <= ?');
    this.#deleteIdsBetween = db.prepare(`${givenIds} ${between})`);
    this.#deleteIdsOnChain = db.prepare(`${givenIds} ${onChain})`);
    this.#deleteWaypoints = db.prepare('DELETE FROM waypoints WHERE log = ? AND seq >= ? AND seq <= ?');
    this.#deleteMarks = db.prepare('DELETE FROM marks WHERE log = ? AND seq >= ? AND seq <= ?');
    this.#deleteMark = db.prepare('DELETE FROM marks WHERE log = ? AND mark = ? AND seq = ?');
    this.#setLog = db.prepare('UPDATE logs SET first = ?, last = ?, count = ?, head = ? WHERE pk = ?');
    this.#deleteLog = db.prepare('DELETE FROM logs WHERE pk = ?');
  }

  /** To be called when a write transaction starts; `alone` when nobody else wrote since the last one. */
  begin(alone: boolean): void {
    this.#pending = [];
    this.#labels = [];
    if (!alone) this.#nextId = ((this.#maxId.get() as number | null) ?? 0) + 1;
  }

  /** Takes entries in; they are written with others of the group, at the latest by {@link flush}. */
  append(log: LogState, append: Operation & { op: 'append' }): OperationResult {
    const seqs: number[] = [];
    let count = 0;
    for (const { id, value, mark, version = 1 } of append.entries) {
      const known =
        id === undefined ? undefined : (this.#givenId.get(log.pk, id) as [number, number] | undefined);
      if (known) {
        seqs.push(known[0]);
        continue;
      }
      const seq = Math.max(log.last + 1, append.startSeq ?? 0);
      log.last = seq;
      const entry = this.#add(log.pk, seq, log.head, value);
      if (id !== undefined || mark !== undefined || version !== 1)
        this.#labels.push([mark ?? null, id ?? null, version, entry]);
      if (id !== undefined) this.#addGivenId.run(log.pk, id, seq, entry);
      if (mark !== undefined) this.#addMark.run(log.pk, mark, seq, entry);
      if (seq % WAYPOINT_EVERY === 0) this.#addWaypoint.run(log.pk, seq, entry);
      if (log.count++ === 0) log.first = seq;
      log.head = entry;
      seqs.push(seq);
      count++;
    }
    return { seqs, count };
  }

  /** Ends a group commit with its row of the journal; returns the row's id, which is at least `version`. */
  endGroup(at: number, changes: readonly string[], version: number): number {
    // The next group counts its versions on from here: they never repeat.
    this.#nextId = Math.max(this.#nextId, version);
    const id = this.#add(0, at, changes.length, `[${changes.join(',')}]`);
    this.flush();
    return id;
  }

  /** Writes what {@link append} took in. */
  flush(): void {
    const values = this.#pending;
    if (values.length === 0) return;
    let done = 0;
    for (const { rows, insert } of this.#inserts) {
      const size = rows * COLUMN_COUNT;
      for (; values.length - done >= size; done += size) {
        insert.run(size === values.length ? values : values.slice(done, done + size));
      }
    }
    for (const label of this.#labels) this.#label.run(label);
    this.#pending = [];
    this.#labels = [];
  }

  /** The version of an entry, or undefined. */
  versionAt(log: LogState, seq: number): number | undefined {
    return this.#at(log, seq)?.row[1];
  }

  rewrite(log: LogState, { seq, value, mark }: Operation & { op: 'rewrite' }): OperationResult {
    const { id, row } = this.#at(log, seq)!;
    const [, version, oldMark] = row;
    const newMark = mark === undefined ? oldMark : mark;
    this.#rewrite.run(value, newMark, id);
    if (oldMark !== null && oldMark !== newMark) this.#deleteMark.run(log.pk, oldMark, seq);
    if (newMark !== null) this.#addMark.run(log.pk, newMark, seq, id);
    return { version: version + 1 };
  }

  truncate(log: LogState, { before, after }: Operation & { op: 'truncate' }): OperationResult {
    this.flush();
    let count = 0;
    if (after !== undefined) {
      const [head, removed] = this.#remove(log, log.head, after);
      log.head = head;
      count += removed;
    }
    if (before !== undefined && log.head !== 0) {
      const [, removed] = this.#remove(log, this.#seek(log, before - 1), 0);
      count += removed;
      log.first = Math.max(log.first, this.#firstFrom(log, before));
    }
    if (count === 0) return { count };
    log.count -= count;
    if (log.count === 0) Object.assign(log, { first: log.last + 1, head: 0 });
    this.#setLog.run(log.first, log.last, log.count, log.head, log.pk);
    return { count };
  }

  /** The seq of the newest entry that is there; in an empty log, the last one given out. */
  newestSeq(log: LogState): number {
    return log.head === 0 ? log.last : (this.#step.get(log.head) as [number, number])[0];
  }

  /** Removes a log of a partition that is dropped. */
  drop(log: LogState): void {
    this.flush();
    this.#remove(log, log.head, 0);
    this.#deleteLog.run(log.pk);
  }

  read(log: LogState, range: LogRange): LogPage {
    const { first: firstSeq, last: lastSeq, count } = log;
    return { entries: this.#entries(log, range), firstSeq, lastSeq, count };
  }

  #add(log: number, seq: number, previous: number, value: string): number {
    const id = this.#nextId++;
    this.#pending.push(id, log, seq, previous, value);
    if (this.#pending.length === ROWS_AT_ONCE[0] * COLUMN_COUNT) this.flush();
    return id;
  }

  #entries(log: LogState, range: LogRange): Entry[] {
    const after = range.after ?? 0;
    const before = Math.min(range.before ?? Number.POSITIVE_INFINITY, log.last + 1);
    if (log.count === 0 || range.limit === 0 || before <= log.first || after >= log.last) return [];
    if (range.ids) return this.#byIds(log, range.ids, after, before, range);
    if (range.seqs) return this.#bySeqs(log, { ...range, after: Math.max(after, log.first - 1), before });
    if (range.mark !== undefined) {
      const ids = (range.reverse ? this.#markedReverse : this.#marked).all(
        log.pk,
        range.mark,
        after,
        before,
        range.limit,
      );
      return (ids as number[]).map((id) => toEntry(this.#entry.get(id) as EntryRow));
    }
    return range.reverse
      ? this.#walk(log, this.#seek(log, before - 1), after, range.limit)
      : this.#forward(log, after, before, range.limit);
  }

  #byIds(log: LogState, ids: readonly string[], after: number, before: number, range: LogRange): Entry[] {
    const found = new Map<number, Entry>();
    for (const id of ids) {
      const [seq, row] = (this.#givenId.get(log.pk, id) as [number, number] | undefined) ?? [0, 0];
      if (seq <= after || seq >= before) continue;
      found.set(seq, toEntry(this.#entry.get(row) as EntryRow));
    }
    return pick([...found.values()], range);
  }

  #bySeqs(log: LogState, range: LogRange): Entry[] {
    const entries: Entry[] = [];
    let from = log.head;
    // The newest first: from there it may not be far to the next.
    for (const [first, last] of runsOf(range).reverse()) {
      from = this.#seek(log, last, from);
      entries.push(...this.#walk(log, from, first - 1, last - first + 1));
    }
    return pick(entries, range);
  }

  /** Towards the newest end the chain can't be walked: stretches of it are walked backwards, and turned round. */
  #forward(log: LogState, after: number, before: number, limit: number): Entry[] {
    const entries: Entry[] = [];
    let done = Math.max(after, log.first - 1);
    while (entries.length < limit && done < before - 1) {
      const end = Math.min(done + limit - entries.length, before - 1);
      const stretch = this.#walk(log, this.#seek(log, end), done, limit);
      entries.push(...stretch.reverse());
      // Over a hole, however wide, in one step.
      done = stretch.length > 0 ? end : this.#firstFrom(log, end + 1) - 1;
    }
    return entries;
  }

  /** Up to `limit` entries from the given one towards the oldest, as long as their seq is over `after`. */
  #walk(log: LogState, from: number, after: number, limit: number): Entry[] {
    const stop = Math.max(after, log.first - 1);
    // Entries that arrived close together are found by one look at their part of the table …
    const near = from - limit * 2;
    const rows = this.#stretch.all(from, near, log.pk, stop, limit) as EntryRow[];
    const entries = rows.map(toEntry);
    const last = entries.at(-1);
    // … and those scattered among others' along the chain. The oldest entry's pointer leads to what was truncated.
    if (last && entries.length < limit && last.seq > stop + 1) {
      const id = this.#seek(log, last.seq);
      for (const row of this.#chain.all(id, limit - entries.length, stop) as EntryRow[])
        entries.push(toEntry(row));
    }
    return entries;
  }

  /** The id of the newest entry whose seq is at most `seq`, or 0. It must not be newer than the entry `newest`. */
  #seek(log: LogState, seq: number, newest = log.head): number {
    if (seq < log.first) return 0;
    if (seq >= log.last) return log.head;
    const waypoint = this.#waypoint.get(log.pk, seq) as [seq: number, entry: number] | undefined;
    const [known, entry] = waypoint ?? [log.last, log.head];
    // Where nobody else wrote in between, entries stand side by side.
    const likely = entry - (known - seq);
    if (likely <= newest && this.#isThere.get(likely, log.pk, seq)) return likely;
    const from = Math.min(entry, newest);
    const near = this.#near.get(from, from - WAYPOINT_EVERY * 2, log.pk, seq) as number | undefined;
    return near ?? (this.#far.get(from, seq, seq) as number | undefined) ?? 0;
  }

  #at(log: LogState, seq: number): { id: number; row: EntryRow } | undefined {
    this.flush();
    const id = log.count === 0 ? 0 : this.#seek(log, seq);
    const row = id === 0 ? undefined : (this.#entry.get(id) as EntryRow);
    return row?.[0] === seq ? { id, row } : undefined;
  }

  /** The smallest seq from `seq` on that has an entry. */
  #firstFrom(log: LogState, seq: number): number {
    let first = log.last + 1;
    let id = log.head;
    const near = this.#waypoint.get(log.pk, seq) as [seq: number, entry: number] | undefined;
    if (near) id = near[1];
    while (id !== 0) {
      const step = this.#step.get(id) as [number, number] | undefined;
      if (!step || step[0] < seq) break;
      first = step[0];
      id = step[1];
    }
    return first;
  }

  /** Deletes from the given entry towards the oldest while seq > `after`; returns where it stopped, and how many went. */
  #remove(log: LogState, from: number, after: number): [number, number] {
    if (from === 0) return [0, 0];
    const [newest] = this.#step.get(from) as [number, number];
    if (newest <= after) return [from, 0];
    const stop = this.#seek(log, after);
    // The oldest entry's pointer leads to what was truncated.
    const end = stop === 0 ? this.#seek(log, log.first) - 1 : stop;
    const hasGivenIds = this.#anyGivenId.get(log.pk) !== undefined;
    // Of many given ids, looking at all of the log's is faster than finding each.
    const many = (newest - Math.max(after, log.first - 1)) * 4 >= log.count;
    if (hasGivenIds && many) this.#deleteGivenIds.run(log.pk, after, newest);
    let count = 0;
    for (const { upper, lower, dense } of this.#stretches(log, from, end, newest, after)) {
      const range = dense ? [lower, upper, log.pk] : [upper, lower];
      if (hasGivenIds && !many)
        (dense ? this.#deleteIdsBetween : this.#deleteIdsOnChain).run(log.pk, ...range);
      count += (dense ? this.#deleteBetween : this.#deleteChain).run(...range).changes;
    }
    this.#deleteWaypoints.run(log.pk, after + 1, newest);
    this.#deleteMarks.run(log.pk, after + 1, newest);
    return [stop, count];
  }

  /** Splits the ids from `from` down to, not with, `end` into those dense with the log's entries and those that aren't. */
  *#stretches(log: LogState, from: number, end: number, newest: number, after: number): Generator<Stretch> {
    const waypoints = this.#waypoints.all(log.pk, after + 1, newest - 1) as number[];
    let upper = from;
    let middle = from;
    for (const lower of waypoints.concat(end)) {
      if (middle - lower > WAYPOINT_EVERY * SPARSE) {
        if (upper > middle) yield { upper, lower: middle, dense: true };
        yield { upper: middle, lower, dense: false };
        upper = lower;
      }
      middle = lower;
    }
    if (upper > middle) yield { upper, lower: middle, dense: true };
  }
}

function toEntry([seq, version, mark, givenId, value]: EntryRow): Entry {
  if (givenId === null) return mark === null ? { seq, value, version } : { seq, value, version, mark };
  return mark === null ? { seq, value, version, id: givenId } : { seq, value, version, id: givenId, mark };
}
