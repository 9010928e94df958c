import { randomBytes } from 'node:crypto';
import type { Batch, Partition, Receipt } from '../../core/store.ts';
import { GroupCommit, type Outcome } from '../shared/group-commit.ts';
import type { Cursors } from './cursor.ts';
import type { Keys } from './keys.ts';
import { KnownLogs } from './known-logs.ts';
import { type Committed, readAnswers } from './outcomes.ts';
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
  logsOf(partition: Partition): Promise<string[]>;
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
  readonly #logs = new KnownLogs();
  #calls = 0;

  constructor(parts: CommitterParts, lane: number) {
    this.#parts = parts;
    this.#lane = lane;
  }

  async commit(batches: readonly Batch[]): Promise<Outcome[]> {
    const { keys } = this.#parts;
    const sendings = batches.map(
      (batch, place): Sending => ({ batch, place, names: keys.partition(batch.partition) }),
    );
    // Those of one shard lie together, in the order they came.
    sendings.sort((a, b) => a.names.shard - b.names.shard);
    const ready = batches.some(isDrop) ? await this.#withLogs(sendings) : sendings;
    const outcomes: Outcome[] = new Array(batches.length);
    for (const part of partsOf(ready)) await this.#settle(part, outcomes, false);
    return outcomes;
  }

  /** Commits what goes into one call. A call that fails takes down its own batches only. */
  async #settle(sendings: readonly Sending[], outcomes: Outcome[], complete: boolean): Promise<void> {
    try {
      const again = await this.#call(sendings, outcomes, complete);
      if (again.length > 0) await this.#settle(again, outcomes, true);
    } catch (error) {
      for (const { place } of sendings) outcomes[place] ??= error as Error;
    }
  }

  /** Gives those that did not declare all their keys, to be sent again. */
  async #call(
    sendings: readonly Sending[],
    outcomes: Outcome[],
    complete: boolean,
  ): Promise<readonly Sending[]> {
    const known = this.#parts.known.slice();
    const reply = await this.#send(sendings, complete);
    const answers = readAnswers(
      reply,
      sendings.map(({ batch }) => batch),
    );
    const again: Sending[] = [];
    for (let i = 0; i < answers.length; i++) {
      const answer = answers[i]!;
      const sending = sendings[i]!;
      if ('logs' in answer) again.push(isDrop(sending.batch) ? { ...sending, logs: answer.logs } : sending);
      else if ('error' in answer) outcomes[sending.place] = answer.error;
      else outcomes[sending.place] = this.#receipt(sending, answer, known);
    }
    this.#parts.onCommit();
    return again;
  }

  async #send(sendings: readonly Sending[], complete: boolean): Promise<string> {
    const { servers, keys } = this.#parts;
    const packer = new CallPacker(keys);
    packer.keys.push(keys.memo(this.#lane, this.#name));
    packer.args.push(String(++this.#calls), MEMO_SECONDS, keys.channel(this.#lane), '');
    let shards = 0;
    for (let start = 0; start < sendings.length; shards++) {
      const { shard } = sendings[start]!.names;
      let end = start + 1;
      while (sendings[end]?.names.shard === shard) end++;
      const batches = sendings.slice(start, end);
      packer.addShard(shard, batches, complete || !this.#logs.haveAll(batches));
      start = end;
    }
    packer.args[3] = String(shards);
    const slot = keys.slots[this.#lane]!;
    return (await servers.run('commit', slot, packer.keys, packer.args, true)) as string;
  }

  /** The cursor of a receipt is what the store knew when it sent the call, with the commit's own shard at the commit. */
  #receipt(sending: Sending, { position, replayed, results }: Committed, known: number[]): Receipt {
    const { cursors, known: now } = this.#parts;
    const { shard } = sending.names;
    const mine = position ?? known[shard]!;
    if (mine > now[shard]!) now[shard] = mine;
    this.#logs.note(sending);
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
    const made = new Map<string, string[]>();
    for (const { batch, names } of sendings) {
      const logs = batch.operations.flatMap((operation) => ('log' in operation ? operation.log : []));
      made.set(names.name, (made.get(names.name) ?? []).concat(logs));
    }
    return Promise.all(
      sendings.map(async (sending) => {
        if (!isDrop(sending.batch)) return sending;
        const there = await this.#parts.logsOf(sending.batch.partition);
        return { ...sending, logs: [...new Set(there.concat(made.get(sending.names.name)!))] };
      }),
    );
  }
}

function isDrop({ operations }: Batch): boolean {
  return operations[0]?.op === 'drop';
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
