import type { Partition } from '../../core/store.ts';
import { partitionKey } from '../shared/pages.ts';
import type { Database, Statement } from './database.ts';
import type { LogState, StoredChange } from './journal.ts';

export interface PartitionState {
  pk: number;
  logs: Map<string, LogState>;
  /** Versions of records that a condition asked for; undefined is known to be absent. */
  versions: Map<string, number | undefined>;
}

const MAX_PARTITIONS = 20_000;
/** After how many appended rows the heads of changed logs are written to their table. */
const HEADS_EVERY = 4096;

/**
 * What this process knows of partitions and log heads. It is kept right by the journal: every commit, this process's
 * or another's, is told there, and a transaction first takes in the rows that came since the last one.
 *
 * Log heads are written to the `logs` table only now and then: a commit tells them in its journal row, and whoever
 * opens the file reads those rows. That saves a table write for each append.
 */
export class Catalog {
  readonly #partitions = new Map<string, PartitionState>();
  readonly #byPk = new Map<number, string>();
  /** Logs whose row in the table is behind. */
  #changed = new Map<number, LogState>();
  #headsAt = 0;
  readonly #findPartition: Statement;
  readonly #addPartition: Statement;
  readonly #expiry: Statement;
  readonly #findLog: Statement;
  readonly #addLog: Statement;
  readonly #allLogs: Statement;
  readonly #setHead: Statement;
  readonly #setHeadsAt: Statement;
  readonly #getHeadsAt: Statement;

  constructor(db: Database) {
    this.#findPartition = db
      .prepare('SELECT pk FROM partitions WHERE tenant = ? AND type = ? AND id = ?')
      .pluck();
    this.#addPartition = db
      .prepare('INSERT INTO partitions (tenant, type, id) VALUES (?, ?, ?) RETURNING pk')
      .pluck();
    this.#expiry = db.prepare('SELECT expires_at FROM partitions WHERE pk = ?').pluck();
    this.#findLog = db.prepare(
      'SELECT pk, first, last, count, head FROM logs WHERE partition = ? AND name = ?',
    );
    this.#addLog = db
      .prepare(
        'INSERT INTO logs (partition, name, first, last, count, head) VALUES (?, ?, 1, 0, 0, 0) RETURNING pk',
      )
      .pluck();
    this.#allLogs = db.prepare('SELECT name FROM logs WHERE partition = ? ORDER BY name').pluck();
    this.#setHead = db.prepare('UPDATE logs SET first = ?, last = ?, count = ?, head = ? WHERE pk = ?');
    this.#setHeadsAt = db.prepare("UPDATE meta SET value = ? WHERE name = 'heads_at'");
    this.#getHeadsAt = db.prepare("SELECT value FROM meta WHERE name = 'heads_at'").pluck();
  }

  /** Forgets everything; returns the journal row from which it must be told again. */
  reset(): number {
    this.#forgetAll();
    this.#changed.clear();
    this.#headsAt = this.checkpoint;
    return this.#headsAt;
  }

  /** The journal row up to which the table of heads is right, whoever wrote it. */
  get checkpoint(): number {
    return this.#getHeadsAt.get() as number;
  }

  partition(partition: Partition): PartitionState | undefined {
    const key = partitionKey(partition);
    const known = this.#partitions.get(key);
    if (known) return known;
    const pk = this.#findPartition.get(partition.tenant, partition.type, partition.id) as number | undefined;
    return pk === undefined ? undefined : this.#remember(key, pk);
  }

  /** Like {@link partition}, but makes one that is not there. */
  ensurePartition(partition: Partition): PartitionState {
    const known = this.partition(partition);
    if (known) return known;
    const pk = this.#addPartition.get(partition.tenant, partition.type, partition.id) as number;
    return this.#remember(partitionKey(partition), pk);
  }

  /** When the partition expires (epoch ms), null for never. */
  expiresAt({ pk }: PartitionState): number | null {
    return this.#expiry.get(pk) as number | null;
  }

  log(partition: PartitionState, name: string): LogState | undefined {
    const known = partition.logs.get(name);
    if (known) return known;
    const row = this.#findLog.get(partition.pk, name) as LogState | undefined;
    if (!row) return undefined;
    const state = this.#changed.get(row.pk) ?? row;
    partition.logs.set(name, state);
    return state;
  }

  addLog(partition: PartitionState, name: string): LogState {
    const pk = this.#addLog.get(partition.pk, name) as number;
    const state = { pk, first: 1, last: 0, count: 0, head: 0 };
    partition.logs.set(name, state);
    return state;
  }

  logNames(partition: PartitionState): string[] {
    return this.#allLogs.all(partition.pk) as string[];
  }

  /** To be called after a log's state was changed: its row in the table is behind now. */
  touched(log: LogState): void {
    this.#changed.set(log.pk, log);
  }

  forget(pk: number): void {
    const key = this.#byPk.get(pk);
    if (key === undefined) return;
    this.#byPk.delete(pk);
    this.#partitions.delete(key);
  }

  /** Takes in what another process committed. */
  follow({ partition: pk, operations }: StoredChange): void {
    const known = this.#partitions.get(this.#byPk.get(pk) ?? '');
    for (const operation of operations) {
      if (operation.op === 'drop') this.forget(pk);
      else if ('kind' in operation) known?.versions.delete(`${operation.kind}\0${operation.id}`);
      else if ('log' in operation && operation.state)
        this.#followLog(known?.logs.get(operation.log), operation.state);
    }
  }

  /** Inside a transaction whose newest journal row is `id`: writes heads to their table when enough have gathered. */
  settle(id: number, now = id - this.#headsAt >= HEADS_EVERY): void {
    if (!now) return;
    for (const log of this.#changed.values())
      this.#setHead.run(log.first, log.last, log.count, log.head, log.pk);
    this.#changed = new Map();
    this.#headsAt = id;
    this.#setHeadsAt.run(id);
  }

  #followLog(known: LogState | undefined, state: LogState): void {
    const log = this.#changed.get(state.pk) ?? known;
    if (log) Object.assign(log, state);
    this.#changed.set(state.pk, log ?? state);
  }

  #remember(key: string, pk: number): PartitionState {
    // Logs whose row is behind stay known.
    if (this.#partitions.size >= MAX_PARTITIONS) this.#forgetAll();
    const state: PartitionState = { pk, logs: new Map(), versions: new Map() };
    this.#partitions.set(key, state);
    this.#byPk.set(pk, key);
    return state;
  }

  #forgetAll(): void {
    this.#partitions.clear();
    this.#byPk.clear();
  }
}
