import { randomBytes } from 'node:crypto';
import { isUnavailable, type StoreUnavailableError } from '../../core/errors.ts';
import type { Batch, CommitGroups, Operation, Partition, Receipt } from '../../core/store.ts';
import { GroupCommit, notSent, type Outcome } from '../shared/group-commit.ts';
import { together } from '../shared/group-sizes.ts';
import type { Cursors } from './cursor.ts';
import type { Keys } from './keys.ts';
import type { Known } from './known.ts';
import { type Committed, readAnswers } from './outcomes.ts';
import { CallPacker, type Sending } from './pack.ts';
import { AppendPacker, plainAppend } from './pack-appends.ts';
import { lengthOfText } from './pack-texts.ts';
import type { Servers } from './servers.ts';
import { Turns } from './turns.ts';

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
  readonly known: Known;
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
    const turns = new Turns();
    this.#lanes = Array.from({ length: count }, (_, lane) => {
      const writer = new Writer(parts, lane, turns);
      return new GroupCommit('store', (batches) => writer.commit(batches));
    });
  }

  commit(batch: Batch): Promise<Receipt> {
    const shard = this.#parts.keys.shardOf(batch.partition);
    return this.#lanes[shard % this.#lanes.length]!.commit(batch);
  }

  get groups(): CommitGroups {
    return together(this.#lanes.map(({ groups }) => groups));
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
  readonly #turns: Turns;
  readonly #name = randomBytes(9).toString('base64url');
  #calls = 0;

  constructor(parts: CommitterParts, lane: number, turns: Turns) {
    this.#parts = parts;
    this.#lane = lane;
    this.#turns = turns;
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
    let away: StoreUnavailableError | undefined;
    for (const part of partsOf(ready)) {
      // What was to go behind a call that did not get through must not go before it is made again.
      if (away) for (const { place } of part) outcomes[place] = notSent(away);
      else away = await this.#settle(part, outcomes, false);
    }
    // The nodes of a cluster don't answer together.
    if (!this.#parts.servers.cluster) await this.#turns.take();
    return outcomes;
  }

  /** Commits what goes into one call. A call that fails takes down its own batches; gives why no server was reached. */
  async #settle(
    sendings: readonly Sending[],
    outcomes: Outcome[],
    complete: boolean,
  ): Promise<StoreUnavailableError | undefined> {
    try {
      const again = await this.#call(sendings, outcomes, complete);
      return again.length > 0 ? await this.#settle(again, outcomes, true) : undefined;
    } catch (error) {
      for (const { place } of sendings) outcomes[place] ??= error as Error;
      return isUnavailable(error) ? error : undefined;
    }
  }

  /** Gives those that did not declare all their keys, to be sent again. */
  async #call(
    sendings: readonly Sending[],
    outcomes: Outcome[],
    complete: boolean,
  ): Promise<readonly Sending[]> {
    const refreshing = this.#parts.known.refresh();
    // In a cluster, the shards of this call must not wait for a node that has others.
    if (this.#parts.servers.cluster) refreshing.catch(() => {});
    else await refreshing;
    const known = this.#parts.known.positions.slice();
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

  /** @param complete not the short way: a log was not there */
  async #send(sendings: readonly Sending[], complete: boolean): Promise<string> {
    const appends = complete ? undefined : plainAppends(sendings);
    const { servers, keys } = this.#parts;
    const head = [String(++this.#calls), MEMO_SECONDS, keys.channel(this.#lane)];
    const memo = keys.memo(this.#lane, this.#name);
    const slot = keys.slots[this.#lane]!;
    let shards = 0;
    if (appends) {
      const packer = new AppendPacker(keys);
      for (const [start, end] of shardsOf(sendings)) {
        const { shard } = sendings[start]!.names;
        packer.addShard(shard, sendings.slice(start, end), appends.slice(start, end));
        shards++;
      }
      return (await servers.run(
        'append',
        slot,
        [memo, ...packer.keys],
        [...head, packer.text(shards)],
        true,
      )) as string;
    }
    const packer = new CallPacker(keys);
    for (const [start, end] of shardsOf(sendings)) {
      packer.addShard(sendings[start]!.names.shard, sendings.slice(start, end));
      shards++;
    }
    return (await servers.run(
      'commit',
      slot,
      [memo, ...packer.keys],
      [...head, String(shards), ...packer.args],
      true,
    )) as string;
  }

  /** The cursor of a receipt is what the store knew when it sent the call, with the commit's own shard at the commit. */
  #receipt(sending: Sending, { position, replayed, results }: Committed, known: number[]): Receipt {
    const { cursors } = this.#parts;
    const now = this.#parts.known.positions;
    const { shard } = sending.names;
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

/** The appends of batches that are nothing else; undefined where one is. */
function plainAppends(sendings: readonly Sending[]): (Operation & { op: 'append' })[] | undefined {
  const appends: (Operation & { op: 'append' })[] = [];
  for (const sending of sendings) {
    const append = plainAppend(sending);
    if (!append) return undefined;
    appends.push(append);
  }
  return appends;
}

/** Where each shard's batches begin and end. */
function* shardsOf(sendings: readonly Sending[]): Generator<[start: number, end: number]> {
  for (let start = 0; start < sendings.length; ) {
    let end = start + 1;
    while (sendings[end]?.names.shard === sendings[start]!.names.shard) end++;
    yield [start, end];
    start = end;
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
    if (operation.op === 'append') for (const { value } of operation.entries) length += value.length;
    else if ('collection' in operation) length += lengthOfText(operation);
    else if ('value' in operation) length += operation.value.length;
  }
  return length;
}
