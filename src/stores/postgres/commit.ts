import { randomUUID } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { HoldfastError, isHoldfastError, isUnavailable } from '../../core/errors.ts';
import type { Batch, CommitGroups, Partition, Receipt } from '../../core/store.ts';
import type { Durability } from '../../core/store-options.ts';
import { notSent, type Outcome } from '../shared/group-commit.ts';
import { partitionKey } from '../shared/pages.ts';
import { AppendCall } from './append-call.ts';
import { bigintArray } from './arrays.ts';
import { Call } from './call.ts';
import type { Database } from './database.ts';
import { outcomesOf, type Reply } from './facts.ts';
import { hash } from './hash.ts';
import { KnownLogs } from './known.ts';
import { LANES, Lanes } from './lanes.ts';
import { quoteName } from './schema.ts';
import { type Plan, planAlone, planCalls } from './waves.ts';

/** The error of `append_group` for a log that was dropped. */
const LOG_IS_GONE = 'HF001';
/** Receipts of writers are kept so long after their last call: by then nobody asks again. */
const FORGET_WRITERS_MS = 24 * 60 * 60 * 1000;

export interface CommitterOptions {
  schema: string;
  durability: Durability;
  clock: Clock;
  /** Hears of groups that changed something. */
  committed(): void;
}

/** What the calls of a group share: their lane, and when all have to be through. */
interface Turn {
  readonly lane: number;
  readonly deadline: number;
}

/** Commits batches in groups, each with one call. */
export class Committer {
  readonly #lanes: Lanes;
  readonly #database: Database;
  readonly #options: CommitterOptions;
  /** Who this is: the server keeps the last answer to each lane of each writer, in case it gets lost on the way. */
  readonly #writer = randomUUID();
  readonly #turns: number[] = Array(LANES).fill(0);
  readonly #salt: number;
  readonly #known = new KnownLogs();
  readonly #schema: string;

  constructor(database: Database, options: CommitterOptions) {
    this.#database = database;
    this.#options = options;
    this.#salt = hash(options.schema, 0);
    this.#schema = quoteName(options.schema);
    this.#lanes = new Lanes((lane, batches) => this.#commitGroup(lane, batches));
  }

  commit(batch: Batch): Promise<Receipt> {
    return this.#lanes.commit(batch);
  }

  get groups(): CommitGroups {
    return this.#lanes.groups;
  }

  /** Settles what is under way, and takes no more. */
  async close(): Promise<void> {
    await this.#lanes.close();
    if (this.#turns.every((turn) => turn === 0)) return;
    const writers = `${this.#schema}.writers`;
    const before = this.#options.clock.now() - FORGET_WRITERS_MS;
    await this.#database
      .query(`DELETE FROM ${writers} WHERE writer = $1 OR at < $2`, [this.#writer, before])
      .catch(() => {});
  }

  async #commitGroup(lane: number, batches: readonly Batch[]): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    const deadline = this.#database.deadline();
    for (const plan of planCalls(batches)) await this.#settle({ lane, deadline }, plan, outcomes);
    return outcomes;
  }

  /**
   * Commits what goes out in one call. Where a statement fails, each batch goes again alone: a bad one fails
   * alone. After a call that the server was not there for, none is made: what it is for must not overtake that one.
   */
  async #settle(turn: Turn, plan: Plan, outcomes: Outcome[]): Promise<void> {
    const away = outcomes.find(isUnavailable);
    if (away) {
      for (const { place } of plan.waves.flat()) outcomes[place] = notSent(away);
      return;
    }
    try {
      if (!(await this.#append(turn, plan, outcomes))) await this.#commit(turn, plan, outcomes);
    } catch (error) {
      const planned = plan.waves.flat();
      const alone = planned.length > 1 && isHoldfastError(error) && error.code === 'internal';
      for (const { batch, place } of planned) {
        if (alone) await this.#settle(turn, planAlone(batch, place), outcomes);
        else outcomes[place] = error as Error;
      }
    }
  }

  /** Commits batches that only append to logs that are known; false, and nothing is done, where that can't be done. */
  async #append(turn: Turn, plan: Plan, outcomes: Outcome[]): Promise<boolean> {
    const call = AppendCall.of(plan, this.#known);
    if (!call) return false;
    try {
      const reply = await this.#ask<number[]>('append_group', turn, plan, call.values());
      if (!reply) return false;
      const receipts = call.outcomes(reply);
      for (const [i, { place }] of call.batches.entries()) outcomes[place] = receipts[i]!;
      this.#options.committed();
      return true;
    } catch (error) {
      if (!isHoldfastError(error) || error.details?.code !== LOG_IS_GONE) throw error;
      this.#known.forget(plan.partitions);
      return false;
    }
  }

  async #commit(turn: Turn, plan: Plan, outcomes: Outcome[]): Promise<void> {
    const call = new Call(plan);
    const reply = await this.#ask<Reply>('commit_group', turn, plan, call.values());
    if (!reply) throw new HoldfastError('internal', 'the database has forgotten the answer to a commit');
    const settled = outcomesOf(call, reply);
    for (const [i, { place }] of call.batches.entries()) outcomes[place] = settled[i]!;
    this.#learn(call, reply);
    if (reply.a.some((a) => a !== null && a > 0)) this.#options.committed();
  }

  /** The answer, JSON; undefined for none. A call is made again until there is one, and is done once. */
  async #ask<T>(
    name: 'append_group' | 'commit_group',
    { lane, deadline }: Turn,
    plan: Plan,
    values: readonly (Buffer | string)[],
  ): Promise<T | undefined> {
    const { durability, clock } = this.#options;
    const locks = bigintArray(this.#locks(plan));
    const turn = ++this.#turns[lane]!;
    const all = [this.#writer, lane, turn, clock.now(), durability, locks, ...values];
    const list = all.map((_, i) => `$${i + 1}`).join(', ');
    const [row] = await this.#database.call<[string | null]>(
      `SELECT ${this.#schema}.${name}(${list})`,
      all,
      deadline,
    );
    return row![0] === null ? undefined : (JSON.parse(row![0]) as T);
  }

  #learn(call: Call, reply: Reply): void {
    const partitions = new Map(reply.o.map((o, i) => [o, reply.p[i]!]));
    for (const [i, o] of reply.logsOf.entries()) {
      const { operation, batch } = call.operations[o - 1]!;
      const pk = partitions.get(o);
      const log = reply.logs[i]!;
      if (!pk || !log || operation.op !== 'append') continue;
      this.#known.learn(call.batches[batch - 1]!.batch.partition, pk, operation.log, log);
    }
  }

  /** Locks of partitions, in an order that is the same for all. */
  #locks({ partitions }: Plan): number[] {
    const locks = partitions.map((partition: Partition) => hash(partitionKey(partition), this.#salt));
    return [...new Set(locks)].sort((a, b) => a - b);
  }
}
