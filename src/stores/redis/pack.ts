import { UnsupportedError } from '../../core/errors.ts';
import type { AppendEntry, Batch, IfVersion, Operation } from '../../core/store.ts';
import type { Keys, PartitionKeys } from './keys.ts';
import { encodeOrder } from './order.ts';
import { addText } from './pack-texts.ts';

/** A batch on its way: its place in its group, its keys and, for a drop, the logs that go with the partition. */
export interface Sending {
  readonly batch: Batch;
  readonly place: number;
  readonly names: PartitionKeys;
  readonly logs?: readonly string[];
}

/** Redis takes no more arguments than 1,048,576 in one command. */
const MAX_ARGUMENTS = 1_000_000;

/**
 * Packs batches as the keys and arguments of `commit.lua`, whose header tells their order. What there is of it is paid
 * for with every write, on both sides: few and short arguments.
 */
export class CallPacker {
  readonly keys: string[] = [];
  readonly args: string[] = [];
  readonly #keys: Keys;

  constructor(keys: Keys) {
    this.#keys = keys;
  }

  /** The batches of one shard. */
  addShard(shard: number, batches: readonly Sending[]): void {
    const names = this.#keys;
    this.keys.push(names.journal(shard), names.index(shard), names.counter(shard));
    this.keys.push(names.receipts(shard), names.receiptOrder(shard));
    this.args.push(String(batches.length));
    for (const sending of batches) this.#addBatch(sending);
  }

  #addBatch({ batch, names, logs = [] }: Sending): void {
    const { keys, args } = this;
    keys.push(names.hash, names.names);
    const keysAt = keys.length;
    args.push('', names.name);
    const valuesAt = args.length;
    const reads: Pieces = [];
    let readCount = 0;
    const pieces: Pieces = [];
    for (const operation of batch.operations) {
      readCount += addReads(reads, operation);
      addOperation(pieces, keys, args, names, operation, logs);
    }
    const counts = [args.length - valuesAt, keys.length - keysAt, readCount];
    const shape = [batch.id ?? '', ...counts, ...reads, batch.operations.length, ...pieces];
    args[valuesAt - 2] = shape.join('\0');
    if (args.length - valuesAt + keys.length - keysAt > MAX_ARGUMENTS) throw tooLarge();
  }
}

function tooLarge(): UnsupportedError {
  return new UnsupportedError('the batch is larger than what Redis takes in one call', {
    hint: 'Write it in several batches of fewer entries.',
    details: { maxArguments: MAX_ARGUMENTS },
  });
}

/** Adds what is to be known before an operation is judged; 1 where there is something. */
function addReads(reads: Pieces, operation: Operation): 0 | 1 {
  if ('kind' in operation) reads.push(operation.op === 'add' ? 'v' : 'r', operation.kind, operation.id);
  else if (operation.op === 'append') reads.push('l', operation.log);
  else return 0;
  return 1;
}

type Pieces = (string | number)[];

/** Adds what an operation has in its batch's shape, its keys, and its values. */
function addOperation(
  pieces: Pieces,
  keys: string[],
  values: string[],
  names: PartitionKeys,
  operation: Operation,
  logs: readonly string[],
): void {
  switch (operation.op) {
    case 'check':
      pieces.push('c', condition(operation.ifVersion));
      return;
    case 'put':
      addPut(pieces, values, operation);
      return;
    case 'add':
      pieces.push('+', Object.keys(operation.deltas).length, ...Object.entries(operation.deltas).flat());
      return;
    case 'delete':
      pieces.push('d', condition(operation.ifVersion));
      return;
    case 'append':
      addAppend(pieces, keys, values, names, operation);
      return;
    case 'rewrite': {
      const { log, seq, ifVersion = '', mark, value } = operation;
      keys.push(names.stream(log), names.overlay(log), names.marks(log));
      pieces.push('w', log, seq, ifVersion, mark === undefined ? '=' : mark === null ? '-' : `+${mark}`);
      values.push(value);
      return;
    }
    case 'truncate': {
      const { log, before = '', after = '', ifLastSeq = '' } = operation;
      keys.push(...logKeys(names, log));
      pieces.push('t', log, before, after, ifLastSeq);
      return;
    }
    case 'expire':
      pieces.push('e', operation.at === null ? '' : encodeOrder(operation.at) + operation.at);
      return;
    case 'drop':
      for (const log of logs) keys.push(...logKeys(names, log));
      keys.push(names.texts);
      pieces.push('x', operation.ifExpiredAt ?? '', logs.length, ...logs);
      return;
    default:
      keys.push(names.texts);
      addText(pieces, values, operation);
  }
}

function addPut(pieces: Pieces, values: string[], put: Operation & { op: 'put' }): void {
  const { ifVersion, version = '', counter, value, indexes = [] } = put;
  pieces.push('p', condition(ifVersion), version, counter ? 'c' : '', indexes.length);
  for (const { index, key, order } of indexes) pieces.push(index, key, encodeOrder(order));
  values.push(counter ? packCounter(value) : value);
}

function addAppend(
  pieces: Pieces,
  keys: string[],
  values: string[],
  names: PartitionKeys,
  append: Operation & { op: 'append' },
): void {
  const { log, ifLastSeq = '', startSeq = '', entries } = append;
  const labels = hasLabels(append);
  pieces.push(labels ? 'A' : 'a', log, ifLastSeq, startSeq, entries.length);
  keys.push(names.stream(log));
  if (!labels) {
    for (const { value } of entries) values.push(value);
    return;
  }
  keys.push(names.ids(log), names.marks(log));
  for (const { id = '', mark = '', version = 1, value } of entries)
    values.push(id, mark, String(version), value);
}

/** Whether an append has more to tell than values. */
export function hasLabels({ entries }: Operation & { op: 'append' }): boolean {
  return entries.some(isLabelled);
}

function isLabelled({ id, mark, version = 1 }: AppendEntry): boolean {
  return id !== undefined || mark !== undefined || version !== 1;
}

/** All keys of a log, as `truncate` and `drop` have them. */
function logKeys(names: PartitionKeys, log: string): string[] {
  return [names.stream(log), names.overlay(log), names.ids(log), names.marks(log)];
}

/** A condition as the scripts know it. */
export function condition(ifVersion: IfVersion | undefined): string {
  if (ifVersion === undefined) return '';
  if (ifVersion === 'absent') return 'a';
  return ifVersion === 'present' ? 'p' : String(ifVersion);
}

/** A counter as it is stored: fields and numbers with NULs between, so that Lua needs to know no JSON. */
function packCounter(json: string): string {
  return Object.entries(JSON.parse(json) as Record<string, number>)
    .flat()
    .join('\0');
}

/** The fields of a stored counter. */
export function counterFields(packed: string): Record<string, number> {
  if (packed === '') return {};
  const pieces = packed.split('\0');
  const fields = Array.from({ length: pieces.length / 2 }, (_, i): [string, number] => [
    pieces[i * 2]!,
    Number(pieces[i * 2 + 1]),
  ]);
  return Object.fromEntries(fields);
}
