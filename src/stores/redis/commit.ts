import { randomBytes } from 'node:crypto';
import type { Batch, Receipt } from '../../core/store.ts';
import { GroupCommit, type Outcome } from '../shared/group-commit.ts';
import type { Cursors } from './cursor.ts';
import type { Keys } from './keys.ts';
import { type Answer, type Committed, readAnswers } from './outcomes.ts';
import { CallPacker, type Sending } from './pack.ts';
import type { Servers } from './servers.ts';

/** On a single server, shards share this many lanes: while one call is under way, the next is packed. */
const LANES = 2;
/** How much text goes into one call, unless a batch alone has more (UTF-16 code units). */
const MAX_CALL_LENGTH = 8 * 1024 * 1024;
/** How long a server remembers what it answered to a writer. */
const MEMO_SECONDS = '3600';

export interface CommitterParts {
  readonly servers: Servers;
  readonly keys: Keys;
  readonly cursors: Cursors;
  /** The position of each shard as far as this store knows; commits advance it. */
  readonly known: number[];
  /** The names of a partition's logs. */
  logsOf(shard: number, batch: Batch): Promise<string[]>;
  /** Something was committed. */
  onCommit(): void;
}

/**
 * Commits batches in lanes. A lane has one call under way, and what arrives meanwhile goes into the next. In a cluster,
 * a call has one shard's batches, and each shard is a lane; a single server takes those of many shards in one call.
 */
export class Committer {
  readonly #lanes: readonly GroupCommit[];
  readonly #parts: CommitterParts;

  constructor(parts: CommitterParts) {
    this.#parts = parts;
    const count = parts.servers.cluster ? parts.keys.shards : Math.min(LANES, parts.keys.shards);
    this.#lanes = Array.from({ length: count }, (_, lane) => {
      const writer = new Writer(parts, lane);
      return new GroupCommit('store', (batches) => writer.commit(batches));
    });
  }

  commit(batch: Batch): Promise<Receipt> {
    const shard = this.#parts.keys.shardOf(batch.partition);
    return this.#lanes[shard % this.#lanes.length]!.commit(batch);
  }

  async close(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }
}

/**
 * One lane. It numbers its calls, and the server keeps its last answer under its name: a call that is tried again after
 * its answer was lost gets that answer, and is not done twice.
 */
class Writer {
  readonly #parts: CommitterParts;
  readonly #lane: number;
  readonly #name = randomBytes(9).toString('base64url');
  #calls = 0;

  constructor(parts: CommitterParts, lane: number) {
    this.#parts = parts;
    this.#lane = lane;
  }

  async commit(batches: readonly Batch[]): Promise<Outcome[]> {
    const { keys } = this.#parts;
    const outcomes: Outcome[] = [];
    let sendings: Sending[] = batches.map((batch) => ({ batch, shard: keys.shardOf(batch.partition) }));
    if (batches.some(isDrop)) sendings = await this.#withLogs(sendings);
    for (const part of partsOf(sendings)) outcomes.push(...(await this.#settled(part)));
    return outcomes;
  }

  /** A call that fails takes down its own batches only. */
  async #settled(sendings: readonly Sending[]): Promise<Outcome[]> {
    try {
      return await this.#commit(sendings);
    } catch (error) {
      return sendings.map(() => error as Error);
    }
  }

  async #commit(sendings: readonly Sending[]): Promise<Outcome[]> {
    const answers = await this.#send(sendings);
    const known = this.#parts.known.slice();
    const outcomes: Outcome[] = [];
    for (const [i, answer] of answers.entries()) {
      const sending = sendings[i]!;
      if ('logs' in answer) outcomes.push(...(await this.#settled([{ ...sending, logs: answer.logs }])));
      else outcomes.push('error' in answer ? answer.error : this.#receipt(sending, answer, known));
    }
    this.#parts.onCommit();
    return outcomes;
  }

  async #send(sendings: readonly Sending[]): Promise<Answer[]> {
    const { servers, keys } = this.#parts;
    const packer = new CallPacker(keys);
    packer.keys.push(keys.memo(this.#lane, this.#name));
    const byShard = groupByShard(sendings);
    packer.args.push(String(++this.#calls), MEMO_SECONDS, keys.channel(this.#lane), String(byShard.size));
    for (const [shard, places] of byShard)
      packer.addShard(
        shard,
        places.map((place) => sendings[place]!),
      );
    const order = [...byShard.values()].flat();
    const slot = keys.slots[this.#lane]!;
    const reply = await servers.run('commit', slot, packer.keys, packer.args, true);
    const answers = readAnswers(
      reply as string,
      order.map((place) => sendings[place]!.batch),
    );
    const inOrder: Answer[] = new Array(answers.length);
    for (let i = 0; i < answers.length; i++) inOrder[order[i]!] = answers[i]!;
    return inOrder;
  }

  /** The cursor of a receipt is what the store knew when it sent the call, with the commit's own shard at the commit. */
  #receipt({ shard }: Sending, { position, replayed, results }: Committed, known: number[]): Receipt {
    const { cursors, known: now } = this.#parts;
    const mine = position ?? known[shard]!;
    if (mine > now[shard]!) now[shard] = mine;
    let cursor: string | undefined;
    return {
      // Seldom asked for, and not made for nothing.
      get cursor() {
        if (cursor !== undefined) return cursor;
        const before = known[shard]!;
        known[shard] = mine;
        cursor = cursors.encode(known);
        known[shard] = before;
        return cursor;
      },
      replayed,
      results,
    };
  }

  /** A drop has to declare all logs: those that are there, and those that batches before it in the call make. */
  async #withLogs(sendings: readonly Sending[]): Promise<Sending[]> {
    return Promise.all(
      sendings.map(async (sending) => {
        const { batch, shard } = sending;
        if (!isDrop(batch)) return sending;
        const { tenant, type, id } = batch.partition;
        const mine = sendings.filter(
          ({ batch: { partition: other } }) =>
            other.id === id && other.type === type && other.tenant === tenant,
        );
        const made = mine.flatMap(({ batch: { operations } }) =>
          operations.flatMap((operation) => ('log' in operation ? operation.log : [])),
        );
        return { ...sending, logs: [...new Set([...(await this.#parts.logsOf(shard, batch)), ...made])] };
      }),
    );
  }
}

function isDrop({ operations }: Batch): boolean {
  return operations[0]?.op === 'drop';
}

/** The places of batches, by shard. */
function groupByShard(sendings: readonly Sending[]): Map<number, number[]> {
  const groups = new Map<number, number[]>();
  for (let place = 0; place < sendings.length; place++) {
    const { shard } = sendings[place]!;
    const group = groups.get(shard);
    if (group) group.push(place);
    else groups.set(shard, [place]);
  }
  return groups;
}

/** Splits a group so that no call gets too long. */
function partsOf(sendings: readonly Sending[]): Sending[][] {
  const parts: Sending[][] = [[]];
  let length = 0;
  for (const sending of sendings) {
    const more = lengthOf(sending.batch);
    if (length > 0 && length + more > MAX_CALL_LENGTH) {
      parts.push([]);
      length = 0;
    }
    parts.at(-1)!.push(sending);
    length += more;
  }
  return parts;
}

function lengthOf({ operations }: Batch): number {
  let length = 1;
  for (const operation of operations) {
    if ('value' in operation) length += operation.value.length;
    else if (operation.op === 'append') for (const { value } of operation.entries) length += value.length;
  }
  return length;
}
