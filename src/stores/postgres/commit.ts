import { randomUUID } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { isHoldfastError } from '../../core/errors.ts';
import type { Batch, Partition, Receipt } from '../../core/store.ts';
import type { Durability } from '../../core/store-options.ts';
import { GroupCommit, type Outcome } from '../shared/group-commit.ts';
import { partitionKey } from '../shared/pages.ts';
import { Call } from './call.ts';
import type { Database } from './database.ts';
import { outcomesOf, type Reply } from './facts.ts';
import { hash } from './hash.ts';
import { quoteName } from './schema.ts';
import { type Plan, planCalls } from './waves.ts';

/** How many groups are under way at once, each on a connection of its own. */
const LANES = 2;
/** Of `commit_group`. */
const PARAMETERS = 63;
/** Receipts of writers are kept so long after their last call: by then nobody asks again. */
const FORGET_WRITERS_MS = 24 * 60 * 60 * 1000;

export interface CommitterOptions {
  schema: string;
  durability: Durability;
  clock: Clock;
  /** Hears of groups that changed something. */
  committed(): void;
}

/**
 * Commits batches in groups, each with one call. A partition's batches all take the same lane, one group after the
 * other, so they keep their order; groups of different lanes go out side by side.
 */
export class Committer {
  readonly #lanes: readonly GroupCommit[];
  readonly #database: Database;
  readonly #options: CommitterOptions;
  /** Who this is: the server keeps the last answer to each lane of each writer, in case it gets lost on the way. */
  readonly #writer = randomUUID();
  readonly #turns: number[] = Array(LANES).fill(0);
  readonly #salt: number;
  readonly #statement: string;

  constructor(database: Database, options: CommitterOptions) {
    this.#database = database;
    this.#options = options;
    this.#salt = hash(options.schema, 0);
    const parameters = Array.from({ length: PARAMETERS }, (_, i) => `$${i + 1}`);
    this.#statement = `SELECT ${quoteName(options.schema)}.commit_group(${parameters.join(', ')})`;
    this.#lanes = this.#turns.map((_, lane) => {
      return new GroupCommit('store', (batches) => this.#commitGroup(lane, batches));
    });
  }

  commit(batch: Batch): Promise<Receipt> {
    return this.#lanes[hash(partitionKey(batch.partition), 0) % LANES]!.commit(batch);
  }

  /** Settles what is under way, and takes no more. */
  async close(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.close()));
    if (this.#turns.every((turn) => turn === 0)) return;
    const writers = `${quoteName(this.#options.schema)}.writers`;
    const before = this.#options.clock.now() - FORGET_WRITERS_MS;
    await this.#database
      .query(`DELETE FROM ${writers} WHERE writer = $1 OR at < $2`, [this.#writer, before])
      .catch(() => {});
  }

  async #commitGroup(lane: number, batches: readonly Batch[]): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    for (const plan of planCalls(batches)) await this.#settle(lane, plan, outcomes);
    return outcomes;
  }

  /** Commits what goes out in one call. Where a statement fails, each batch goes again alone: a bad one fails alone. */
  async #settle(lane: number, plan: Plan, outcomes: Outcome[]): Promise<void> {
    const planned = plan.waves.flat();
    try {
      const { call, reply } = await this.#call(lane, plan);
      outcomesOf(call, reply).forEach((outcome, i) => {
        outcomes[call.batches[i]!.place] = outcome;
      });
      if (reply.a.some((a) => a !== null && a > 0)) this.#options.committed();
    } catch (error) {
      const alone = planned.length > 1 && isHoldfastError(error) && error.code === 'internal';
      for (const { batch, place } of planned) {
        if (alone) await this.#settle(lane, planAlone(batch, place), outcomes);
        else outcomes[place] = error as Error;
      }
    }
  }

  async #call(lane: number, plan: Plan): Promise<{ call: Call; reply: Reply }> {
    const call = new Call(plan);
    const turn = ++this.#turns[lane]!;
    const { durability, clock } = this.#options;
    const values = [this.#writer, lane, turn, clock.now(), durability, ...call.values(this.#locks(plan))];
    const [row] = await this.#database.query<[string]>(this.#statement, values);
    return { call, reply: JSON.parse(row![0]) as Reply };
  }

  /** Locks of partitions, in an order that is the same for all. */
  #locks({ partitions }: Plan): number[] {
    const locks = partitions.map((partition: Partition) => hash(partitionKey(partition), this.#salt));
    return [...new Set(locks)].sort((a, b) => a - b);
  }
}

function planAlone(batch: Batch, place: number): Plan {
  return { partitions: [batch.partition], waves: [[{ batch, place, partition: 1 }]] };
}
